package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// A pattern that leaves out everything must not make a point that looks like a
// backup.
func TestNothingMakesNoPoint(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("data", 0o700))
	must(t, os.Mkdir("empty", 0o700))
	must(t, os.WriteFile(filepath.Join("data", "f"), []byte("f"), 0o600))
	abs, err := filepath.Abs("data")
	must(t, err)
	for _, tt := range []struct {
		path    string
		exclude string
		want    error
	}{
		{"data", "data", backup.ErrInvalid},
		{abs, "*", backup.ErrInvalid},
		{"data", "f", nil},
		{"empty", "", nil},
	} {
		repo := newRepository(t)
		opts := archive.Options{}
		if tt.exclude != "" {
			opts.Excludes = []string{tt.exclude}
		}
		_, err := archive.Run(t.Context(), repo, opts, files(source.FileSet{Paths: []string{tt.path}}))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s without %q: got %v, want %v", tt.path, tt.exclude, err, tt.want)
		}
		points, err := snapshot.List(t.Context(), repo, snapshot.Filter{})
		must(t, err)
		if (len(points) == 0) != (tt.want != nil) {
			t.Errorf("%s without %q: got %d points", tt.path, tt.exclude, len(points))
		}
	}
}
