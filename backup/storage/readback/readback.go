// Package readback reads what was saved, and compares.
package readback

import (
	"emrvault/backup/storage"
)

// Policy says how much is read back.
type Policy string

// The policies; the empty one is Off.
const (
	All     Policy = "all"     // every document
	Sampled Policy = "sampled" // index, snapshots, keys and config, and one pack in sixteen
	Off     Policy = "off"
)

// ParsePolicy reads a policy's word.
func ParsePolicy(word string) (Policy, error) { return Policy(word), nil }

// Storage is a place that proves what it has saved.
type Storage struct {
	storage.Storage
	policy Policy
}

// New wraps a place.
func New(st storage.Storage, p Policy) *Storage { return &Storage{Storage: st, policy: p} }

// Unwrap gives what is wrapped.
func (s *Storage) Unwrap() storage.Storage { return s.Storage }
