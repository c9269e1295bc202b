// Package trial tries the whole engine, from a folder to a repository and back,
// in the circumstances that nights bring: storage that fails at any call, bits
// that turn, disks that fill up, lines to object storage that break, and long
// lives of backups, deletions and crashes beside a model that knows what must
// come out. There is nothing here but tests.
//
// What is promised is always the same: a point that was acknowledged is there
// and whole; success is never said when it is not; what is damaged is named and
// never restored as if it were right; and the next run goes on by itself.
//
// Each trial has a number of rounds that fits into every merge, and a variable
// that makes it a campaign (./build.sh campaign).
package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/s3/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m)) }

const password = "geheim"

// cheap makes passwords cost nothing: they are not on trial here.
func cheap() repository.Option { return repository.WithKDF(crypto.KDF{N: 16, R: 1, P: 1}) }

// rounds is how often something is tried: so many times for a merge, more by a
// variable, few with -short.
func rounds(t *testing.T, variable string, usual int) int {
	t.Helper()
	if testing.Short() {
		return max(2, usual/50)
	}
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: got %q, want a number", variable, text)
	}
	return n
}

// firstSeed is where seeded trials begin; EMRVAULT_SEED repeats one that failed.
func firstSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("EMRVAULT_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("EMRVAULT_SEED: %v", err)
	}
	return n
}

// figures logs a line that ./build.sh campaign prints at its end.
func figures(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("figures: "+format, args...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files are what a point holds: by slash path below the source's folder.
type files map[string][]byte

// grown is a small EMR: records that compress, scans that do not, one file of
// several pieces, one empty.
func grown(seed uint64) files {
	rng, f := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}), files{"空": {}}
	noise := func(n int) []byte { b := make([]byte, n); _, _ = rng.Read(b); return b }
	for i := range 12 {
		f[fmt.Sprintf("病历/%d/病程.xml", i%4)+strconv.Itoa(i)] = []byte(strings.Repeat(fmt.Sprintf("<患者 %d %d/>", seed, i), 20+i))
		f[fmt.Sprintf("影像/%d.dcm", i)] = noise(500 + 700*i)
	}
	f["dump.sql"] = append(noise(150_000), bytes.Repeat([]byte("insert "), 9000)...)
	return f
}

// folder writes files into a new folder.
func folder(t testing.TB, f files) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f {
		put(t, dir, name, data)
	}
	return dir
}

func put(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, data, 0o644))
}

// founded makes a repository in memory.
func founded(t testing.TB) *mem.Storage {
	t.Helper()
	st := mem.New()
	_, err := repository.Create(t.Context(), st, password, cheap())
	must(t, err)
	return st
}

func opened(ctx context.Context, st storage.Storage, opts ...repository.Option) (*repository.Repository, error) {
	return repository.Open(ctx, st, password, append(opts, cheap(), repository.WithPackSize(40_000))...)
}

// backedUp makes a point of a folder.
func backedUp(ctx context.Context, st storage.Storage, dir string) (*archive.Result, error) {
	repo, err := opened(ctx, st)
	if err != nil {
		return nil, err
	}
	return archive.Run(ctx, repo, archive.Options{Host: "h"}, func(ctx context.Context, sink source.Sink) error {
		return sink.Files(ctx, source.FileSet{Paths: []string{dir}})
	})
}

// content reads a point to the last byte; files that cannot be read are left
// out and named.
func content(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, dir string) (f files, lost map[string]error, err error) {
	f, lost = files{}, map[string]error{}
	walker := snapshot.Walker{
		Visit: func(path string, n *snapshot.Node) error {
			if n.Type != snapshot.File {
				return nil
			}
			name := strings.TrimPrefix(path, filepath.ToSlash(dir)+"/")
			data := []byte{}
			for _, id := range n.Content {
				plain, err := repo.LoadBlob(ctx, blob.DataHandle(id), nil)
				if err != nil {
					lost[name] = err
					return nil
				}
				data = append(data, plain...)
			}
			f[name] = data
			return nil
		},
		Problem: func(path string, err error) error { lost[path] = err; return nil },
	}
	return f, lost, walker.Walk(ctx, repo, "/", sn.Tree)
}

// whole proves that a point is there and holds exactly these files.
func whole(ctx context.Context, st storage.Storage, id, dir string, want files) error {
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	if err := repo.LoadIndex(ctx); err != nil {
		return err
	}
	sn, err := snapshot.Load(ctx, repo, id)
	if err != nil {
		return err
	}
	got, lost, err := content(ctx, repo, sn, dir)
	if err != nil || len(lost) > 0 {
		return fmt.Errorf("point %s: lost %v, %w", sn.Short(), lost, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return same(got, want)
}

func same(got, want files) error {
	for name, data := range want {
		if !bytes.Equal(got[name], data) {
			return fmt.Errorf("%s: got %d bytes, want %d others", name, len(got[name]), len(data))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("got the files %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	return nil
}

// faults are what a check of every byte finds to be wrong.
func faults(ctx context.Context, st storage.Storage) (found []repository.Finding, err error) {
	repo, err := opened(ctx, st)
	if err != nil {
		return nil, err
	}
	hear := func(f repository.Finding) {
		if f.Level == repository.Error {
			found = append(found, f)
		}
	}
	if err := repo.CheckStore(ctx, repository.CheckOptions{ReadData: true}, hear, nil); err != nil {
		return found, err
	}
	return found, snapshot.Check(ctx, repo, hear)
}

// sound wants nothing to be wrong.
func sound(ctx context.Context, st storage.Storage) error {
	found, err := faults(ctx, st)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("the check finds %v: %w", found, backup.ErrDamaged)
	}
	return err
}

// names lists the documents of a kind.
func names(t testing.TB, st storage.Storage, kind storage.Kind) (list []storage.Name) {
	t.Helper()
	must(t, st.List(context.Background(), kind, func(i storage.Info) error { list = append(list, i.Name); return nil }))
	slices.SortFunc(list, func(a, b storage.Name) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// bury removes the locks of a program that died: the next one on its machine
// does so itself, but here all live in one process.
func bury(t testing.TB, st storage.Storage) {
	t.Helper()
	for _, name := range names(t, st, storage.Lock) {
		must(t, st.Remove(context.Background(), name))
	}
}

// day is a moment of backups in the past.
func day(n int) time.Time { return time.Date(2026, 1, 1, 1, 30, 0, 0, time.UTC).AddDate(0, 0, n) }
