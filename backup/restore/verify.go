package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// VerifyOptions say what of the snapshot the folder must hold.
type VerifyOptions struct {
	Subtree string
	Include []string
	Exclude []string

	PortableNames bool // names in the folder are such as Windows can hold; always so on Windows

	Progress backup.Progress // nil is silent
}

// Mismatch is one way in which the folder is not what the snapshot says.
type Mismatch struct {
	Path string // in the snapshot
	What string // "missing", "type", "size", "content", "target", "mode", "time", "unreadable"
	Want string
	Got  string
}

// String tells it in words for a log.
func (m Mismatch) String() string {
	return fmt.Sprintf("%s: %s: want %s, got %s", m.Path, m.What, m.Want, m.Got)
}

// ErrDiffers says that a folder is not what the snapshot says; the repository
// has no part in that.
var ErrDiffers = errors.New("differences")

// VerifyResult counts what was compared.
type VerifyResult struct {
	Files, Dirs, Others int64
	Bytes               int64
	Mismatches          []Mismatch
}

// Verify compares a folder with the snapshot: kind, size, the hash of every
// piece of every file, link targets, mode and time. The folder is read, the
// repository's packs are not. Mismatches are listed in the result, and the
// error then wraps backup.ErrDamaged.
func Verify(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, dir string, opts VerifyOptions) (*VerifyResult, error) {
	return verify(ctx, repo, sn, dir, opts, abilities{grain: finest})
}

// verify asks of the target no more than it is able to hold.
func verify(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, dir string, opts VerifyOptions, able abilities) (*VerifyResult, error) {
	if opts.Progress == nil {
		opts.Progress = backup.Silent{}
	}
	chosen, err := choose(opts.Include, opts.Exclude)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder to verify: %w", err)
	}
	opts.PortableNames = opts.PortableNames || folds(root)
	tree, err := newPlaces(root)
	if err != nil {
		return nil, err
	}
	v := &verifier{repo: repo, opts: opts, able: able, chosen: chosen, tree: tree, jobs: make(chan job, 64)}
	opts.Progress.Stage(backup.StageVerify)
	err = v.all(ctx, sn)
	if err = errors.Join(err, tree.close()); err != nil {
		return v.result(), err
	}
	res := v.result()
	if n := len(res.Mismatches); n > 0 {
		return res, fmt.Errorf("verify %s: %w: %d, first %s: %w", dir, ErrDiffers, n+int(v.more), res.Mismatches[0], backup.ErrDamaged)
	}
	return res, nil
}

// job is one entry to be compared.
type job struct {
	in   *folder
	path string
	name string // in the folder
	node *snapshot.Node
}

// seen is what the folder has under a name.
type seen struct {
	mode    fs.FileMode
	size    int64
	modTime time.Time

	// Where the system has them; else zero.
	uid, gid uint32
	inode    inode
}

type verifier struct {
	repo   *repository.Repository
	opts   VerifyOptions
	able   abilities
	chosen choice
	tree   *places
	at     *folder  // where the walk is
	names  []*namer // of the folders from the top to there
	jobs   chan job

	files, dirs, others, bytes atomic.Int64

	mu   sync.Mutex
	bad  []Mismatch
	more int64 // that are not listed
}

func (v *verifier) result() *VerifyResult {
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.SortStableFunc(v.bad, func(a, b Mismatch) int { return strings.Compare(a.Path, b.Path) })
	return &VerifyResult{
		Files: v.files.Load(), Dirs: v.dirs.Load(), Others: v.others.Load(),
		Bytes: v.bytes.Load(), Mismatches: v.bad,
	}
}

func (v *verifier) wrong(path, what, want, got string) {
	m := Mismatch{path, what, want, got}
	v.mu.Lock()
	if len(v.bad) < maxTold {
		v.bad = append(v.bad, m)
	} else {
		v.more++
	}
	v.mu.Unlock()
	v.opts.Progress.Problem(path, fmt.Errorf("%s: want %s, got %s", what, want, got))
}

func (v *verifier) all(ctx context.Context, sn *snapshot.Snapshot) error {
	top, err := snapshot.Lookup(ctx, v.repo, sn, v.opts.Subtree)
	if err != nil {
		return err
	}
	base := path.Clean("/" + v.opts.Subtree)
	v.at = &folder{label: base}
	v.names = []*namer{newNamer(suitsWindows(v.opts.PortableNames))}
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return v.work(ctx) })
	}
	group.Go(func() error {
		defer close(v.jobs)
		if !top.IsDir() {
			return v.send(ctx, job{in: v.at, path: base, name: v.names[0].name(top.Name), node: top})
		}
		w := snapshot.Walker{
			Visit:   func(name string, n *snapshot.Node) error { return v.visit(ctx, name, n) },
			Leave:   func(string, *snapshot.Node) error { v.leave(); return nil },
			Problem: v.unreadable,
		}
		return w.Walk(ctx, v.repo, base, top.Subtree)
	})
	// What was broken off found differences that are none.
	return cmp.Or(group.Wait(), context.Cause(outer))
}

func (v *verifier) unreadable(name string, err error) error {
	v.wrong(name, "unreadable", "a tree of the snapshot", err.Error())
	return nil
}

func (v *verifier) visit(ctx context.Context, where string, n *snapshot.Node) error {
	if v.at.up == nil && n.Name == markName {
		return nil
	}
	name := v.names[len(v.names)-1].name(n.Name)
	chosen, below := v.chosen.of(where)
	if !chosen && !below && n.IsDir() {
		return fs.SkipDir
	}
	in := v.at
	if n.IsDir() {
		v.at = in.below(name, n)
		v.names = append(v.names, newNamer(v.names[0].portable))
	}
	if !chosen {
		return nil
	}
	return v.send(ctx, job{in: in, path: where, name: name, node: n})
}

func (v *verifier) leave() {
	v.at = v.at.up
	v.names = v.names[:len(v.names)-1]
}

func (v *verifier) send(ctx context.Context, j job) error {
	select {
	case v.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (v *verifier) work(ctx context.Context) error {
	var buf []byte
	for j := range v.jobs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		buf = v.compare(ctx, j, buf)
	}
	return nil
}

// compare looks at one entry. buf is memory for the next file.
func (v *verifier) compare(ctx context.Context, j job, buf []byte) []byte {
	at, err := v.tree.take(j.in)
	if err != nil {
		v.missing(j, err)
		return buf
	}
	defer v.tree.give(at)
	was, err := at.look(j.name)
	if err != nil {
		v.missing(j, err)
		return buf
	}
	if kind(was.mode) != j.node.Type {
		v.wrong(j.path, "type", string(j.node.Type), string(kind(was.mode)))
		return buf
	}
	v.metadata(j, was)
	switch j.node.Type {
	case snapshot.File:
		v.files.Add(1)
		buf = v.file(ctx, at, j, was, buf)
		v.opts.Progress.Add(1, 0)
	case snapshot.Dir:
		v.dirs.Add(1)
	case snapshot.Symlink:
		v.others.Add(1)
		if got, err := at.readlink(j.name); err != nil || got != j.node.LinkTarget {
			v.wrong(j.path, "target", j.node.LinkTarget, got)
		}
	default:
		v.others.Add(1)
	}
	return buf
}

func (v *verifier) missing(j job, err error) {
	if !left(j.node.Type) && !(v.able.noLinks && j.node.Type == snapshot.Symlink) {
		v.wrong(j.path, "missing", string(j.node.Type), err.Error())
	}
}

// left says whether a restore may leave such an entry out.
func left(t snapshot.NodeType) bool {
	return t == snapshot.Socket || t == snapshot.Device || t == snapshot.CharDevice
}

func kind(mode fs.FileMode) snapshot.NodeType {
	switch {
	case mode.IsRegular():
		return snapshot.File
	case mode.IsDir():
		return snapshot.Dir
	case mode&fs.ModeSymlink != 0:
		return snapshot.Symlink
	case mode&fs.ModeCharDevice != 0:
		return snapshot.CharDevice
	case mode&fs.ModeDevice != 0:
		return snapshot.Device
	case mode&fs.ModeNamedPipe != 0:
		return snapshot.Fifo
	case mode&fs.ModeSocket != 0:
		return snapshot.Socket
	}
	return "irregular"
}

func (v *verifier) metadata(j job, was seen) {
	if want, got := j.node.Mode&comparableMode(), was.mode&comparableMode(); want != got && j.node.Type != snapshot.Symlink && !v.able.noModes {
		v.wrong(j.path, "mode", want.String(), got.String())
	}
	if want, got := j.node.ModTime, was.modTime; !sameMoment(want, got, v.able.grain) {
		v.wrong(j.path, "time", want.UTC().String(), got.UTC().String())
	}
}

func (v *verifier) file(ctx context.Context, at *place, j job, was seen, buf []byte) []byte {
	if uint64(was.size) != j.node.Size {
		v.wrong(j.path, "size", fmt.Sprint(j.node.Size), fmt.Sprint(was.size))
		return buf
	}
	f, err := at.input(j.name)
	if err != nil {
		v.wrong(j.path, "unreadable", "its content", err.Error())
		return buf
	}
	defer f.Close() // only read
	rest := was.size
	for i, id := range j.node.Content {
		size, ok := v.repo.BlobSize(blob.DataHandle(id))
		if !ok || ctx.Err() != nil {
			v.wrong(j.path, "content", "piece "+id.Short(), "no such piece in the repository")
			return buf
		}
		if cap(buf) < size {
			buf = make([]byte, size)
		}
		n, err := io.ReadFull(f, buf[:size])
		if got := blob.Hash(buf[:n]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || got != id {
			v.wrong(j.path, "content", fmt.Sprintf("piece %d as %s", i+1, id.Short()), got.Short())
			return buf
		}
		rest -= int64(n)
		v.bytes.Add(int64(n))
		v.opts.Progress.Add(0, int64(n))
	}
	if rest != 0 {
		v.wrong(j.path, "content", fmt.Sprintf("%d bytes in pieces", j.node.Size), fmt.Sprintf("%d of no piece", rest))
	}
	return buf
}
