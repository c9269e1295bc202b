package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// A file that changes while it is read is tried again; a large one less often,
// because reading it for nothing costs the night.
const (
	attempts      = 3
	attemptsLarge = 2
	largeFile     = 256 << 20
)

// fileJob is one file to be read.
type fileJob struct {
	path string
	node *snapshot.Node
	fate fate
	old  []blob.ID // its content when nothing but that can have changed
	put  func(ctx context.Context, n *snapshot.Node) error
}

// reader reads files one after the other; it keeps a buffer for small ones.
type reader struct {
	walk    *walk
	buf     []byte
	lacking error // why attributes of the file at hand could not be read
}

func (w *walk) readFiles(ctx context.Context) error {
	r := &reader{walk: w}
	for job := range w.files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.take(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// take reads one file and puts its node, or leaves it out with a reason.
func (r *reader) take(ctx context.Context, job *fileJob) error {
	n, err := r.settle(ctx, job)
	if err == nil && r.lacking != nil {
		r.walk.attributeless(job.path, n, r.lacking)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errStore):
		return fmt.Errorf("%s: %w", job.path, err)
	case errors.Is(err, ErrChanged):
		n.Error = ErrChanged.Error()
		r.walk.sink.run.problem(Problem{Path: job.path, Err: err, Kept: true})
	default:
		r.walk.unseen(job.path, err)
		return job.put(ctx, nil)
	}
	if job.old != nil && slices.Equal(n.Content, job.old) {
		job.fate = same
	}
	if n.Type == snapshot.File {
		r.walk.sink.counts.file(job.fate, n.Size)
		r.walk.progress.Add(1, 0)
	}
	return job.put(ctx, n)
}

// settle reads until the file was the same before and after.
func (r *reader) settle(ctx context.Context, job *fileJob) (*snapshot.Node, error) {
	n := job.node
	tries := attempts
	if n.Size > largeFile {
		tries = attemptsLarge
	}
	for try := 1; ; try++ {
		after, err := r.once(ctx, job.path, n)
		if err != nil {
			return nil, err
		}
		if after == nil {
			return n, nil
		}
		if try == tries {
			return n, ErrChanged
		}
		after.Name, n = n.Name, after
		r.walk.own(n)
	}
}

// once reads the file into n. When the file is another one afterwards, it
// gives the node of what it is now.
func (r *reader) once(ctx context.Context, path string, n *snapshot.Node) (after *snapshot.Node, err error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = closeErr
		}
	}()
	size := n.Size
	r.lacking = nil
	n.Content, n.Size, err = r.content(ctx, f, filepath.Base(path), int64(size))
	if err != nil {
		return nil, err
	}
	if n.Xattrs, err = fileXattrs(f, path); errors.Is(err, errAttributes) {
		r.lacking = err
	} else if err != nil {
		return nil, err
	}
	after, err = statFile(f, path)
	if err != nil {
		return nil, err
	}
	if n.Size == size && after.Size == size && after.Type == n.Type && after.Inode == n.Inode &&
		after.ModTime.Equal(n.ModTime) && after.ChangeTime.Equal(n.ChangeTime) {
		return nil, nil
	}
	if after.Type != snapshot.File {
		return nil, fmt.Errorf("became a %s while it was read: %w", after.Type, fs.ErrNotExist)
	}
	return after, nil
}

// content reads a file to its end. A small one is one piece and is read with
// one call.
func (r *reader) content(ctx context.Context, f *file, name string, size int64) ([]blob.ID, uint64, error) {
	rule := ruleFor(r.walk.cutting, name, size)
	if size > int64(rule.Min) {
		if err := f.regular(); err != nil {
			return nil, 0, err
		}
		ids, n, err := r.walk.sink.pieces.cut(ctx, f, rule, r.walk.sink.run)
		return ids, uint64(n), err
	}
	data, err := r.small(f, int(size))
	if err != nil {
		return nil, 0, err
	}
	if size == 0 && len(data) > 0 { // some file systems do not tell sizes
		rest := io.MultiReader(bytes.NewReader(bytes.Clone(data)), f)
		ids, n, err := r.walk.sink.pieces.cut(ctx, rest, rule, r.walk.sink.run)
		return ids, uint64(n), err
	}
	r.walk.progress.Add(0, int64(len(data)))
	if len(data) == 0 {
		return []blob.ID{}, 0, nil
	}
	saved, err := r.walk.sink.writer.SaveNow(ctx, blob.Data, data)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errStore, err)
	}
	return []blob.ID{saved.ID}, uint64(len(data)), nil
}

// small reads size bytes, or fewer when the file has become shorter. That it
// has grown is seen by looking at it again, without a call for each file.
func (r *reader) small(f *file, size int) ([]byte, error) {
	want := max(size, 1)
	if cap(r.buf) < want {
		r.buf = make([]byte, max(want, 64<<10))
	}
	n, err := io.ReadFull(f, r.buf[:want])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return r.buf[:n], err
}
