package snapshot

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"emrvault/backup/repository/blob"
)

// page is a folder of a thousand files.
func page(n int) []*Node {
	now := time.Date(2026, 11, 22, 8, 30, 0, 123456789, time.UTC)
	list := make([]*Node, n)
	for i := range list {
		list[i] = &Node{
			Name: fmt.Sprintf("document %05d.xml", i), Type: File, Mode: 0o640, ModTime: now, AccessTime: now, ChangeTime: now,
			UID: 1000, GID: 1000, User: "emr", Group: "emr", Inode: uint64(i) + 1_000_000, DeviceID: 64768, Size: 4096, Links: 1,
			Content: []blob.ID{blob.Hash([]byte{byte(i), byte(i >> 8)})},
		}
	}
	return list
}

func BenchmarkEncodeTree(b *testing.B) {
	list := page(1000)
	for b.Loop() {
		var tree Builder
		for _, n := range list {
			if err := tree.Add(n); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(len(tree.Bytes())))
	}
}

func BenchmarkDecodeTree(b *testing.B) {
	var tree Builder
	for _, n := range page(1000) {
		if err := tree.Add(n); err != nil {
			b.Fatal(err)
		}
	}
	text := tree.Bytes()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d := NewDecoder(text)
		var n Node
		for {
			err := d.Next(&n)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
