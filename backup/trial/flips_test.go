package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// ward is a repository whose bits are turned, its second copy, and what hangs
// on each blob.
type ward struct {
	*history
	second *mem.Storage
	names  map[storage.Kind][]storage.Name
	spans  map[string][]span               // by pack: where its blobs lie
	needs  map[blob.Handle]map[string]bool // "point name" of the files that need a blob
	trees  map[string]bool                 // packs of folder lists
}

// span is the place of a blob in its pack.
type span struct {
	handle blob.Handle
	from   int
	to     int
}

const otherPassword = "zweites"

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{
		history: lived(t), second: founded(t), names: map[storage.Kind][]storage.Name{}, spans: map[string][]span{},
		needs: map[blob.Handle]map[string]bool{}, trees: map[string]bool{},
	}
	repo, err := opened(t.Context(), w.st)
	must(t, err)
	_, err = snapshot.Prune(t.Context(), repo, repository.PruneOptions{MaxUnusedPercent: -1}, nil)
	must(t, err)
	_, err = repo.AddKey(t.Context(), otherPassword, repository.KeyHints{})
	must(t, err)
	_, err = repo.SaveUnpacked(t.Context(), storage.Lock, map[string]any{"time": day(0), "hostname": "elsewhere", "pid": 1})
	must(t, err)
	_, err = copied(t.Context(), w.st, w.second)
	must(t, err)
	for _, kind := range []storage.Kind{storage.Config, storage.Key, storage.Index, storage.Snapshot, storage.Pack, storage.Lock} {
		w.names[kind] = names(t, w.st, kind)
	}
	w.survey(t)
	return w
}

// survey notes where blobs lie and which files need them.
func (w *ward) survey(t *testing.T) {
	t.Helper()
	repo, err := opened(t.Context(), w.st)
	must(t, err)
	must(t, repo.LoadIndex(t.Context()))
	need := func(h blob.Handle, file string) {
		if w.needs[h] == nil {
			w.needs[h] = map[string]bool{}
			id, offset, length, _, ok := repo.Locate(h)
			if !ok {
				t.Fatalf("%s is nowhere", h)
			}
			w.spans[id.String()] = append(w.spans[id.String()], span{h, int(offset), int(offset + length)})
			w.trees[id.String()] = w.trees[id.String()] || h.Type == blob.Tree
		}
		w.needs[h][file] = true
	}
	for id := range w.points {
		sn, err := snapshot.Load(t.Context(), repo, id)
		must(t, err)
		var above []blob.Handle // of the folders on the way down
		above = append(above, blob.TreeHandle(sn.Tree))
		must(t, snapshot.Walker{
			Visit: func(path string, n *snapshot.Node) error {
				if n.IsDir() {
					above = append(above, blob.TreeHandle(n.Subtree))
					return nil
				}
				file := id + strings.TrimPrefix(path, filepath.ToSlash(w.dir))
				for _, h := range above {
					need(h, file)
				}
				for _, piece := range n.Content {
					need(blob.DataHandle(piece), file)
				}
				return nil
			},
			Leave: func(string, *snapshot.Node) error { above = above[:len(above)-1]; return nil },
		}.Walk(t.Context(), repo, "/", sn.Tree))
	}
}

// flip is one turned bit.
type flip struct {
	name storage.Name
	at   int // the byte
	bit  uint
}

// sort is what the flip is counted as.
func (w *ward) sort(f flip) string {
	if f.name.Kind == storage.Pack && w.trees[f.name.ID] {
		return "data (folders)"
	}
	return string(f.name.Kind)
}

// draw chooses the flip of a round: every kind of file in turn, the two kinds
// of packs more often than the rest.
func (w *ward) draw(seed uint64) flip {
	rng := rand.New(rand.NewPCG(seed, 11))
	kinds := []storage.Kind{
		storage.Pack, storage.Index, storage.Pack, storage.Snapshot, storage.Pack, storage.Key, storage.Pack, storage.Config, storage.Pack, storage.Lock,
	}
	list := w.names[kinds[seed%uint64(len(kinds))]]
	f := flip{name: list[rng.IntN(len(list))], bit: uint(rng.IntN(8))}
	info, err := w.st.Stat(context.Background(), f.name)
	if err != nil {
		panic(err) // it is in memory
	}
	f.at = rng.IntN(int(info.Size))
	return f
}

// hit is what may be lost by a flip: files as in needs.
func (w *ward) hit(f flip) map[string]bool {
	for _, s := range w.spans[f.name.ID] {
		if f.at >= s.from && f.at < s.to {
			return w.needs[s.handle]
		}
	}
	return nil
}

// ill gives the repository with the flip.
func (w *ward) ill(ctx context.Context, f flip) (*mem.Storage, error) {
	st := w.st.Clone()
	data, err := st.Load(ctx, f.name, nil, 0, -1)
	if err != nil {
		return nil, err
	}
	data = bytes.Clone(data)
	data[f.at] ^= 1 << f.bit
	st.Put(f.name, data)
	return st, nil
}

// TestFlips turns single bits of every kind of file. Each is noticed by a check
// of every byte; nothing wrong is ever restored, and all that does not hang on
// the bit is; and with a second copy, or a second key, everything is healed.
func TestFlips(t *testing.T) {
	t.Parallel()
	w, all, first := newWard(t), rounds(t, "EMRVAULT_FLIPS", 500), firstSeed(t)
	var mu sync.Mutex
	counts := map[string]int{}
	var group errgroup.Group
	group.SetLimit(8)
	for i := range all {
		group.Go(func() error {
			f := w.draw(first + uint64(i))
			if err := w.suffer(t.Context(), f); err != nil {
				return fmt.Errorf("seed %d: bit %d of byte %d of %s (%s): %w", first+uint64(i), f.bit, f.at, f.name, w.sort(f), err)
			}
			mu.Lock()
			defer mu.Unlock()
			counts[w.sort(f)]++
			return nil
		})
	}
	must(t, group.Wait())
	figures(t, "%d flipped bits %v: all noticed, 0 wrong bytes restored, all healed", all, counts)
	if len(counts) < 7 && !testing.Short() {
		t.Errorf("got flips of %v, want some of every kind", counts)
	}
}

// suffer makes one flip and proves all that is promised of it.
func (w *ward) suffer(ctx context.Context, f flip) error {
	st, err := w.ill(ctx, f)
	if err != nil {
		return err
	}
	if err := w.noticed(ctx, st, f); err != nil {
		return err
	}
	if err := w.restored(ctx, st, f); err != nil {
		return fmt.Errorf("before it was healed: %w", err)
	}
	if err := w.heal(ctx, st, f); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	if err := sound(ctx, st); err != nil {
		return fmt.Errorf("healed: %w", err)
	}
	return w.back(ctx, st)
}

// back reads every point from the healed repository.
func (w *ward) back(ctx context.Context, st storage.Storage) error {
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	list, err := snapshot.List(ctx, repo, snapshot.Filter{})
	if err != nil || len(list) != len(w.points) {
		return fmt.Errorf("healed: got %d points, %w, want %d", len(list), err, len(w.points))
	}
	for _, sn := range list {
		want, known := w.points[sn.ID]
		if !known {
			want = w.points[sn.Original.String()]
		}
		if err := whole(ctx, st, sn.ID, w.dir, want); err != nil {
			return fmt.Errorf("healed: %w", err)
		}
	}
	return nil
}

func (w *ward) noticed(ctx context.Context, st *mem.Storage, f flip) error {
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	var found []string
	hear := func(f repository.Finding) { found = append(found, f.String()) }
	if err := repo.CheckStore(ctx, repository.CheckOptions{ReadData: true}, hear, nil); err != nil {
		return err
	}
	if err := snapshot.Check(ctx, repo, hear); err != nil {
		return err
	}
	if !strings.Contains(strings.Join(found, "\n"), f.name.Path()) && !strings.Contains(strings.Join(found, "\n"), f.name.ID) || len(found) == 0 {
		return fmt.Errorf("the check does not name it: %q", found)
	}
	return nil
}

// restored restores every point that can be. What comes back is right to the
// last byte, and nothing is missing but what hangs on the flip.
func (w *ward) restored(ctx context.Context, st storage.Storage, f flip) error {
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	list, err := snapshot.List(ctx, repo, snapshot.Filter{})
	if (err != nil) != (f.name.Kind == storage.Snapshot) {
		return fmt.Errorf("list points: %w", err)
	}
	seen := map[string]bool{}
	for _, sn := range list {
		id := sn.ID
		if _, known := w.points[id]; !known {
			id = sn.Original.String()
		}
		seen[id] = true
		if err := w.restore(ctx, repo, sn, id, w.hit(f), f.name.Kind == storage.Index); err != nil {
			return fmt.Errorf("point %s: %w", sn.Short(), err)
		}
	}
	for id := range w.points {
		if !seen[id] && id != f.name.ID {
			return fmt.Errorf("point %s is gone", id)
		}
	}
	return nil
}

func (w *ward) restore(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, id string, hit map[string]bool, told bool) error {
	target, err := os.MkdirTemp("", "flip")
	if err != nil {
		return err
	}
	defer os.RemoveAll(target)
	_, failed := restore.Run(ctx, repo, sn, restore.Options{Target: target, Subtree: filepath.ToSlash(w.dir), Temporary: true, Unmarked: true})
	if failed != nil && !errors.Is(failed, backup.ErrDamaged) {
		return failed
	}
	missing := 0
	for name, want := range w.points[id] {
		got, err := os.ReadFile(filepath.Join(target, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist) && hit[id+"/"+name]:
			missing++
		case err != nil || !bytes.Equal(got, want):
			return fmt.Errorf("%s: got %d bytes, %w, want %d others (the restore said %w)", name, len(got), orNone(err), len(want), orNone(failed))
		}
	}
	// A damaged index file costs nothing but is told.
	if missing > 0 && failed == nil || missing == 0 && failed != nil && hit == nil && !told {
		return fmt.Errorf("%d files are missing, and the restore said %w", missing, failed)
	}
	return nil
}

// heal does what an administrator with a second copy does.
func (w *ward) heal(ctx context.Context, st *mem.Storage, f flip) error {
	switch f.name.Kind {
	case storage.Config:
		// Nobody else has another of it, nor of the keys. A single turned bit is
		// undone on opening; the file itself comes back from a copy of it.
		return w.bringBack(ctx, st, f)
	case storage.Key:
		return w.newKey(ctx, st, f)
	case storage.Lock:
		repo, err := opened(ctx, st)
		if err != nil {
			return err
		}
		_, err = repo.RemoveAllLocks(ctx)
		return err
	}
	bury2(st, w.names[storage.Lock])
	repo, err := opened(ctx, st)
	if err != nil {
		return err
	}
	from, err := opened(ctx, w.second)
	if err == nil {
		err = from.LoadIndex(ctx)
	}
	if err != nil {
		return err
	}
	if f.name.Kind != storage.Snapshot {
		return healed(ctx, repo, from)
	}
	if err := repo.LoadIndex(ctx); err != nil {
		return err
	}
	if _, err := snapshot.Repair(ctx, repo, blob.NewSet(), true, nil); err != nil {
		return err
	}
	_, err = copied(ctx, w.second, st)
	return err
}

// bury2 removes the stranger's lock, which is in nobody's way but of those who
// want the repository alone.
func bury2(st *mem.Storage, locks []storage.Name) {
	for _, name := range locks {
		_ = st.Remove(context.Background(), name) // it may have gone before
	}
}

// healed is `repo repair packs --from`.
func healed(ctx context.Context, repo, from *repository.Repository) error {
	if _, err := repo.RepairIndex(ctx, repository.IndexOptions{}, nil); err != nil {
		return err
	}
	sick, err := repo.Sick(ctx, true, func(repository.Finding) {}, nil)
	if err != nil {
		return err
	}
	if err := repo.LoadIndex(ctx); err != nil {
		return err
	}
	if _, err := repo.Heal(ctx, sick, from, nil); err != nil {
		return err
	}
	_, err = snapshot.Fill(ctx, repo, from, nil)
	return err
}

func (w *ward) bringBack(ctx context.Context, st *mem.Storage, f flip) error {
	data, err := w.st.Load(ctx, f.name, nil, 0, -1)
	if err == nil {
		st.Put(f.name, data)
	}
	return err
}

// newKey opens with the key that is not damaged, makes one for the password anew
// and removes the damaged file: no key removes itself.
func (w *ward) newKey(ctx context.Context, st *mem.Storage, f flip) error {
	var refused []error
	for _, word := range []string{password, otherPassword} {
		repo, err := repository.Open(ctx, st, word, cheap())
		if err == nil {
			_, err = repo.AddKey(ctx, password, repository.KeyHints{})
		}
		if err == nil {
			err = repo.RemoveKey(ctx, f.name.ID)
		}
		if err == nil {
			return nil
		}
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}
