package backupcmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHowFreshDataIsStored(t *testing.T) {
	text := []byte(strings.Repeat("护理记录 体温 36.8 ", 20_000))
	tests := []struct {
		name   string
		flags  []string
		code   int
		raw    bool // the record is stored uncompressed
		reason string
	}{
		{"as usual", nil, 0, false, ""},
		{"sampled", []string{"--read-back", "sampled"}, 0, false, ""},
		{"not read back, best", []string{"--read-back", "off", "--compression", "best"}, 0, false, ""},
		{"not compressed, small packs", []string{"--compression", "off", "--pack-size", "4"}, 0, true, ""},
		{"unknown read back", []string{"--read-back", "maybe"}, 2, false, "--read-back is full, sampled or off"},
		{"unknown compression", []string{"--compression", "max"}, 2, false, "--compression is off, fastest"},
		{"huge packs", []string{"--pack-size", "1000"}, 2, false, "--pack-size is 4 to 128 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newConsole(t)
			repo, file := filepath.Join(c.dir, "r"), filepath.Join(c.dir, "record.txt")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, errOut, code := c.run("repo", "init", "-r", repo); code != 0 {
				t.Fatalf("init: code %d, %s", code, errOut)
			}
			_, errOut, code := c.run(append([]string{"repo", "backup", "-r", repo, file}, tt.flags...)...)
			if code != tt.code || !strings.Contains(errOut, tt.reason) {
				t.Fatalf("got code %d, %q; want %d, %q", code, errOut, tt.code, tt.reason)
			}
			if size := packed(t, repo); code == 0 && (size > int64(len(text))) != tt.raw {
				t.Errorf("%d bytes became %d, want raw: %v", len(text), size, tt.raw)
			}
		})
	}
}

// packed is how many bytes the packs of a repository take.
func packed(t *testing.T, repo string) (size int64) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(repo, "data", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}
