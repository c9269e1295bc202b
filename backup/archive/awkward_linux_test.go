package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"emrvault/backup/archive"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// Attributes are kept whatever their names, access lists among them, and taken
// over by the next backup without being read.
func TestAttributesAreKept(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f", "record")
	want := map[string]string{"user.origin": "scanner 3", "user.\xff\xfe": "not UTF-8", "user.empty": ""}
	for name, value := range want {
		if err := unix.Setxattr("f", name, []byte(value), 0); err != nil {
			t.Skipf("this file system keeps no attribute %q: %v; run on ext4 or tmpfs", name, err)
		}
	}
	list := accessList(12345)
	if err := unix.Setxattr("f", "system.posix_acl_access", list, 0); err == nil {
		want["system.posix_acl_access"] = string(list)
	} else {
		t.Logf("access lists are not tried, this file system keeps none: %v", err)
	}
	repo := newRepository(t)
	for _, round := range []string{"first", "unchanged"} {
		result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{"f"}}))
		must(t, err)
		n := fileNode(t, repo, result.Snapshot)
		if len(n.Xattrs) != len(want) {
			t.Errorf("%s: got %q, want %q", round, n.Xattrs, want)
		}
		for _, x := range n.Xattrs {
			if value, ok := want[x.Name]; !ok || value != string(x.Value) {
				t.Errorf("%s: got %q, want %q", round, x, value)
			}
		}
	}
}

// accessList lets one more user read: the form in which the kernel keeps it.
func accessList(user uint32) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, rights uint16
		id          uint32
	}{{1, 6, 1<<32 - 1}, {2, 4, user}, {4, 4, 1<<32 - 1}, {16, 4, 1<<32 - 1}, {32, 0, 1<<32 - 1}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.rights)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	return list
}

// Hard links are recognised by their inode, links to links too.
func TestHardLinksAreRecorded(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("d", 0o700))
	write(t, "d/file", "record")
	must(t, os.Link("d/file", "d/file2"))
	must(t, os.Symlink("file", "d/link"))
	must(t, os.Link("d/link", "d/link2"))
	repo := newRepository(t)
	result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{"d"}}))
	must(t, err)
	at := func(name string) *snapshot.Node {
		n, err := snapshot.Lookup(t.Context(), repo, result.Snapshot, "/d/"+name)
		must(t, err)
		return n
	}
	for _, pair := range [][2]string{{"file", "file2"}, {"link", "link2"}} {
		a, b := at(pair[0]), at(pair[1])
		if a.Links != 2 || a.Inode == 0 || a.Inode != b.Inode || a.DeviceID != b.DeviceID {
			t.Errorf("%s: got %d links, inodes %d and %d", pair[0], a.Links, a.Inode, b.Inode)
		}
	}
	if a, b := at("link"), at("link2"); a.LinkTarget != "file" || b.LinkTarget != "file" {
		t.Errorf("got targets %q and %q, want file", a.LinkTarget, b.LinkTarget)
	}
}

// A path may be longer than the kernel takes in one call: folders moved into
// each other become so.
func TestVeryLongPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	part := strings.Repeat("病", 80) // 240 bytes
	const depth = 40
	for range depth {
		must(t, os.Mkdir(part, 0o700))
		must(t, os.Chdir(part))
	}
	write(t, "f", "deep down")
	must(t, os.Symlink("f", "link"))
	must(t, os.Chdir(dir))
	repo := newRepository(t)
	result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{dir}}))
	must(t, err)
	deep := filepath.ToSlash(dir) + strings.Repeat("/"+part, depth)
	n, err := snapshot.Lookup(t.Context(), repo, result.Snapshot, deep+"/f")
	must(t, err)
	if n.Size != uint64(len("deep down")) || len(n.Content) != 1 {
		t.Errorf("got %d bytes in %d pieces", n.Size, len(n.Content))
	}
	link, err := snapshot.Lookup(t.Context(), repo, result.Snapshot, deep+"/link")
	must(t, err)
	if link.LinkTarget != "f" {
		t.Errorf("got target %q, want f", link.LinkTarget)
	}
}

// Times beyond the years that nanoseconds in 64 bits reach are kept.
func TestTimesBeyond2262(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "f", "record")
	for _, want := range []time.Time{
		time.Date(2300, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(1901, 12, 14, 0, 0, 0, 0, time.UTC),
	} {
		ts := []unix.Timespec{{Sec: want.Unix()}, {Sec: want.Unix()}}
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, "f", ts, 0))
		info, err := os.Stat("f")
		must(t, err)
		if !info.ModTime().Equal(want) {
			t.Skipf("this file system keeps %v as %v; run on ext4, xfs or tmpfs", want, info.ModTime())
		}
		repo := newRepository(t)
		result, err := archive.Run(t.Context(), repo, archive.Options{}, files(source.FileSet{Paths: []string{"f"}}))
		must(t, err)
		if got := fileNode(t, repo, result.Snapshot).ModTime; !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// A stream may be of any length and is never held as a whole.
func TestStreamOfAnyLength(t *testing.T) {
	size := int64(5 << 30)
	if testing.Short() {
		t.Log("64 MiB are streamed; without -short more than 4 GiB are")
		size = 64 << 20
	}
	repo := newRepository(t)
	result := streamed(t, repo, source.Entry{Path: "/f", Size: -1}, func() io.Reader { return &generator{left: size} })
	n := fileNode(t, repo, result.Snapshot)
	if n.Size != uint64(size) {
		t.Errorf("got %d bytes, want %d", n.Size, size)
	}
	var sum int64
	for _, id := range n.Content {
		length, ok := repo.BlobSize(blob.DataHandle(id))
		if !ok {
			t.Fatalf("piece %s is missing", id.Short())
		}
		sum += int64(length)
	}
	if sum != size {
		t.Errorf("the pieces hold %d bytes, want %d", sum, size)
	}
}

// A producer that fails makes no recovery point.
func TestStreamThatFails(t *testing.T) {
	broken := errors.New("the dump was cut off")
	repo := newRepository(t)
	result, err := archive.Run(t.Context(), repo, archive.Options{}, func(ctx context.Context, sink source.Sink) error {
		r := io.MultiReader(&generator{left: 20 << 20}, iotest.ErrReader(broken))
		return sink.Put(ctx, source.Entry{Path: "/dump.sql", Size: -1}, r)
	})
	if !errors.Is(err, broken) || result != nil {
		t.Errorf("got %v, %v; want %v and no recovery point", result, err, broken)
	}
	list, err := snapshot.List(t.Context(), repo, snapshot.Filter{})
	if err != nil || len(list) > 0 {
		t.Errorf("got %d recovery points, %v; want none", len(list), err)
	}
}

// generator gives lines that repeat now and then, as dumps do.
type generator struct {
	left int64
	line int
	rest []byte
}

func (g *generator) Read(buf []byte) (int, error) {
	if g.left == 0 {
		return 0, io.EOF
	}
	if len(g.rest) == 0 {
		g.line++
		g.rest = bytes.Repeat(fmt.Appendf(nil, "INSERT INTO vitals VALUES (%d, 36.8);\n", g.line%4000), 4096)
	}
	n := copy(buf[:min(int64(len(buf)), g.left)], g.rest)
	g.rest, g.left = g.rest[n:], g.left-int64(n)
	return n, nil
}
