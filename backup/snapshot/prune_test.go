package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

// life is a repository that several programs use at once, and a model of what
// every snapshot needs.
type life struct {
	t      *testing.T
	random *rand.Rand
	st     *mem.Storage
	pool   [][]byte                      // content of files; many snapshots share it
	model  map[string]map[blob.ID][]byte // files of each snapshot that was acknowledged
	live   []*writing                    // backups at work
	number int
	met    map[string]int // what happened how often
}

// writing is a backup at work: it holds its lock from begin to commit.
type writing struct {
	repo  *repository.Repository
	lock  *repository.Lock
	tree  blob.ID
	files map[blob.ID][]byte
	check string // its checkpoint, if it has left one
}

func newLife(t *testing.T, seed uint64) *life {
	l := &life{
		t: t, random: rand.New(rand.NewPCG(seed, 3)), st: mem.New(),
		model: map[string]map[blob.ID][]byte{}, met: map[string]int{},
	}
	for range 40 {
		plain := make([]byte, 200+l.random.IntN(1500))
		for i := range plain {
			plain[i] = byte(l.random.Uint32())
		}
		l.pool = append(l.pool, plain)
	}
	if _, err := repository.Create(t.Context(), l.st, "geheim", repository.WithKDF(crypto.KDF{N: 16, R: 1, P: 1})); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *life) open(st storage.Storage) *repository.Repository {
	l.t.Helper()
	repo, err := repository.Open(l.t.Context(), st, "geheim", repository.WithKDF(crypto.KDF{N: 16, R: 1, P: 1}),
		repository.WithPackSize(1500+l.random.IntN(5000)))
	if err != nil {
		l.t.Fatal(err)
	}
	return repo
}

func (l *life) fatal(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// act lets one of the programs take its next step.
func (l *life) act() {
	switch l.random.IntN(9) {
	case 0, 1, 2:
		l.begin()
	case 3, 4, 5:
		l.commit()
	case 6:
		l.die()
	case 7:
		l.forget()
	case 8:
		l.reindex()
	}
}

// begin starts a backup and writes what it writes; whether a snapshot follows
// is decided later.
func (l *life) begin() {
	if len(l.live) > 2 {
		return
	}
	w := &writing{repo: l.open(l.st), files: map[blob.ID][]byte{}}
	var err error
	if w.lock, err = w.repo.Lock(l.t.Context(), repository.Append); errors.Is(err, backup.ErrLocked) {
		l.met["backup refused"]++
		return
	}
	l.fatal(err)
	l.fatal(w.repo.LoadIndex(w.lock.Context()))
	l.fatal(w.repo.Write(w.lock.Context(), func(ctx context.Context, writer *repository.Writer) error {
		l.number++
		nodes := []*snapshot.Node{{Name: fmt.Sprintf("%04d", l.number), Type: snapshot.File, Content: []blob.ID{}}}
		for i := range 1 + l.random.IntN(6) {
			plain := l.pool[l.random.IntN(len(l.pool))]
			saved, err := writer.Save(ctx, blob.Data, plain)
			if err != nil {
				return err
			}
			w.files[saved.ID] = plain
			nodes = append(nodes, &snapshot.Node{Name: fmt.Sprintf("f%d", i), Type: snapshot.File, Size: uint64(len(plain)), Content: []blob.ID{saved.ID}})
		}
		inner, err := snapshot.SaveTree(ctx, writer, &snapshot.Tree{Nodes: nodes})
		if err != nil {
			return err
		}
		outer, err := snapshot.SaveTree(ctx, writer, &snapshot.Tree{Nodes: []*snapshot.Node{{Name: "d", Type: snapshot.Dir, Subtree: inner.ID}}})
		w.tree = outer.ID
		return err
	}))
	if l.random.IntN(3) == 0 {
		sn := &snapshot.Snapshot{Tree: w.tree, Paths: []string{"/"}, Tags: []string{snapshot.CheckpointTag}}
		l.fatal(snapshot.Save(w.lock.Context(), w.repo, sn))
		w.check = sn.ID
		l.met["checkpoint"]++
	}
	l.live = append(l.live, w)
}

// take picks one of the backups at work.
func (l *life) take() *writing {
	if len(l.live) == 0 {
		return nil
	}
	i := l.random.IntN(len(l.live))
	w := l.live[i]
	l.live = slices.Delete(l.live, i, i+1)
	return w
}

func (l *life) commit() {
	w := l.take()
	if w == nil {
		return
	}
	sn := &snapshot.Snapshot{Tree: w.tree, Paths: []string{"/"}}
	l.fatal(snapshot.Save(w.lock.Context(), w.repo, sn))
	if w.check != "" {
		l.fatal(snapshot.Remove(w.lock.Context(), w.repo, w.check))
	}
	l.fatal(w.lock.Unlock())
	l.model[sn.ID] = w.files
	l.met["backup"]++
}

// die ends a backup without a snapshot; the next program removes its lock.
func (l *life) die() {
	if w := l.take(); w != nil {
		l.fatal(w.lock.Unlock())
		l.met["dead backup"]++
	}
}

// alone does something that needs the repository alone.
func (l *life) alone(what string, fn func(ctx context.Context, repo *repository.Repository) error) {
	repo := l.open(l.st)
	lock, err := repo.Lock(l.t.Context(), repository.Exclusive)
	if errors.Is(err, backup.ErrLocked) {
		return
	}
	l.fatal(err)
	l.fatal(fn(lock.Context(), repo))
	l.fatal(lock.Unlock())
	l.met[what]++
}

func (l *life) forget() {
	l.alone("forget", func(ctx context.Context, repo *repository.Repository) error {
		for _, id := range slices.Sorted(maps.Keys(l.model)) {
			if l.random.IntN(3) == 0 {
				delete(l.model, id)
				if err := snapshot.Remove(ctx, repo, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// reindex brings packs back that no index names, as repair index does.
func (l *life) reindex() {
	l.alone("repair index", func(ctx context.Context, repo *repository.Repository) error {
		_, err := repo.RepairIndex(ctx, repository.IndexOptions{}, nil)
		return err
	})
}

// prune prunes while others act in between, and often stops in the middle.
func (l *life) prune() {
	st := &crowded{Storage: l.st, life: l, turn: make(chan struct{}, 1)}
	repo := l.open(st)
	st.calls = 0
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	switch l.random.IntN(4) {
	case 0:
		st.fail = 1 + l.random.IntN(60)
	case 1:
		st.cancel, st.fail = cancel, 1+l.random.IntN(60)
	}
	options := repository.PruneOptions{MaxUnusedPercent: float64(l.random.IntN(30) - 10)}
	report, err := snapshot.Prune(ctx, repo, options, nil)
	switch {
	case err == nil && report.Postponed != "":
		l.met["postponed "+string(report.Postponed)]++
	case err == nil:
		l.met["pruned"]++
	case errors.Is(err, errStopped), errors.Is(err, context.Canceled):
		l.met["stopped"]++
	case errors.Is(err, backup.ErrLocked):
	default:
		l.t.Fatalf("prune: %v", err)
	}
	l.met["rescued"] += int(report.PacksRescued)
}

var errStopped = errors.New("the machine stops on purpose")

// crowded is a storage in which others act between the calls of one program.
// Locks are never in the way of a stop, so that they are given back.
type crowded struct {
	storage.Storage
	life   *life
	turn   chan struct{} // one call at a time; a mutex would stop the test's clock
	calls  int
	fail   int // the call from which on everything fails, or the program is interrupted; 0: none
	cancel context.CancelFunc

	stopped atomic.Bool
}

func (s *crowded) do(name storage.Name, call func() error) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.calls++
	if s.fail > 0 && s.calls >= s.fail && name.Kind != storage.Lock {
		if s.cancel == nil {
			s.stopped.Store(true)
			return errStopped
		}
		s.cancel()
	}
	if s.life.random.IntN(4) == 0 {
		s.life.act()
	}
	return call()
}

// Save of a pack waits for nobody: others wait for it with a mutex, and that
// would stop the test's clock. They have their turn before the next call.
func (s *crowded) Save(ctx context.Context, name storage.Name, data []byte) error {
	if name.Kind == storage.Pack {
		if s.stopped.Load() {
			return errStopped
		}
		return s.Storage.Save(ctx, name, data)
	}
	return s.do(name, func() error { return s.Storage.Save(ctx, name, data) })
}

// Remove takes its time for packs, so that deleting them takes several turns.
func (s *crowded) Remove(ctx context.Context, name storage.Name) error {
	if name.Kind == storage.Pack {
		time.Sleep(3 * time.Second)
	}
	return s.do(name, func() error { return s.Storage.Remove(ctx, name) })
}

func (s *crowded) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) (data []byte, err error) {
	err = s.do(name, func() error {
		data, err = s.Storage.Load(ctx, name, buf, offset, length)
		return err
	})
	return data, err
}

func (s *crowded) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	var infos []storage.Info
	err := s.do(storage.Name{Kind: kind}, func() error {
		return s.Storage.List(ctx, kind, func(i storage.Info) error { infos = append(infos, i); return nil })
	})
	for i := 0; err == nil && i < len(infos); i++ {
		err = fn(infos[i])
	}
	return err
}

// whole proves that every acknowledged snapshot reads to the last byte.
func (l *life) whole() {
	l.t.Helper()
	repo := l.open(l.st)
	l.fatal(repo.LoadIndex(l.t.Context()))
	for id, files := range l.model {
		sn, err := snapshot.Load(l.t.Context(), repo, id)
		l.fatal(err)
		l.fatal(snapshot.Walk(l.t.Context(), repo, sn.Tree, func(string, *snapshot.Node) error { return nil }))
		for blobID, want := range files {
			got, err := repo.LoadBlob(l.t.Context(), blob.DataHandle(blobID), nil)
			if err != nil || !bytes.Equal(got, want) {
				l.t.Fatalf("snapshot %s: %s: got %d bytes, %v", sn.Short(), blobID.Short(), len(got), err)
			}
		}
	}
	l.fatal(repo.Close())
}

// Whatever others do between any two calls of a prune, and wherever it stops,
// every acknowledged snapshot stays whole; and once it is left alone, it
// leaves nothing behind.
func TestPruneAmongOthers(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	met := map[string]int{}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, seed)
				for range 12 {
					for range l.random.IntN(5) {
						l.act()
					}
					l.prune()
					l.whole()
				}
				l.end()
				for what, n := range l.met {
					met[what] += n
				}
			})
		})
	}
	t.Logf("%v", met)
	for _, what := range []string{"backup", "checkpoint", "dead backup", "forget", "repair index", "pruned", "stopped", "postponed switch", "postponed remove", "rescued"} {
		if met[what] == 0 && !testing.Short() {
			t.Errorf("%s never happened: the lives are too poor", what)
		}
	}
}

// end lets all backups end and prunes twice in peace.
func (l *life) end() {
	for len(l.live) > 0 {
		l.commit()
	}
	for range 2 {
		report, err := snapshot.Prune(l.t.Context(), l.open(l.st), repository.PruneOptions{MaxUnusedPercent: -1}, nil)
		if err != nil || report.Postponed != "" || report.PacksLeft > 0 {
			l.t.Fatalf("the last prune: %+v, %v", report, err)
		}
	}
	l.whole()
	repo := l.open(l.st)
	l.fatal(repo.CheckStore(l.t.Context(), repository.CheckOptions{ReadData: true}, func(f repository.Finding) {
		l.t.Errorf("afterwards: %s", f)
	}, nil))
}

// fading is a storage from which a snapshot goes right after it was listed.
type fading struct {
	*mem.Storage
	id   string
	keep bool // it is listed still
}

func (s *fading) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	err := s.Storage.List(ctx, kind, fn)
	if name := (storage.Name{Kind: kind, ID: s.id}); err == nil && kind == storage.Snapshot {
		if _, statErr := s.Stat(ctx, name); statErr == nil {
			return s.Remove(ctx, name)
		} else if s.keep {
			return fn(storage.Info{Name: name})
		}
	}
	return err
}

// A backup that ends while a prune looks removes its checkpoint; a snapshot
// that is still listed and cannot be read is damage.
func TestUsedPassesOverACheckpointThatGoes(t *testing.T) {
	for _, keep := range []bool{false, true} {
		l := newLife(t, 1)
		l.begin()
		l.begin()
		l.commit()
		l.commit()
		going := slices.Sorted(maps.Keys(l.model))[0]
		repo := l.open(&fading{l.st, going, keep})
		l.fatal(repo.LoadIndex(t.Context()))
		if used, err := snapshot.Used(t.Context(), repo); errors.Is(err, backup.ErrDamaged) != keep || !keep && used.Len() < 3 {
			t.Errorf("still listed %v: got %d blobs, %v", keep, used.Len(), err)
		}
	}
}

// forgetful is a storage whose listing lacks one snapshot that is there.
type forgetful struct {
	storage.Storage
	id string
}

func (f *forgetful) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	return f.Storage.List(ctx, kind, func(info storage.Info) error {
		if info.Name.ID == f.id {
			return nil
		}
		return fn(info)
	})
}

// What the book promises and the listing lacks is asked for by name: a stale
// listing must not cost a point, and a point that is gone must not stop a prune.
func TestPruneBelievesNoListingAgainstThePromise(t *testing.T) {
	l := newLife(t, 1)
	for range 2 {
		l.begin()
		l.commit()
	}
	hidden := slices.Sorted(maps.Keys(l.model))[0]
	gone := strings.Repeat("0", 64)
	packs := func() (n int) {
		l.fatal(l.st.List(t.Context(), storage.Pack, func(storage.Info) error { n++; return nil }))
		return n
	}
	before := packs()
	repo := l.open(&forgetful{l.st, hidden})
	_, err := snapshot.Prune(t.Context(), repo, repository.PruneOptions{MaxUnusedPercent: -1, Promised: []string{gone, hidden}}, nil)
	if !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("prune with a snapshot hidden: got %v, want %v", err, backup.ErrDamaged)
	}
	if after := packs(); after != before {
		t.Errorf("prune with a snapshot hidden: %d packs are left of %d", after, before)
	}
	if _, err := snapshot.Prune(t.Context(), l.open(l.st), repository.PruneOptions{Promised: []string{gone, hidden}}, nil); err != nil {
		t.Errorf("prune with a promise that is gone: %v", err)
	}
}
