package repository

import (
	"bytes"

	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

// mostUnflipped bounds the search of unflip: keys, configs and locks have less
// than a kilobyte.
const mostUnflipped = 4 << 10

// unflip finds what a small document was before a single bit of it turned. For
// what no second copy can give back, because it belongs to this repository
// alone, that is the difference between a remark of the check and a repository
// that does not open. right must prove what it is given beyond doubt; so nothing
// wrong can be taken for right. ok is false when one bit does not explain what
// lies there.
func unflip(data []byte, right func([]byte) bool) (whole []byte, ok bool) {
	if len(data) > mostUnflipped {
		return nil, false
	}
	whole = bytes.Clone(data)
	for i := range whole {
		for bit := range 8 {
			whole[i] ^= 1 << bit
			if right(whole) {
				return whole, true
			}
			whole[i] ^= 1 << bit
		}
	}
	return nil, false
}

// named proves a document by its name.
func named(name storage.Name) func([]byte) bool {
	return func(data []byte) bool { return blob.Hash(data).String() == name.ID }
}
