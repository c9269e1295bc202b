package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup/archive/recall"
	"emrvault/backup/snapshot"
)

// listing is what a look at one folder shows: of each entry its name and what
// the kernel tells, packed one after the other in the order of the names. The
// same bytes are what a digest is made of, and what nodes are made of when the
// digest differs; so an unchanged folder costs no node. A listing is used for
// one folder after the other.
type listing struct {
	text  []byte
	names int
	dirs  []int // where in text the folders begin

	files, bytes int64
	unsettled    bool // something changed while the parent was made
	sockets      int

	st      unix.Stat_t
	devices map[uint64]bool // file systems that may hide changes; asked once each
}

const keepListing = 1 << 20 // a longer buffer is left to the collector

func (l *listing) reset() {
	text, dirs, devices := l.text[:0], l.dirs[:0], l.devices
	if cap(text) > keepListing {
		text, dirs = nil, nil
	}
	if devices == nil {
		devices = map[uint64]bool{}
	}
	*l = listing{text: text, dirs: dirs, devices: devices}
}

// look asks the kernel for one entry of the folder.
func (l *listing) look(d *directory, name string) error {
	fd := int(d.f.Fd())
	for {
		err := unix.Fstatat(fd, name, &l.st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("look at it: %w", err)
		}
	}
	switch l.st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFBLK, unix.S_IFCHR, unix.S_IFIFO, unix.S_IFSOCK:
		return nil
	}
	_, err := nodeOf(&l.st) // says what is wrong
	return err
}

// size tells the length of the file that was looked at last.
func (l *listing) size() (bytes int64, isFile bool) {
	return l.st.Size, l.st.Mode&unix.S_IFMT == unix.S_IFREG
}

// keep takes what was looked at last into the listing.
func (l *listing) keep(name string, u unsettled) {
	st := &l.st
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		l.files, l.bytes = l.files+1, l.bytes+st.Size
	case unix.S_IFDIR:
		l.dirs = append(l.dirs, len(l.text))
	case unix.S_IFSOCK:
		l.sockets++
	}
	l.unsettled = l.unsettled || u.has(time.Unix(st.Ctim.Unix()))
	l.names++
	t := binary.AppendUvarint(l.text, uint64(len(name)))
	t = append(t, name...)
	for _, v := range [...]uint64{
		uint64(st.Mode), uint64(st.Uid), uint64(st.Gid), uint64(st.Nlink), st.Ino, st.Dev, st.Rdev, uint64(st.Size), //nolint:unconvert // 32 bits wide on arm64
		uint64(st.Mtim.Nsec), uint64(st.Ctim.Nsec),
	} {
		t = binary.AppendUvarint(t, v)
	}
	t = binary.AppendVarint(t, st.Mtim.Sec)
	l.text = binary.AppendVarint(t, st.Ctim.Sec-st.Mtim.Sec)
}

// count is how many entries there are.
func (l *listing) count() int { return l.names }

// digest stands for all of it; zero when a look is not enough here.
func (l *listing) digest(device uint64) recall.Digest {
	if l.devices[device] {
		return recall.Digest{}
	}
	return sha256.Sum256(l.text)
}

// note asks what kind of file system an open folder lies on: whether an entry
// gets a new change time with whatever changes about it, and keeps its inode.
func (l *listing) note(d *directory, device uint64) {
	if _, known := l.devices[device]; known {
		return
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.f.Fd()), &st); err != nil {
		l.devices[device] = true
		return
	}
	switch uint32(st.Type) {
	case unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
		unix.FUSE_SUPER_MAGIC, unix.V9FS_MAGIC, unix.NCP_SUPER_MAGIC:
		l.devices[device] = true
	default:
		l.devices[device] = false
	}
}

// each hands over the entries as nodes, in the order of their names.
func (l *listing) each(fn func(n *snapshot.Node) error) error {
	for at := 0; at < len(l.text); {
		n, length := l.node(at)
		if n == nil {
			return errListing
		}
		if err := fn(n); err != nil {
			return err
		}
		at += length
	}
	return nil
}

// folders hands over only the folders.
func (l *listing) folders(fn func(n *snapshot.Node) error) error {
	for _, at := range l.dirs {
		n, _ := l.node(at)
		if n == nil {
			return errListing
		}
		if err := fn(n); err != nil {
			return err
		}
	}
	return nil
}

// node unpacks the entry at a place, and tells how long it is there.
func (l *listing) node(at int) (n *snapshot.Node, length int) {
	t := l.text[at:]
	next := func() uint64 {
		v, k := binary.Uvarint(t)
		t = t[k:]
		return v
	}
	size := int(next())
	name := string(t[:size])
	t = t[size:]
	var st unix.Stat_t
	st.Mode, st.Uid, st.Gid = uint32(next()), uint32(next()), uint32(next())
	number(&st.Nlink, next())
	st.Ino, st.Dev, st.Rdev, st.Size = next(), next(), next(), int64(next())
	st.Mtim.Nsec, st.Ctim.Nsec = int64(next()), int64(next())
	seconds, k := binary.Varint(t)
	later, k2 := binary.Varint(t[k:])
	st.Mtim.Sec, st.Ctim.Sec = seconds, seconds+later
	t = t[k+k2:]
	n, err := nodeOf(&st)
	if err != nil {
		return nil, 0 // look has refused such kinds
	}
	n.Name = name
	return n, len(l.text) - at - len(t)
}

// number sets a field that is 32 bits wide on some machines.
func number[T ~uint32 | ~uint64](field *T, v uint64) { *field = T(v) }
