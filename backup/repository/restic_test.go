package repository_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
)

// restic runs the real program on a repository.
type restic struct {
	binary, repo, cache string
}

func newRestic(t *testing.T, repo string) restic {
	t.Helper()
	if testing.Short() {
		t.Skip("asks the real restic: run without -short")
	}
	binary := os.Getenv("RESTIC_BIN")
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("restic"); err != nil {
			t.Skip("restic is not installed: `apt-get install restic`, or name a binary in RESTIC_BIN")
		}
	}
	return restic{binary: binary, repo: repo, cache: t.TempDir()}
}

func (r restic) run(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.binary, append([]string{"-r", r.repo, "--cache-dir", r.cache}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD="+password, "RESTIC_PROGRESS_FPS=0.1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("restic %v: %v\n%s%s", args, err, out, stderr.Bytes())
	}
	return out
}

func localRepo(t *testing.T) *local.Storage {
	t.Helper()
	st, err := local.Open(filepath.Join(t.TempDir(), "repo"))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// source is a folder with files of many lengths.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, plain := range [][]byte{nil, []byte("x"), prose(1, 100_000), noise(1, 5<<20), make([]byte, 2<<20)} {
		path := filepath.Join(dir, fmt.Sprintf("病历 %d", i))
		if err := os.WriteFile(path, plain, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWeReadWhatResticWrote(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("format version "+version, func(t *testing.T) {
			st := localRepo(t)
			stock := newRestic(t, st.Location())
			stock.run(t, "", "init", "--repository-version", version)
			dir := source(t)
			stock.run(t, dir, "backup", ".")
			if err := os.WriteFile(filepath.Join(dir, "new"), noise(2, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			stock.run(t, dir, "backup", ".")
			r := open(t, st)
			if got := fmt.Sprint(r.Version()); got != version {
				t.Errorf("got version %s, want %s", got, version)
			}
			wantFindings(t, r, true, nil, nil)
			h := blob.DataHandle(blob.Hash([]byte("x")))
			if plain, err := r.LoadBlob(t.Context(), h, nil); err != nil || string(plain) != "x" {
				t.Errorf("got %q, %v", plain, err)
			}
			for _, name := range names(t, st, storage.Snapshot) {
				var snapshot struct{ Paths []string }
				if err := r.LoadUnpacked(t.Context(), storage.Snapshot, name.ID, &snapshot); err != nil || len(snapshot.Paths) != 1 {
					t.Errorf("%s: got %v, %v", name, snapshot, err)
				}
			}
			writeSnapshot(t, r, sample(3, 20))
			stock.run(t, "", "check", "--read-data")
		})
	}
}

func TestResticsLocksAreRespected(t *testing.T) {
	st := localRepo(t)
	stock := newRestic(t, st.Location())
	stock.run(t, "", "init")
	r := open(t, st)
	l, err := r.Lock(t.Context(), repository.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, stock.binary, "-r", stock.repo, "--cache-dir", stock.cache, "backup", ".")
	cmd.Env, cmd.Dir = append(os.Environ(), "RESTIC_PASSWORD="+password), t.TempDir()
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("locked exclusively")) {
		t.Errorf("restic beside our exclusive lock: %v\n%s", err, out)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	stock.run(t, source(t), "backup", ".")
}

// writeSnapshot stores blobs as files of one folder, so that restic sees them
// as used.
func writeSnapshot(t *testing.T, r *repository.Repository, c contents) (files map[string][]byte) {
	t.Helper()
	files = map[string][]byte{}
	nodes := []map[string]any{}
	tree := blob.ID{}
	err := r.Write(t.Context(), func(ctx context.Context, w *repository.Writer) error {
		i := 0
		for h, plain := range c {
			if h.Type != blob.Data {
				continue
			}
			if _, err := w.Save(ctx, blob.Data, plain); err != nil {
				return err
			}
			name := fmt.Sprintf("file-%05d", i)
			i++
			files[name] = plain
			nodes = append(nodes, map[string]any{"name": name, "type": "file", "mode": 0o600, "mtime": time.Now(), "atime": time.Now(),
				"ctime": time.Now(), "uid": os.Getuid(), "gid": os.Getgid(), "size": len(plain), "links": 1, "content": []blob.ID{h.ID}})
		}
		text, err := json.Marshal(map[string]any{"nodes": nodes})
		if err != nil {
			return err
		}
		saved, err := w.Save(ctx, blob.Tree, append(text, '\n'))
		tree = saved.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.SaveUnpacked(t.Context(), storage.Snapshot, map[string]any{"time": time.Now(), "tree": tree, "paths": []string{"/files"}})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestResticReadsWhatWeWrote(t *testing.T) {
	st := localRepo(t)
	stock := newRestic(t, st.Location())
	r := create(t, st)
	c := sample(1, 200)
	c.add(blob.Data, noise(9, 8<<20))
	c.add(blob.Data, make([]byte, 8<<20))
	files := writeSnapshot(t, r, c)
	stock.run(t, "", "check", "--read-data")
	wantRestored(t, stock, files)

	stock.run(t, source(t), "backup", ".") // restic goes on in our repository
	stock.run(t, "", "check", "--read-data")
	wantFindings(t, open(t, st), true, nil, nil)
}

func wantRestored(t *testing.T, stock restic, files map[string][]byte) {
	t.Helper()
	target := t.TempDir()
	stock.run(t, "", "restore", "latest", "--path", "/files", "--target", target)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(target, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

func TestResticReadsWhatWePruned(t *testing.T) {
	st := localRepo(t)
	stock := newRestic(t, st.Location())
	r := create(t, st, repository.WithPackSize(20_000))
	write(t, r, sample(2, 100)) // nobody needs these
	files := writeSnapshot(t, r, sample(1, 100))
	used := blob.NewSet()
	for _, plain := range files {
		used.Add(blob.DataHandle(blob.Hash(plain)))
	}
	var snapshot struct{ Tree blob.ID }
	if err := r.LoadUnpacked(t.Context(), storage.Snapshot, names(t, st, storage.Snapshot)[0].ID, &snapshot); err != nil {
		t.Fatal(err)
	}
	used.Add(blob.TreeHandle(snapshot.Tree))
	report, err := open(t, st).Prune(t.Context(), fixed{used}, repository.PruneOptions{}, nil)
	if err != nil || report.PacksRemoved == 0 {
		t.Fatalf("got %+v, %v", report, err)
	}
	stock.run(t, "", "check", "--read-data")
	wantRestored(t, stock, files)
	stock.run(t, "", "prune")
	wantFindings(t, open(t, st), true, nil, nil)
}
