package s3_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options []s3test.Option
		change  func(*s3.Settings)
		want    map[string]probe.State // others are ok
	}{
		{"plain bucket", nil, func(*s3.Settings) {}, map[string]probe.State{probe.Versioning: probe.Unsupported, probe.ObjectLock: probe.Unsupported}},
		{"versions", []s3test.Option{s3test.Versions}, func(*s3.Settings) {}, map[string]probe.State{probe.ObjectLock: probe.Unsupported}},
		{"object lock", []s3test.Option{s3test.Locking}, func(s *s3.Settings) { s.Lock, s.Prefix = time.Hour, "a/b" }, nil},
		{"no such bucket", nil, func(s *s3.Settings) { s.Bucket += "-not" }, map[string]probe.State{probe.Write: probe.Failed}},
		{"wrong secret", nil, func(s *s3.Settings) { s.SecretKey += "x" }, map[string]probe.State{probe.Write: probe.Failed}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settings := s3test.Shared(t).Settings(t, tt.options...)
			tt.change(&settings)
			report, err := probe.Run(t.Context(), s3test.Open(t, settings), nil)
			if err != nil {
				t.Fatal(err)
			}
			broken := tt.want[probe.Write] == probe.Failed
			if report.Usable == broken || !broken && len(report.Steps) != 13 {
				t.Errorf("got %+v", report)
			}
			for _, step := range report.Steps {
				want := probe.OK
				if state, special := tt.want[step.Name]; special {
					want = state
				}
				if step.State != want {
					t.Errorf("%s: got %s (%s), want %s", step.Name, step.State, step.Text, want)
				}
			}
			if !broken {
				wantEmpty(t, settings)
			}
		})
	}
}

// wantEmpty makes sure that nothing is left, not even an old version.
func wantEmpty(t *testing.T, settings s3.Settings) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for object := range s3test.Client(t, settings).ListObjectsIter(ctx, settings.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		t.Errorf("the probe leaves %s, version %q, %v", object.Key, object.VersionID, object.Err)
	}
}

// A bucket that is probed may have been somebody's before.
func TestProbeRemovesNothingOfOthers(t *testing.T) {
	t.Parallel()
	for _, options := range [][]s3test.Option{nil, {s3test.Versions}} {
		settings := s3test.Shared(t).Settings(t, options...)
		client := s3test.Client(t, settings)
		others := []string{"probe/results.csv", "probe/2026/" + strings.Repeat("ab", 32), "probe/" + strings.Repeat("ab", 32) + ".txt"}
		for _, key := range others {
			if _, err := client.PutObject(t.Context(), settings.Bucket, key, strings.NewReader("precious"), 8, minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if report, err := probe.Run(t.Context(), s3test.Open(t, settings), nil); err != nil || !report.Usable {
			t.Fatalf("got %+v, %v", report, err)
		}
		for _, key := range others {
			if _, err := client.StatObject(t.Context(), settings.Bucket, key, minio.StatObjectOptions{}); err != nil {
				t.Errorf("%s after the probe: %v", key, err)
			}
		}
	}
}

// On a slow line a trial's lock may end before anybody tries to delete it; that
// is not the server's fault.
func TestProbeOfLocksOnASlowLine(t *testing.T) {
	if t.Parallel(); testing.Short() {
		t.Skip("waits for seconds; without -short it is run")
	}
	settings := s3test.Shared(t).Settings(t, s3test.Locking)
	proxy := s3test.NewProxy(t, settings.Endpoint)
	proxy.Delay = 5 * time.Second
	settings.Endpoint = proxy.URL()
	s := s3test.Open(t, settings)
	if err := s.Writable(t.Context()); err != nil { // hears the server's time
		t.Fatal(err)
	}
	proxy.Program(s3test.Rule{Method: http.MethodDelete, Fault: s3test.Slow, Times: 1})
	for _, step := range s.Probe(t.Context(), nil) {
		if step.Name == probe.ObjectLock && step.State != probe.OK {
			t.Errorf("got %s: %s, want ok", step.State, step.Text)
		}
	}
	if proxy.Met(s3test.Slow) != 1 {
		t.Error("nothing was slow")
	}
}
