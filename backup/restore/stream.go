package restore

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// Tar writes the folder or file at a path of the snapshot as a tar stream,
// with names from the snapshot's root. A file with several names is there once;
// this takes an entry of memory for each such file. The repository's index must be loaded.
func Tar(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, name string, w io.Writer) error {
	t := tar.NewWriter(w)
	firsts := map[inode]first{}
	err := stream(ctx, repo, sn, name, func(name string, n *snapshot.Node) error {
		return tarEntry(ctx, repo, t, name, n, firsts)
	})
	if err != nil {
		return errors.Join(err, spoil(t, w))
	}
	return t.Close()
}

// spoil makes sure that a stream which broke off does not pass for whole, as
// readers are lenient about the marks at its end. Within a file it is too short
// anyway; between two files half a block follows.
func spoil(t *tar.Writer, w io.Writer) error {
	if t.Flush() != nil {
		return nil // bytes of the file are missing
	}
	if _, err := io.WriteString(w, "this archive is not whole\n"); err != nil {
		return fmt.Errorf("spoil the archive: %w", err)
	}
	return nil
}

// Zip is Tar for people on Windows: names are UTF-8, and such as Windows can
// hold. More than 65,535 entries and more than 4 GiB are no matter. Times are
// those that every program can read, from 1980 to 2038; of others the nearest.
// When it fails there is no list of contents at the end, without which no
// program takes the stream for an archive.
func Zip(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, name string, w io.Writer) error {
	z := zip.NewWriter(w)
	var names zipNames
	err := stream(ctx, repo, sn, name, func(name string, n *snapshot.Node) error {
		return zipEntry(ctx, repo, z, names.of(name, n), n)
	})
	if err != nil {
		return err
	}
	return z.Close()
}

// zipNames gives entries names that Windows can hold, folder by folder: what
// differs only in small and capital letters must not be unpacked into one file.
type zipNames struct {
	above  int // folders above the first entry
	levels []zipLevel
}

type zipLevel struct {
	path  string // ends with a slash, or is empty
	namer *namer
}

// of names the next entry of a walk.
func (z *zipNames) of(name string, n *snapshot.Node) string {
	depth := strings.Count(name, "/")
	if z.levels == nil {
		z.above = depth
		z.levels = []zipLevel{{portablePath(name[:len(name)-len(n.Name)]), newNamer(true)}}
	}
	z.levels = z.levels[:depth-z.above+1]
	at := z.levels[depth-z.above]
	out := at.path + at.namer.name(n.Name)
	if n.IsDir() {
		z.levels = append(z.levels, zipLevel{out + "/", newNamer(true)})
	}
	return out
}

// zipTime is a time as both ways in which zip files tell them can.
func zipTime(t time.Time) time.Time {
	earliest, latest := time.Date(1980, 1, 1, 0, 0, 0, 0, t.Location()), time.Unix(math.MaxInt32, 0)
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

func stream(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, name string, fn func(string, *snapshot.Node) error) error {
	top, err := snapshot.Lookup(ctx, repo, sn, name)
	if err != nil {
		return err
	}
	name = path.Clean("/" + name)
	each := func(name string, n *snapshot.Node) error {
		if err := fn(strings.TrimPrefix(name, "/"), n); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	if name != "/" {
		if err := each(name, top); err != nil {
			return err
		}
	}
	if !top.IsDir() {
		return nil
	}
	return snapshot.Walker{Visit: each}.Walk(ctx, repo, name, top.Subtree)
}

var tarKinds = map[snapshot.NodeType]byte{
	snapshot.File: tar.TypeReg, snapshot.Dir: tar.TypeDir, snapshot.Symlink: tar.TypeSymlink,
	snapshot.Device: tar.TypeBlock, snapshot.CharDevice: tar.TypeChar, snapshot.Fifo: tar.TypeFifo,
}

// first is the name under which a file came, for those that follow.
type first struct {
	name string
	node snapshot.Node
}

// second says under which name the file came already, or that it comes first.
func second(firsts map[inode]first, name string, n *snapshot.Node) (of string, ok bool) {
	if n.Type != snapshot.File || n.Links < 2 || n.Inode == 0 {
		return "", false
	}
	key := inode{n.DeviceID, n.Inode}
	f, known := firsts[key]
	if !known {
		firsts[key] = first{name, *n}
	}
	return f.name, known && sameContent(&f.node, n)
}

func tarEntry(ctx context.Context, repo *repository.Repository, t *tar.Writer, name string, n *snapshot.Node, firsts map[inode]first) error {
	kind, ok := tarKinds[n.Type]
	if !ok {
		return nil // a socket has no place in an archive
	}
	h := &tar.Header{
		Typeflag: kind, Name: name, Linkname: n.LinkTarget, Mode: posixMode(n.Mode), Uid: int(n.UID), Gid: int(n.GID),
		Uname: n.User, Gname: n.Group, ModTime: n.ModTime, Format: tar.FormatPAX, PAXRecords: map[string]string{},
	}
	if n.IsDir() {
		h.Name += "/"
	}
	if kind == tar.TypeBlock || kind == tar.TypeChar {
		h.Devmajor, h.Devminor = deviceNumbers(n.Device)
	}
	for _, x := range n.Xattrs {
		if !strings.ContainsAny(x.Name, "=\x00") {
			h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
		}
	}
	if of, ok := second(firsts, name, n); ok {
		h.Typeflag, h.Linkname = tar.TypeLink, of
		return t.WriteHeader(h)
	}
	var content io.ReadSeekCloser
	if n.Type == snapshot.File {
		var err error
		if content, h.Size, err = openSized(ctx, repo, n); err != nil {
			return err
		}
		defer content.Close() // only read
	}
	if err := t.WriteHeader(h); err != nil || content == nil {
		return err
	}
	_, err := io.Copy(t, content)
	return err
}

// openSized also gives the length that will really come.
func openSized(ctx context.Context, repo *repository.Repository, n *snapshot.Node) (io.ReadSeekCloser, int64, error) {
	r, err := Open(ctx, repo, n)
	if err != nil {
		return nil, 0, err
	}
	size, err := r.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, r.Close())
	}
	return r, size, nil
}

func posixMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// deviceNumbers splits st_rdev as Linux lays it out.
func deviceNumbers(dev uint64) (major, minor int64) {
	return int64(dev>>8&0xfff | dev>>32&^0xfff), int64(dev&0xff | dev>>12&^0xff&0xffffffff)
}

func zipEntry(ctx context.Context, repo *repository.Repository, z *zip.Writer, name string, n *snapshot.Node) error {
	h := &zip.FileHeader{Name: name, Modified: zipTime(n.ModTime), Method: zip.Deflate}
	h.SetMode(n.Mode)
	switch n.Type {
	case snapshot.Dir:
		h.Name += "/"
		h.Method = zip.Store
		_, err := z.CreateHeader(h)
		return err
	case snapshot.Symlink:
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, n.LinkTarget)
		}
		return err
	case snapshot.File:
		return zipFile(ctx, repo, z, h, n)
	case snapshot.Device, snapshot.CharDevice, snapshot.Fifo, snapshot.Socket:
		return nil // zip has no place for them
	}
	return fmt.Errorf("unknown type %q: %w", n.Type, backup.ErrDamaged)
}

func zipFile(ctx context.Context, repo *repository.Repository, z *zip.Writer, h *zip.FileHeader, n *snapshot.Node) error {
	content, err := Open(ctx, repo, n)
	if err != nil {
		return err
	}
	defer content.Close() // only read
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}
