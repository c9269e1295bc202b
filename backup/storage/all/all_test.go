package all_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/all"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/readback"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m)) }

func nothing(string) string { return "" }

// keys is an environment with the keys of the tests' server.
func keys(name string) string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": s3test.AccessKey, "AWS_SECRET_ACCESS_KEY": s3test.SecretKey, "AWS_REGION": s3test.Region, "EMRVAULT_S3_PROXY": "direct",
	}[name]
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	const bucket = "s3:https://host/bucket"
	tests := []struct {
		name, location, want string
		getenv               func(string) string
		err                  error
	}{
		{"a folder", dir, dir, nothing, nil},
		{"a folder, written out", "local:" + dir, dir, nothing, nil},
		{"a folder that is not there yet", filepath.Join(dir, "new"), filepath.Join(dir, "new"), nothing, nil},
		{"nothing", "", "", nothing, backup.ErrInvalid},
		{"a bucket", bucket, bucket, keys, nil},
		{"a bucket, its key unknown", bucket, "", nothing, backup.ErrInvalid},
		{"another program's place", "sftp:user:hunter2@host:/backup", "", nothing, backup.ErrInvalid},
		{"a bucket in capitals", "S3:https://user:hunter2@host/bucket", "", keys, backup.ErrInvalid},
		{"half a bucket", "s3:https://host", "", keys, backup.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := all.Open(t.Context(), tt.location, all.WithEnvironment(tt.getenv))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells a password: %v", err)
			}
			if err == nil && s.Location() != tt.want {
				t.Errorf("got %s, want %s", s.Location(), tt.want)
			}
		})
	}
}

// layers names what a place is wrapped in, the outermost first.
func layers(st storage.Storage) (names []string) {
	for {
		switch st.(type) {
		case *readback.Storage:
			names = append(names, "readback")
		case *retry.Storage:
			names = append(names, "retry")
		case *limit.Storage:
			names = append(names, "limit")
		default:
			return names
		}
		st = st.(storage.Wrapper).Unwrap()
	}
}

func TestLayers(t *testing.T) {
	slow, err := limit.ParseSchedule("10MiB", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	folder, bucket := t.TempDir(), "s3:https://host/bucket"
	for _, tt := range []struct {
		name, location string
		options        []all.Option
		want           []string
	}{
		{"a folder", folder, nil, nil},
		{"a folder, read back", folder, []all.Option{all.WithReadBack(readback.All)}, []string{"readback"}},
		{"a folder far away", folder, []all.Option{all.WithBandwidth(slow)}, []string{"limit"}},
		{"a bucket", bucket, nil, []string{"readback", "retry", "limit"}},
		{"a bucket, not read back", bucket, []all.Option{all.WithReadBack(readback.Off)}, []string{"retry", "limit"}},
	} {
		s, err := all.Open(t.Context(), tt.location, append(tt.options, all.WithEnvironment(keys))...)
		if err != nil {
			t.Fatal(err)
		}
		if got := layers(s); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOptionsGiveTheKey(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		place := settings
		place.Prefix = strings.ReplaceAll(t.Name(), " ", "-")
		s, err := all.Open(t.Context(), place.Location(), all.WithEnvironment(nothing), all.WithS3(func(s *s3.Settings) {
			s.AccessKey, s.SecretKey, s.Region, s.Proxy = s3test.AccessKey, s3test.SecretKey, s3test.Region, "direct"
		}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// A wrong secret is told within seconds, whatever the patience.
func TestWrongSecretIsNotTriedAgain(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	s, err := all.Open(t.Context(), settings.Location(), all.WithEnvironment(keys), all.WithPatience(retry.Night()),
		all.WithS3(func(s *s3.Settings) { s.SecretKey = "hunter2" }))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Save(t.Context(), storagetest.Document(storage.Pack, []byte("x")), []byte("x"))
	if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("got %v, want a permanent error that names AWS_SECRET_ACCESS_KEY", err)
	}
	if n := proxy.Requests(http.MethodPut); n != 1 {
		t.Errorf("%d uploads were tried, want 1", n)
	}
}
