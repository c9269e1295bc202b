package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/snapshot/pattern"
)

// Options say what is restored, and where to.
type Options struct {
	Target  string   // folder; made when absent
	Subtree string   // a folder or file of the snapshot; its contents go to Target. Empty: everything
	Include []string // patterns of paths in the snapshot; empty: everything
	Exclude []string

	AllowNotEmpty bool // write into a folder that has something in it; files of the same name are replaced
	Delete        bool // also remove what the snapshot does not have; implies AllowNotEmpty
	Verify        bool // read everything again afterwards
	Devices       bool // make device nodes, when run by root
	Sparse        bool // leave holes where pieces are nothing but zeros
	Temporary     bool // the target will be looked at and deleted: nothing in it need survive a power cut

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
	Skipped             []Problem // left out on purpose: sockets, devices, attributes the target cannot hold
	Problems            []Problem
	Verified            *VerifyResult // nil unless asked for
}

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
	r := &run{repo: repo, sn: sn, opts: opts, chosen: chosen, result: &Result{}, root: os.Geteuid() == 0}
	err = r.all(lock.Context())
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
	root   bool // may give files to their owners

	files, dirs, others, bytes, deleted atomic.Int64
	waiting                             atomic.Int64 // files with an open descriptor

	mu     sync.Mutex
	result *Result
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
	root, err := openTarget(r.opts)
	if err != nil {
		return err
	}
	if r.tree, err = newPlaces(root); err != nil {
		return err
	}
	r.tree.wipe = r.opts.Delete
	r.opts.Progress.Stage(backup.StageRestore)
	err = r.fill(ctx, top)
	if err == nil && !r.opts.Temporary {
		err = r.settled()
	}
	if closeErr := r.tree.close(); err == nil {
		err = closeErr
	}
	if err != nil || !r.opts.Verify {
		return err
	}
	return r.verify(ctx)
}

func (r *run) fill(ctx context.Context, top *snapshot.Node) error {
	p := &planner{run: r, top: top}
	if err := p.carryOut(ctx); err != nil {
		return err
	}
	if err := r.finish(ctx, p); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
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
	res, err := Verify(ctx, r.repo, r.sn, r.opts.Target, VerifyOptions{
		Subtree: r.opts.Subtree, Include: r.opts.Include, Exclude: r.opts.Exclude, Progress: r.opts.Progress,
	})
	r.result.Verified = res
	return err
}

func (r *run) problem(path string, err error) {
	r.mu.Lock()
	r.result.Problems = append(r.result.Problems, Problem{path, err})
	r.mu.Unlock()
	r.opts.Progress.Problem(path, err)
}

func (r *run) skip(path string, err error) {
	r.mu.Lock()
	r.result.Skipped = append(r.result.Skipped, Problem{path, err})
	r.mu.Unlock()
}

func (r *run) count() {
	r.result.Files, r.result.Dirs, r.result.Others = r.files.Load(), r.dirs.Load(), r.others.Load()
	r.result.Bytes, r.result.Deleted = r.bytes.Load(), r.deleted.Load()
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

// openTarget makes the folder and refuses one that has something in it.
func openTarget(o Options) (*os.Root, error) {
	if o.Target == "" {
		return nil, fmt.Errorf("restore without a target: %w", backup.ErrInvalid)
	}
	if err := os.MkdirAll(o.Target, 0o700); err != nil {
		return nil, fmt.Errorf("make target: %w", err)
	}
	if !o.AllowNotEmpty && !o.Delete {
		if err := empty(o.Target); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(o.Target)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	return root, nil
}

func empty(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open target: %w", err)
	}
	names, err := f.Readdirnames(1)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("restore to %s: %w (it holds %q); choose an empty folder", dir, backup.ErrTargetNotEmpty, names[0])
	case errors.Is(err, io.EOF) || err == nil:
		return nil
	}
	return fmt.Errorf("list target: %w", err)
}

// choice is the effect of include and exclude patterns.
type choice struct{ include, exclude pattern.List }

func choose(include, exclude []string) (choice, error) {
	in, err := pattern.Parse(include)
	if err != nil {
		return choice{}, err
	}
	out, err := pattern.Parse(exclude)
	return choice{in, out}, err
}

// of says whether a path is restored, and whether something below it may be.
func (c choice) of(path string) (chosen, below bool) {
	chosen, below = true, true
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

// private is the mode of folders while they are filled.
const private fs.FileMode = 0o700
