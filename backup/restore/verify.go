package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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
	v := &verifier{repo: repo, opts: opts, chosen: chosen, root: root, jobs: make(chan job, 64)}
	opts.Progress.Stage(backup.StageVerify)
	err = v.all(ctx, sn)
	if err = errors.Join(err, root.Close()); err != nil {
		return v.result(), err
	}
	res := v.result()
	if n := len(res.Mismatches); n > 0 {
		return res, fmt.Errorf("verify %s: %d differences, first %s: %w", dir, n, res.Mismatches[0], backup.ErrDamaged)
	}
	return res, nil
}

type job struct {
	rel, path string
	node      *snapshot.Node
}

type verifier struct {
	repo   *repository.Repository
	opts   VerifyOptions
	chosen choice
	root   *os.Root
	base   string
	jobs   chan job

	files, dirs, others, bytes atomic.Int64

	mu  sync.Mutex
	bad []Mismatch
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
	v.bad = append(v.bad, m)
	v.mu.Unlock()
	v.opts.Progress.Problem(path, fmt.Errorf("%s: want %s, got %s", what, want, got))
}

func (v *verifier) all(ctx context.Context, sn *snapshot.Snapshot) error {
	top, err := snapshot.Lookup(ctx, v.repo, sn, v.opts.Subtree)
	if err != nil {
		return err
	}
	v.base = path.Clean("/" + v.opts.Subtree)
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return v.work(ctx) })
	}
	group.Go(func() error {
		defer close(v.jobs)
		if !top.IsDir() {
			return v.send(ctx, job{rel: top.Name, path: v.base, node: top})
		}
		w := snapshot.Walker{
			Visit:   func(name string, n *snapshot.Node) error { return v.visit(ctx, name, n) },
			Problem: v.unreadable,
		}
		return w.Walk(ctx, v.repo, v.base, top.Subtree)
	})
	return group.Wait()
}

func (v *verifier) unreadable(name string, err error) error {
	v.wrong(name, "unreadable", "a tree of the snapshot", err.Error())
	return nil
}

func (v *verifier) visit(ctx context.Context, name string, n *snapshot.Node) error {
	chosen, below := v.chosen.of(name)
	if !chosen {
		if n.IsDir() && !below {
			return fs.SkipDir
		}
		return nil
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(name, v.base), "/")
	return v.send(ctx, job{rel: rel, path: name, node: n})
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

func (v *verifier) compare(ctx context.Context, j job, buf []byte) []byte {
	rel := filepath.FromSlash(j.rel)
	info, err := v.root.Lstat(rel)
	if err != nil {
		if left(j.node.Type) {
			return buf // a restore leaves these out
		}
		v.wrong(j.path, "missing", string(j.node.Type), err.Error())
		return buf
	}
	if kind(info.Mode()) != j.node.Type {
		v.wrong(j.path, "type", string(j.node.Type), string(kind(info.Mode())))
		return buf
	}
	v.metadata(j, info)
	switch j.node.Type {
	case snapshot.File:
		v.files.Add(1)
		buf = v.file(ctx, j, rel, info, buf)
		v.opts.Progress.Add(1, 0)
	case snapshot.Dir:
		v.dirs.Add(1)
	case snapshot.Symlink:
		v.others.Add(1)
		if got, err := v.root.Readlink(rel); err != nil || got != j.node.LinkTarget {
			v.wrong(j.path, "target", j.node.LinkTarget, got)
		}
	default:
		v.others.Add(1)
	}
	return buf
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

func (v *verifier) metadata(j job, info fs.FileInfo) {
	if want, got := j.node.Mode&settableMode, info.Mode()&settableMode; want != got && j.node.Type != snapshot.Symlink {
		v.wrong(j.path, "mode", want.String(), got.String())
	}
	if want, got := j.node.ModTime, info.ModTime(); !sameMoment(want, got) {
		v.wrong(j.path, "time", want.UTC().String(), got.UTC().String())
	}
}

func (v *verifier) file(ctx context.Context, j job, rel string, info fs.FileInfo, buf []byte) []byte {
	if uint64(info.Size()) != j.node.Size {
		v.wrong(j.path, "size", fmt.Sprint(j.node.Size), fmt.Sprint(info.Size()))
		return buf
	}
	f, err := v.root.Open(rel)
	if err != nil {
		v.wrong(j.path, "unreadable", "its content", err.Error())
		return buf
	}
	defer f.Close() // only read
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
		v.bytes.Add(int64(n))
		v.opts.Progress.Add(0, int64(n))
	}
	return buf
}
