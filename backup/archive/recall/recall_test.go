package recall

import (
	"errors"
	"reflect"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

func sample(t testing.TB) (data []byte, root Ref) {
	t.Helper()
	var w Writer
	a := w.Add(Digest{1}, blob.ID{2}, nil)
	b := w.Add(Digest{}, blob.ID{3}, nil)
	root = w.Add(Digest{4}, blob.ID{5}, []Ref{a, b})
	data, err := w.Bytes(Head{Snapshot: "s", Targets: map[string]Ref{"/srv": root}, Users: map[uint32]string{7: "emr"}})
	if err != nil {
		t.Fatal(err)
	}
	return data, root
}

func TestBook(t *testing.T) {
	data, root := sample(t)
	book, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	if book.Head.Targets["/srv"] != root || book.Head.Users[7] != "emr" || book.Head.Snapshot != "s" {
		t.Errorf("got head %+v", book.Head)
	}
	page, ok := book.Page(root)
	if !ok || page.Digest != (Digest{4}) || page.Tree != (blob.ID{5}) {
		t.Fatalf("root: got %+v, %v", page, ok)
	}
	var trees []byte
	for _, ref := range page.Children() {
		child, ok := book.Page(ref)
		if !ok {
			t.Fatalf("page %d is missing", ref)
		}
		trees = append(trees, child.Tree[0])
	}
	if want := []byte{2, 3}; !reflect.DeepEqual(trees, want) {
		t.Errorf("children: got trees %v, want %v", trees, want)
	}
}

func TestPagesThatAreNotThere(t *testing.T) {
	data, _ := sample(t)
	book, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []Ref{0, 1 << 40, ^Ref(0), Ref(len(book.pages)), Ref(len(book.pages) + 1)} {
		if _, ok := book.Page(ref); ok {
			t.Errorf("page %d: got one, want none", ref)
		}
	}
	if _, ok := (*Book)(nil).Page(1); ok {
		t.Error("page of no book: got one, want none")
	}
}

func TestDamagedBooks(t *testing.T) {
	data, _ := sample(t)
	for _, n := range []int{0, 1, tailLen - 1, tailLen, len(data) - 1} {
		if _, err := Open(data[:n]); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("first %d bytes: got %v, want damaged", n, err)
		}
	}
	for _, tail := range []string{"\xff\xff\xff\xff" + mark, "\x00\x00\x00\x00" + mark, "\x05\x00\x00\x00" + mark} {
		if _, err := Open([]byte("12345" + tail)); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("tail %q: got %v, want damaged", tail, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	data, root := sample(f)
	f.Add(data, uint64(root))
	f.Add([]byte(mark), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, ref uint64) {
		book, err := Open(data)
		if err != nil {
			return
		}
		page, ok := book.Page(Ref(ref))
		if ok && len(page.Children()) > len(data) {
			t.Errorf("page %d has %d children in %d bytes", ref, len(page.Children()), len(data))
		}
	})
}
