package repository

import (
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// sealer is the memory one worker seals blobs with. What it returns is good
// until the next call.
type sealer struct {
	packed, sealed, plain []byte
}

// sampleEvery is how many blobs pass between two that VerifySampled looks at.
const sampleEvery = 16

// seal compresses a blob if that makes it smaller, and trees always, as restic
// does (format version 1 knows no compression); then it seals the blob and proves that it can be opened again. length
// is the plain length of a compressed blob and 0 for a raw one.
func (s *sealer) seal(w *Writer, j job) (sealed []byte, length uint32, err error) {
	s.trim()
	content := j.plain
	if len(j.plain) > 0 && w.repo.config.Version >= newestVersion {
		s.packed = w.repo.codec.compress(s.packed[:0], j.plain)
		if len(s.packed) < len(j.plain) || j.handle.Type == blob.Tree {
			content, length = s.packed, uint32(len(j.plain))
		}
	}
	if s.sealed, err = w.repo.key.Seal(s.sealed[:0], content); err != nil {
		return nil, 0, err
	}
	if w.verifies() {
		if err := s.verify(w.repo, j.handle, length); err != nil {
			return nil, 0, err
		}
	}
	return s.sealed, length, nil
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
// form has been sealed already.
func (s *sealer) verify(r *Repository, h blob.Handle, length uint32) error {
	opened, err := r.key.Open(s.packed[:0], s.sealed)
	if err == nil {
		s.packed = opened
		if length > 0 {
			if s.plain, err = r.codec.expand(s.plain[:0], opened, int(length)); err == nil {
				opened = s.plain
			}
		}
	}
	if err == nil && blob.Hash(opened) == h.ID {
		return nil
	}
	return fmt.Errorf("%s cannot be read back before it is stored: memory or processor of this machine is faulty: %w", h, backup.ErrDamaged)
}

// trim gives long buffers back, so that one giant blob is not paid for ever.
func (s *sealer) trim() {
	for _, buf := range []*[]byte{&s.packed, &s.sealed, &s.plain} {
		if cap(*buf) > keepBuffer {
			*buf = nil
		}
	}
}
