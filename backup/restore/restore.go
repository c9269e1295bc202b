package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/snapshot/pattern"
	"emrvault/backup/storage"
)

// Options say what is restored, and where to.
type Options struct {
	Target  string   // folder; made when absent
	Subtree string   // a folder or file of the snapshot; its contents go to Target. Empty: everything
	Include []string // patterns of paths in the snapshot; empty: everything
	Exclude []string

	AllowNotEmpty bool // write into a folder that has something in it; files of the same name are replaced
	Resume        bool // AllowNotEmpty, but files that are right stay, and of others only wrong pieces are written
	Delete        bool // also remove what the snapshot does not have; implies Resume
	Verify        bool // read everything again afterwards, and before believing that a file that stands there is right
	Devices       bool // make device nodes, when run by root
	Sparse        bool // leave holes where pieces are nothing but zeros
	Temporary     bool // the target will be looked at and deleted: nothing in it need survive a power cut
	Unmarked      bool // leave no mark in the target while at work; the restore cannot be resumed then
	PortableNames bool // names as Windows can hold them; always so on Windows

	Progress backup.Progress // nil is silent
}

// Problem is something that was not restored as the snapshot has it.
type Problem struct {
	Path string
	Err  error
}

// Error names the path and what was wrong.
func (p Problem) Error() string { return p.Path + ": " + p.Err.Error() }

// Result counts what was restored. It is given beside an error, too.
type Result struct {
	Files, Dirs, Others int64
	Bytes               int64
	Deleted             int64
	Kept                int64     // files that stood there already and were right; Files and Bytes count them, too
	Resumed             bool      // an earlier restore of the same kind was found and carried on
	Renamed             []Renamed // names the target cannot hold as they are
	Skipped             []Problem // left out on purpose: sockets, devices, attributes the target cannot hold
	Problems            []Problem
	Verified            *VerifyResult // nil unless asked for
}

// Renamed is an entry that bears another name in the target.
type Renamed struct {
	Path string // in the snapshot
	Name string // in the target
}

// maxTold bounds the problems that a Result lists: a repository made to harm
// may have more of them than memory.
const maxTold = 10_000

// Run restores a snapshot. Other files are restored although some are damaged;
// the error then wraps backup.ErrDamaged and the result names each of them.
func Run(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, opts Options) (*Result, error) {
	if opts.Progress == nil {
		opts.Progress = backup.Silent{}
	}
	chosen, err := choose(opts.Include, opts.Exclude)
	if err != nil {
		return nil, err
	}
	lock, err := repo.Lock(ctx, repository.Read)
	if err != nil {
		return nil, fmt.Errorf("lock repository for the restore: %w", err)
	}
	r := &run{repo: repo, sn: sn, opts: opts, chosen: chosen, result: &Result{}}
	r.suit()
	err = r.all(lock.Context())
	if full(err) {
		err = fmt.Errorf("%w: %w", backup.ErrStorageFull, err)
	}
	if unlockErr := lock.Unlock(); unlockErr != nil {
		opts.Progress.Problem("lock", unlockErr)
	}
	r.count()
	if err != nil {
		return r.result, err
	}
	return r.result, trouble("restore", r.result.Problems)
}

// run is one restore under way.
type run struct {
	repo   *repository.Repository
	sn     *snapshot.Snapshot
	opts   Options
	chosen choice
	tree   *places
	base   *folder // the target, when it is based

	root     bool        // may give files to their owners
	uid, gid uint32      // our own
	umask    fs.FileMode // bits that files do not get when they are made
	portable bool        // names must suit Windows
	distant  bool        // each request to the storage is a round trip
	flights  int         // packs read at once
	resume   bool        // what stands in the target may be right
	doubt    bool        // but its size and time do not prove that it is
	marked   bool        // whoever comes later can resume
	based    bool        // the target gets the metadata of a folder
	fresh    bool        // nothing stands in the target
	able     abilities   // of the target

	meter                  meter
	dirs, others, deleted  atomic.Int64
	kept, waiting, dropped atomic.Int64 // waiting: files with an open descriptor

	heavy sync.Mutex // held by who expands long blobs
	large repository.Memory

	mu     sync.Mutex
	result *Result
	lacks  [traits]lack
	spare  []*repository.Memory
}

// suit fits the run to the machine and the storage. A pack being read costs up
// to 4 MiB sealed and its longest blob in plain.
func (r *run) suit() {
	const distantFlights = 12
	uid, gid := os.Geteuid(), os.Getegid()
	r.root, r.uid, r.gid, r.umask = uid == 0, uint32(uid), uint32(gid), umask()
	r.portable = suitsWindows(r.opts.PortableNames)
	_, remote := storage.As[storage.Remote](r.repo.Storage())
	_, distant := storage.As[storage.Distant](r.repo.Storage())
	r.distant = remote || distant
	if r.flights = runtime.GOMAXPROCS(0) + 2; r.distant {
		r.flights = max(r.flights, distantFlights)
	}
	r.resume = r.opts.Resume || r.opts.Delete
}

func (r *run) all(ctx context.Context) error {
	damage, err := r.repo.SalvageIndex(ctx)
	if err != nil {
		return err
	}
	for _, d := range damage {
		r.problem("index", d)
	}
	top, err := snapshot.Lookup(ctx, r.repo, r.sn, r.opts.Subtree)
	if err != nil {
		return err
	}
	r.based = top.IsDir() && path.Clean("/"+r.opts.Subtree) != "/"
	mark, err := r.open()
	if err != nil {
		return err
	}
	r.tree.wipe = r.opts.Delete
	r.opts.Progress.Stage(backup.StageRestore)
	err = r.fill(ctx, top)
	if err == nil && !r.opts.Temporary {
		err = r.settled()
	}
	err = errors.Join(err, r.unmark(mark, err == nil && len(r.result.Problems) == 0), r.tree.close())
	if err != nil || !r.opts.Verify {
		return err
	}
	return r.verify(ctx)
}

// open opens the target and leaves the mark.
func (r *run) open() (*mark, error) {
	root, err := openRoot(r.opts.Target)
	if err != nil {
		return nil, err
	}
	m, err := r.enter(root)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	r.probe(root)
	if r.tree, err = newPlaces(root); err != nil {
		return nil, errors.Join(err, m.release())
	}
	r.tree.fresh = r.fresh
	return m, nil
}

// unmark takes the mark away when the restore is done, and gives the target
// the time that this changes.
func (r *run) unmark(m *mark, done bool) error {
	if m != nil && done && r.base != nil { // it may be closed to us by now
		if err := opened(r.tree.root, ".", r.base.node.Mode); err != nil {
			return errors.Join(err, m.release())
		}
	}
	if err := m.close(r.tree.root, done); err != nil || m == nil || r.base == nil {
		return err
	}
	return r.folderMeta(r.base)
}

func (r *run) fill(ctx context.Context, top *snapshot.Node) error {
	defer r.telling()()
	p := &planner{run: r, top: top}
	if err := p.carryOut(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// telling passes on what has been done until the returned function is called.
func (r *run) telling() (stop func()) {
	const every = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	tick := time.NewTicker(every)
	var teller sync.WaitGroup
	teller.Go(func() { r.meter.run(ctx, tick.C, r.opts.Progress) })
	return func() {
		tick.Stop()
		cancel()
		teller.Wait()
	}
}

// settled waits until the disk has everything: only then may a restore be
// called done.
func (r *run) settled() error {
	if err := r.tree.sync(); err != nil {
		return fmt.Errorf("write the restored files to disk: %w", err)
	}
	return nil
}

func (r *run) verify(ctx context.Context) error {
	res, err := verify(ctx, r.repo, r.sn, r.opts.Target, VerifyOptions{
		Subtree: r.opts.Subtree, Include: r.opts.Include, Exclude: r.opts.Exclude,
		PortableNames: r.portable, Progress: r.opts.Progress,
	}, r.able)
	r.result.Verified = res
	return err
}

func (r *run) problem(path string, err error) {
	r.mu.Lock()
	if len(r.result.Problems) < maxTold {
		r.result.Problems = append(r.result.Problems, Problem{path, err})
	} else {
		r.dropped.Add(1)
	}
	r.mu.Unlock()
	r.opts.Progress.Problem(path, err)
}

func (r *run) skip(path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.result.Skipped) < maxTold {
		r.result.Skipped = append(r.result.Skipped, Problem{path, err})
	}
}

func (r *run) renamed(path, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.result.Renamed) < maxTold {
		r.result.Renamed = append(r.result.Renamed, Renamed{path, name})
	}
}

func (r *run) count() {
	r.result.Files, r.result.Dirs, r.result.Others = r.meter.files.Load(), r.dirs.Load(), r.others.Load()
	r.result.Bytes, r.result.Deleted, r.result.Kept = r.meter.bytes.Load(), r.deleted.Load(), r.kept.Load()
	if n := r.dropped.Load(); n > 0 {
		r.result.Problems = append(r.result.Problems, Problem{"/", fmt.Errorf("%d more problems are not listed: %w", n, backup.ErrDamaged)})
	}
	r.tellLacks()
	for _, list := range [][]Problem{r.result.Problems, r.result.Skipped} {
		slices.SortStableFunc(list, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	}
}

// trouble makes one error of many problems. The gravest gives it its kind.
func trouble(what string, list []Problem) error {
	if len(list) == 0 {
		return nil
	}
	worst := list[0]
	for _, kind := range []error{backup.ErrUnsafe, backup.ErrDamaged} {
		for _, p := range list {
			if errors.Is(p.Err, kind) {
				worst = p
				break
			}
		}
	}
	return fmt.Errorf("%s: %d problems, among them %s: %w", what, len(list), worst.Path, worst.Err)
}

// choice is the effect of include and exclude patterns.
type choice struct {
	include, exclude pattern.List
	all              bool // there are none
}

func choose(include, exclude []string) (choice, error) {
	in, err := pattern.Parse(include)
	if err != nil {
		return choice{}, err
	}
	out, err := pattern.Parse(exclude)
	return choice{in, out, in.Empty() && out.Empty()}, err
}

// of says whether a path is restored, and whether something below it may be.
func (c choice) of(path string) (chosen, below bool) {
	chosen, below = true, true
	if c.all {
		return true, true
	}
	if !c.include.Empty() {
		chosen, below = c.include.Match(path)
	}
	if !c.exclude.Empty() {
		if out, _ := c.exclude.Match(path); out {
			return false, false
		}
	}
	return chosen, below
}

// ofFolder spares the path where there are no patterns.
func (c choice) ofFolder(f *folder) (chosen, below bool) {
	if c.all {
		return true, true
	}
	return c.of(f.path())
}

// private is the mode of folders while they are filled.
const private fs.FileMode = 0o700
