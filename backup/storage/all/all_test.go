package all_test

import (
	"errors"
	"path/filepath"
	"testing"

	"emrvault/backup"
	"emrvault/backup/storage/all"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, location, want string
		err                  error
	}{
		{"a folder", dir, dir, nil},
		{"a folder, written out", "local:" + dir, dir, nil},
		{"a folder that is not there yet", filepath.Join(dir, "new"), filepath.Join(dir, "new"), nil},
		{"object storage", "s3:https://host/bucket", "", backup.ErrUnsupported},
		{"nothing", "", "", backup.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := all.Open(t.Context(), tt.location)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err == nil && s.Location() != tt.want {
				t.Errorf("got %s, want %s", s.Location(), tt.want)
			}
		})
	}
}
