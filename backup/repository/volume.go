package repository

import "emrvault/backup/repository/blob"

// BlobCopy is one copy of a blob in a pack.
type BlobCopy struct {
	Handle blob.Handle
	First  bool  // the copy that is read; another one is a duplicate
	Plain  int64 // bytes of plaintext
	Stored int64 // bytes it takes, with its share of the pack's header
}

// EachCopy visits every copy of every blob that the index knows.
func (r *Repository) EachCopy(fn func(BlobCopy)) {
	known := r.index()
	for _, id := range known.PackIDs() {
		for _, e := range known.Pack(id) {
			at, ok := known.First(e.Handle)
			fn(BlobCopy{
				Handle: e.Handle, First: ok && at.Pack == id && at.Offset == e.Offset,
				Plain: int64(e.PlainSize()), Stored: int64(e.Length) + int64(e.HeaderSize()),
			})
		}
	}
}
