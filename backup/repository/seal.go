package repository

import (
	"fmt"
	"hash/crc32"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// sealer is the memory one core seals blobs with. What it returns is good
// until the next call. It has working memories of zstd for itself: handed
// around they would wander from one core's cache to the other's.
type sealer struct {
	codec                 *codec
	packed, sealed, plain []byte
}

// sampleEvery is how many blobs pass between two that are hashed once more.
const sampleEvery = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newJob names a blob. The checksum is taken before the name is computed, so
// that what changes in memory from here on is noticed by verify.
func (w *Writer) newJob(t blob.Type, plain []byte) job {
	j := job{plain: plain, sum: w.sum(plain)}
	j.handle = blob.Handle{Type: t, ID: blob.Hash(plain)}
	return j
}

// sum is taken only where every blob is compared.
func (w *Writer) sum(plain []byte) uint32 {
	if w.repo.settings.verify != VerifyFull {
		return 0
	}
	return crc32.Checksum(plain, castagnoli)
}

// seal compresses a blob if that makes it smaller, and trees always, as restic
// does (format version 1 knows no compression); then it seals the blob and
// proves that it can be opened again. length is the plain length of a
// compressed blob and 0 for a raw one.
func (s *sealer) seal(w *Writer, j job) (sealed []byte, length uint32, err error) {
	s.trim()
	content := j.plain
	if w.compresses(j) {
		s.packed = s.codec.compress(s.packed[:0], j.plain)
		if len(s.packed) < len(j.plain) || j.handle.Type == blob.Tree {
			content, length = s.packed, uint32(len(j.plain))
		}
	}
	if s.sealed, err = w.repo.key.Seal(s.sealed[:0], content); err != nil {
		return nil, 0, err
	}
	verify := w.repo.settings.verify
	sampled := verify != VerifyOff && w.sample.Add(1)%sampleEvery == 1
	if verify == VerifyFull || sampled {
		if err := s.verify(w, j, length, sampled); err != nil {
			return nil, 0, err
		}
	}
	return s.sealed, length, nil
}

// compresses tells whether compressing a blob is worth trying.
func (w *Writer) compresses(j job) bool {
	switch {
	case len(j.plain) == 0 || w.repo.config.Version < newestVersion:
		return false
	case j.handle.Type == blob.Tree:
		return true
	}
	return w.repo.settings.effort != CompressOff && !dense(j.plain)
}

// verifies tells whether the next blob is to be verified.
func (w *Writer) verifies() bool {
	switch w.repo.settings.verify {
	case VerifyFull:
		return true
	case VerifySampled:
		return w.sample.Add(1)%sampleEvery == 1
	}
	return false
}

// verify opens the sealed blob into memory that is free by now: the packed
// form has been sealed already. What comes out must be what went in, by the
// checksum taken then or, for a sample, by its name.
func (s *sealer) verify(w *Writer, j job, length uint32, hash bool) error {
	opened, err := w.repo.key.Open(s.packed[:0], s.sealed)
	if err == nil {
		s.packed = opened
		if length >= largeBlob {
			if j.provesFrame(opened, hash) {
				return nil
			}
			err = backup.ErrDamaged
		} else if length > 0 {
			if s.plain, err = s.codec.expand(s.plain[:0], opened, int(length)); err == nil {
				opened = s.plain
			}
		}
	}
	if err == nil && j.proves(opened, hash) {
		return nil
	}
	return fmt.Errorf("%s cannot be read back before it is stored: memory or processor of this machine is faulty: %w", j.handle, backup.ErrDamaged)
}

// proves compares what was read back with what was to be stored.
func (j job) proves(opened []byte, hash bool) bool {
	if hash {
		return blob.Hash(opened) == j.handle.ID
	}
	return len(opened) == len(j.plain) && crc32.Checksum(opened, castagnoli) == j.sum
}

// trim gives long buffers back, so that one giant blob is not paid for ever.
func (s *sealer) trim() {
	for _, buf := range []*[]byte{&s.packed, &s.sealed, &s.plain} {
		if cap(*buf) > keepBuffer {
			*buf = nil
		}
	}
}
