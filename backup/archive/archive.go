package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// Options say how the snapshot is labelled and what is compared.
type Options struct {
	Host, User string   // of the machine the data comes from; empty: this one
	Tags       []string //
	Excludes   []string // patterns, beside those of the file sets
	// ExcludesFold are patterns to which capital and small letters are the
	// same. ExcludeMarked leaves out what lies beside a file of that name; one
	// written "name:text" must begin with the text. ExcludeLarger leaves out
	// files of more bytes; 0 none.
	ExcludesFold  []string
	ExcludeMarked []string
	ExcludeLarger int64
	Time          time.Time
	Program       string // name and version of the program, for the snapshot
	Scratch       string // folder in which the capture's scratch folder is made; empty: the system's

	// Parent is compared with for changes; nil: the newest snapshot of the
	// same host and paths. Force reads everything again.
	Parent *snapshot.Snapshot
	Force  bool

	// Checkpoint says how often what is finished is made durable; the zero
	// value means every five minutes or 4 GiB.
	Checkpoint Checkpoint

	Progress backup.Progress // nil is silent
}

// Checkpoint bounds what an interruption costs. A backup that is broken off
// goes on next time from its last checkpoint.
type Checkpoint struct {
	Every time.Duration // 0: five minutes; negative: never
	Bytes int64         // new bytes after which one is due earlier; 0: 4 GiB
}

// Problem is something that did not go into the snapshot as it should.
type Problem struct {
	Path string
	Err  error
	Kept bool // it is in the snapshot, but may not be consistent
}

// Error names the path and what was wrong.
func (p Problem) Error() string { return p.Path + ": " + p.Err.Error() }

// Result is what came of a run. It is whole also beside an error that wraps
// backup.ErrIncomplete.
type Result struct {
	Snapshot *snapshot.Snapshot
	Summary  snapshot.Summary
	Problems []Problem
	Lost     []blob.ID // packs that older points may need and the repository has no more
	Sockets  int64     // they are recorded, but no restore can give them life
}

// Incomplete is the tag of a snapshot that lacks what could not be read. It
// says so to every program, and to this one after a crash.
const Incomplete = "incomplete"

// ErrChanged marks a file that changed while it was read, each time it was
// tried. It was kept as it was read.
var ErrChanged = errors.New("file changed while it was read")

// Run makes one snapshot of what capture hands to the sink. It takes the
// append lock itself and works under the lock's context.
//
// When sources could not be read, the snapshot exists, the result lists the
// problems, and the error wraps backup.ErrIncomplete. When the repository has
// lost packs, the snapshot is whole all the same, for it relies on none of
// them; the error beside the result then wraps backup.ErrDamaged.
func Run(ctx context.Context, repo *repository.Repository, opts Options, capture func(ctx context.Context, sink source.Sink) error) (*Result, error) {
	opts, err := opts.filled()
	if err != nil {
		return nil, err
	}
	r := &run{repo: repo, opts: opts, began: time.Now()}
	lock, err := repo.LockEarly(ctx, repository.Append, r.still)
	if err != nil {
		return nil, fmt.Errorf("lock repository for the backup: %w", err)
	}
	result, err := r.make(lock.Context(), capture)
	if lost := lock.Context(); err != nil && ctx.Err() == nil && lost.Err() != nil {
		err = context.Cause(lost) // whatever came of it
	}
	if unlockErr := lock.Unlock(); unlockErr != nil {
		// The point is safe; the lock goes stale by itself within half an hour.
		opts.Progress.Problem("lock", unlockErr)
	}
	if err != nil {
		return nil, err
	}
	return result, errors.Join(r.incomplete(), r.damage())
}

func (o Options) filled() (Options, error) {
	if o.Progress == nil {
		o.Progress = backup.Silent{}
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	if o.User == "" {
		o.User = currentUser()
	}
	if slices.Contains(o.Tags, snapshot.CheckpointTag) {
		return o, fmt.Errorf("tag %q is that of unfinished backups: %w", snapshot.CheckpointTag, backup.ErrInvalid)
	}
	if o.Host != "" {
		return o, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return o, fmt.Errorf("name of this host: %w", err)
	}
	o.Host = host
	return o, nil
}

// run is one backup under way.
type run struct {
	repo  *repository.Repository
	opts  Options
	began time.Time

	mu       sync.Mutex
	problems []Problem

	lost        []blob.ID       // packs that were passed over
	doubt       bool            // something is damaged: nobody's word counts for what the repository has
	index       map[string]bool // index files there were when the index was loaded
	checkpoints []string        // to be removed when the snapshot is there
	sockets     atomic.Int64
}

func (r *run) make(ctx context.Context, capture func(context.Context, source.Sink) error) (*Result, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	s := newSink(r)
	defer s.close()
	var root blob.ID
	var writer *repository.Writer
	err := r.repo.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		writer = w
		var err error
		root, err = s.collect(ctx, w, capture)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.opts.Progress.Stage(backup.StageIndex)
	sn := r.describe(s, root)
	sum := s.counts.summary(writer.Stats())
	sum.BackupStart, sum.BackupEnd = r.began, time.Now()
	sn.Summary = &sum
	if err := r.record(ctx, sn); err != nil {
		return nil, err
	}
	s.keepBooks(ctx, sn)
	r.clear(ctx)
	return &Result{Snapshot: sn, Summary: sum, Problems: r.problems, Lost: r.lost, Sockets: r.sockets.Load()}, nil
}

// prepare learns what the repository has. What its index promises and its
// storage does not hold is not relied on.
func (r *run) prepare(ctx context.Context) (err error) {
	index, err := indexFiles(ctx, r.repo)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.index = index
	r.mu.Unlock()
	mended, err := r.repo.MendIndex(ctx)
	if err != nil {
		return fmt.Errorf("load index: %w", err)
	}
	for _, id := range mended.Damaged {
		r.opts.Progress.Problem("index "+id[:min(8, len(id))], errMended)
	}
	sick := r.repo.RememberedSick() // passed over, too
	if r.lost, err = r.repo.PassOverLost(ctx); err != nil {
		return fmt.Errorf("look for lost packs: %w", err)
	}
	r.doubt = !mended.Clean() || len(sick)+len(r.lost) > 0
	for _, id := range r.lost {
		r.opts.Progress.Problem("pack "+id.Short(), errLost)
	}
	return nil
}

// still says whether the index is that of the repository when the lock counts:
// index files may have come since, but none may have gone.
func (r *run) still(ctx context.Context) error {
	now, err := indexFiles(ctx, r.repo)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.index {
		if !now[id] {
			return repository.ErrMoved
		}
	}
	return nil
}

var errLost = fmt.Errorf("it is missing or cut short: %w; what is still at hand of it is stored again, older points may need the rest, run a check", backup.ErrDamaged)

var errMended = fmt.Errorf("it was %w, and has been written anew from what the packs say of themselves", backup.ErrDamaged)

func (r *run) describe(s *sink, root blob.ID) *snapshot.Snapshot {
	sn := &snapshot.Snapshot{
		Time: r.opts.Time, Tree: root, Paths: s.paths(), Hostname: r.opts.Host, Username: r.opts.User,
		Tags: r.opts.Tags, Excludes: s.excludes(), ProgramVersion: r.opts.Program,
	}
	if len(r.problems) > 0 {
		sn.Tags = append(slices.Clone(sn.Tags), Incomplete)
	}
	sn.UID, sn.GID = ids()
	if s.parent != nil {
		if id, err := blob.ParseID(s.parent.ID); err == nil {
			sn.Parent = id
		}
	}
	return sn
}

// record stores the snapshot and reads it back: only what the repository
// gives again is a recovery point.
func (r *run) record(ctx context.Context, sn *snapshot.Snapshot) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := snapshot.Save(ctx, r.repo, sn); err != nil {
		return err
	}
	r.opts.Progress.Stage(backup.StageRecord)
	back, err := snapshot.Load(ctx, r.repo, sn.ID)
	if err != nil {
		return fmt.Errorf("read back snapshot: %w", err)
	}
	want, err := json.Marshal(sn)
	if err != nil {
		return fmt.Errorf("compare snapshot: %w", err)
	}
	got, err := json.Marshal(back)
	if err != nil {
		return fmt.Errorf("compare snapshot: %w", err)
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("snapshot %s reads back different: %w", sn.Short(), backup.ErrDamaged)
	}
	return nil
}

func (r *run) problem(p Problem) {
	r.mu.Lock()
	r.problems = append(r.problems, p)
	r.mu.Unlock()
	r.opts.Progress.Problem(p.Path, p.Err)
}

// errNothing is why no point is made of nothing: it would look like a backup.
var errNothing = fmt.Errorf("all that was given is left out, no point was made: %w", backup.ErrInvalid)

// well says that everything could be read so far.
func (r *run) well() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.problems) == 0
}

func (r *run) incomplete() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortFunc(r.problems, func(a, b Problem) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	first := r.problems[0]
	return fmt.Errorf("%w: %d, first %s: %w", backup.ErrIncomplete, len(r.problems), first.Path, first.Err)
}

func (r *run) damage() error {
	if len(r.lost) == 0 {
		return nil
	}
	return fmt.Errorf("%d packs of the repository are lost, pack %s: %w", len(r.lost), r.lost[0].Short(), errLost)
}
