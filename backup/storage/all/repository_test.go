package all_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage"
	"emrvault/backup/storage/all"
	"emrvault/backup/storage/readback"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

const password = "geheim"

// quick is a patience for tests: the pauses of a night in thousandths.
func quick() retry.Policy {
	return retry.Policy{First: 5 * time.Millisecond, Longest: 50 * time.Millisecond, Overall: 30 * time.Second, Stall: 5 * time.Second}
}

func openBucket(t *testing.T, settings s3.Settings) storage.Storage {
	t.Helper()
	s, err := all.Open(t.Context(), settings.Location(), all.WithEnvironment(keys), all.WithPatience(quick()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// blobs are texts of patients, some megabytes of them.
func blobs(n int) (list [][]byte) {
	source := rand.NewChaCha8([32]byte{byte(n)})
	for i := range n {
		noise := make([]byte, 20_000+i*997)
		_, _ = source.Read(noise)
		list = append(list, append([]byte(strings.Repeat(fmt.Sprintf("病历 %d ", i), 500)), noise...))
	}
	return list
}

// write begins a repository and saves blobs in it.
func write(t *testing.T, s storage.Storage, plain [][]byte) *repository.Repository {
	t.Helper()
	r, err := repository.Create(t.Context(), s, password, repository.WithKDF(crypto.KDF{N: 1 << 10, R: 8, P: 1}), repository.WithPackSize(4<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	err = r.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		for _, p := range plain {
			if _, err := w.Save(ctx, blob.Data, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// holds opens the repository anew and reads everything.
func holds(t *testing.T, s storage.Storage, plain [][]byte) {
	t.Helper()
	r, err := repository.Open(t.Context(), s, password)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, p := range plain {
		got, err := r.LoadBlob(t.Context(), blob.Handle{ID: blob.Hash(p), Type: blob.Data}, nil)
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("blob %d: got %d bytes, %v", i, len(got), err)
		}
	}
}

func TestRepositoryInABucket(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	settings.Prefix = "emr"
	s, plain := openBucket(t, settings), blobs(200)
	write(t, s, plain)
	holds(t, openBucket(t, settings), plain)
	_, err := repository.Create(t.Context(), s, password)
	if err == nil {
		t.Error("a second repository was begun over the first")
	}
	stock(t, settings)
}

// stock lets the restic of the distribution read every byte.
func stock(t *testing.T, settings s3.Settings) {
	t.Helper()
	binary := os.Getenv("RESTIC_BIN")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("restic"); errors.Is(err, exec.ErrNotFound) {
			t.Skip("restic is not installed: ./build.sh test --install brings it, or name a binary in RESTIC_BIN")
		}
	}
	for _, args := range [][]string{{"check", "--read-data"}, {"backup", "all_test.go"}, {"snapshots"}} {
		cmd := exec.CommandContext(t.Context(), binary, append([]string{"-r", settings.Location(), "--cache-dir", filepath.Join(t.TempDir(), "cache")}, args...)...)
		cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password, "AWS_ACCESS_KEY_ID="+settings.AccessKey,
			"AWS_SECRET_ACCESS_KEY="+settings.SecretKey, "AWS_DEFAULT_REGION="+settings.Region)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("restic %v: %v\n%s", args, err, out)
		}
	}
}

// Over a line that does everything lines do, a repository becomes as whole as
// over a good one.
func TestRepositoryOverABadLine(t *testing.T) {
	server, met := s3test.Shared(t), 0
	faults := []s3test.Fault{s3test.SlowDown, s3test.Cut, s3test.CutBody, s3test.Slow, s3test.Torn, s3test.Lost, s3test.Twice}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			settings := server.Settings(t)
			proxy := s3test.NewProxy(t, settings.Endpoint)
			proxy.Delay, proxy.After = 5*time.Millisecond, 0
			behind := settings
			behind.Endpoint = proxy.URL()
			proxy.Random(seed, 0.3, faults...)
			plain := blobs(120)
			write(t, openBucket(t, behind), plain)
			for _, f := range faults {
				met += proxy.Met(f)
			}
			holds(t, openBucket(t, settings), plain)
		})
	}
	if met < 10 {
		t.Errorf("only %d requests met a fault", met)
	}
}

// A place that keeps other bytes than it was given is found out while the
// bytes are still at hand, and given them again.
func TestReadBackFindsWhatIsKeptWrong(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	for _, path := range []string{"/data/", "/index/", "/config"} {
		proxy.Program(s3test.Rule{Fault: s3test.WrongStore, Method: http.MethodPut, Path: path, Times: 1})
	}
	s, err := all.Open(t.Context(), settings.Location(), all.WithEnvironment(keys), all.WithPatience(quick()), all.WithReadBack(readback.All))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain := blobs(60)
	write(t, s, plain)
	if n := proxy.Met(s3test.WrongStore); n != 3 {
		t.Errorf("%d documents were kept wrong, want 3", n)
	}
	holds(t, openBucket(t, settings), plain)
}
