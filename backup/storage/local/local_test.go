package local_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/storagetest"
)

func open(t *testing.T, dir string) *local.Storage {
	t.Helper()
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStorage(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Storage { return open(t, filepath.Join(t.TempDir(), "仓库 repository")) })
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"no name": "", "a file": file} {
		if _, err := local.Open(dir); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

// files lists what lies below a folder, relative to it.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			list = append(list, strings.TrimPrefix(path, dir+string(filepath.Separator)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir(filepath.Join(dir, "data"))
	if err != nil || len(folders) != 256 {
		t.Errorf("got %d folders in data (%v), want 256", len(folders), err)
	}
	name := storagetest.Document(storage.Pack, []byte("pack"))
	if err := s.Save(t.Context(), name, []byte("pack")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "data", name.ID[:2], name.ID)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o400 {
		t.Errorf("got mode %o, want 400", mode)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("got files %v, want only the pack", got)
	}
}

func TestMissingFolderOfTheLayoutIsMade(t *testing.T) {
	s := open(t, t.TempDir())
	name := storagetest.Document(storage.Pack, []byte("pack"))
	if err := s.Save(t.Context(), name, []byte("pack")); err != nil {
		t.Errorf("save into a place without folders: %v", err)
	}
}

// A repository on a disk that is not mounted must not be begun anew below the
// mount point.
func TestVanishedPlaceIsNotMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "unplugged")
	s := open(t, dir)
	err := s.Save(t.Context(), storagetest.Document(storage.Pack, []byte("x")), []byte("x"))
	if !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made")
	}
}

func TestStrangersAreNotListed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := storagetest.Document(storage.Pack, []byte("pack"))
	if err := s.Save(t.Context(), good, []byte("pack")); err != nil {
		t.Fatal(err)
	}
	other := "00"
	if good.ID[:2] == other {
		other = "01"
	}
	for _, path := range []string{
		"data/" + good.ID[:2] + "/README", "data/" + good.ID[:2] + "/" + good.ID + "-tmp-123",
		"data/" + other + "/" + good.ID, "data/" + good.ID, "data/" + strings.ToUpper(good.ID), "index/.nfs123",
	} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "index", good.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[storage.Kind]int{storage.Pack: 1, storage.Index: 0} {
		got := 0
		if err := s.List(t.Context(), kind, func(storage.Info) error { got++; return nil }); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", kind, got, err, want)
		}
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := storagetest.Document(storage.Pack, []byte("pack"))
	if err := s.Save(t.Context(), name, []byte("pack")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	leave := func(path string, when time.Time) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.WriteFile(path, []byte("half"), 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	leave("data/00/"+name.ID+"-tmp-1", old)
	leave("index/"+name.ID+"-tmp-2", old)
	leave("config-tmp-3", old)
	leave("keys/"+name.ID+"-tmp-4", time.Now())
	leave("notes-tmp-5", old)
	removed, err := s.Sweep(t.Context(), time.Hour)
	if err != nil || removed != 3 {
		t.Errorf("got %d, %v; want 3 removed", removed, err)
	}
	if got := files(t, dir); len(got) != 3 {
		t.Errorf("got %v, want the pack, a fresh part and somebody's notes", got)
	}
}

func TestSpace(t *testing.T) {
	free, total, err := open(t, t.TempDir()).Space(t.Context())
	if err != nil || free == 0 || total < free {
		t.Errorf("got %d of %d, %v", free, total, err)
	}
}

func TestOverwrittenDamageIsHealed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	data := bytes.Repeat([]byte("pack"), 1000)
	name := storagetest.Document(storage.Pack, data)
	path := filepath.Join(dir, filepath.FromSlash(name.Path()))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:100], 0o400); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(t.Context(), name, nil, 0, -1); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(data))
	}
}
