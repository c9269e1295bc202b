package repository

import (
	"context"
	"errors"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/chunk"
	"emrvault/backup/storage"
)

var errSoon = errors.New("not written yet")

// Repository is an opened repository. All methods may be called from many
// goroutines at once.
type Repository struct{}

// Option changes how a repository is made or opened.
type Option func(*settings)

type settings struct{}

// Create makes a repository of format version 2 at an empty place.
func Create(ctx context.Context, st storage.Storage, password string, opts ...Option) (*Repository, error) {
	return nil, errSoon
}

// Open opens a repository with a password.
func Open(ctx context.Context, st storage.Storage, password string, opts ...Option) (*Repository, error) {
	return nil, errSoon
}

// ID is the random identity of the repository, 64 hex digits.
func (r *Repository) ID() string { return "" }

// Version is the format version, 1 or 2.
func (r *Repository) Version() uint { return 0 }

// Storage is the place where the repository rests.
func (r *Repository) Storage() storage.Storage { return nil }

// ChunkTable is the secret table that decides where files are cut.
func (r *Repository) ChunkTable() *chunk.Table { return nil }

// Close forgets the keys and releases the storage.
func (r *Repository) Close() error { return nil }

// LoadIndex reads all index files; call it before Has, LoadBlob or Write.
func (r *Repository) LoadIndex(ctx context.Context) error { return errSoon }

// Has tells whether a blob is durable in the repository.
func (r *Repository) Has(h blob.Handle) bool { return false }

// BlobSize tells the length of a blob's plaintext.
func (r *Repository) BlobSize(h blob.Handle) (plain int, ok bool) { return 0, false }

// Locate tells where a blob lies.
func (r *Repository) Locate(h blob.Handle) (pack blob.ID, offset, length, plainLength uint32, ok bool) {
	return
}

// LoadBlob reads one blob into buf, growing it when it is too small: decrypted,
// decompressed, its hash proven. Every copy is tried before it gives up.
func (r *Repository) LoadBlob(ctx context.Context, h blob.Handle, buf []byte) ([]byte, error) {
	return nil, errSoon
}

// LoadPack reads the wanted blobs of one pack with few requests and hands each
// to fn, in the order they lie in the pack. plain is only good during the call. A blob that cannot be read
// from any copy is handed over with its error; fn's own error stops the work.
func (r *Repository) LoadPack(ctx context.Context, pack blob.ID, want []blob.Handle, fn func(h blob.Handle, plain []byte, err error) error) error {
	return errSoon
}

// Writer stores blobs; it lives inside Write.
type Writer struct{}

// Saved tells what became of a blob.
type Saved struct {
	ID  blob.ID
	New bool // the repository did not have it, nor was it on its way
}

// WriteStats counts what a Writer has stored so far; it is complete when Write
// has returned.
type WriteStats struct {
	DataBlobs, TreeBlobs int64 // new blobs
	DataBytes, TreeBytes int64 // their plaintext
	Packed               int64 // bytes they take as stored, headers included
	Packs                int64
}

// Write runs fn with a Writer whose workers live inside the call. When it
// returns nil, every pack and index file is durable.
func (r *Repository) Write(ctx context.Context, fn func(ctx context.Context, w *Writer) error) error {
	return errSoon
}

// Save stores a blob unless the repository has it. plain is the caller's again
// when Save returns. It may be called from many goroutines; the bytes are only
// durable when Write returns nil.
func (w *Writer) Save(ctx context.Context, t blob.Type, plain []byte) (Saved, error) {
	return Saved{}, errSoon
}

// Stats tells what was stored so far.
func (w *Writer) Stats() WriteStats { return WriteStats{} }

// SaveUnpacked seals v as JSON and stores it as a document of its own
// (snapshots). The id is the document's name.
func (r *Repository) SaveUnpacked(ctx context.Context, kind storage.Kind, v any) (blob.ID, error) {
	return blob.ID{}, errSoon
}

// LoadUnpacked reads such a document into v, proving name and seal.
func (r *Repository) LoadUnpacked(ctx context.Context, kind storage.Kind, id string, v any) error {
	return errSoon
}

// CheckOptions says how deep CheckStore looks.
type CheckOptions struct {
	ReadData bool    // read and prove every byte
	Subset   float64 // 0 < share < 1: with ReadData, only this share of the packs, drawn at random
}

// Level orders findings.
type Level string

const (
	// Hint is worth knowing, nothing is lost.
	Hint Level = "hint"
	// Error means that something cannot be restored as it was.
	Error Level = "error"
)

// Finding is one thing a check noticed.
type Finding struct {
	Level Level          `json:"level"`
	Kind  string         `json:"kind"`           // one word a program can act on, such as "pack-missing"
	Name  string         `json:"name"`           // the document or blob
	Key   string         `json:"key"`            // texts: "check.<kind>"
	Args  map[string]any `json:"args,omitempty"` // arguments of the text
	Text  string         `json:"text"`           // in English
}

// CheckStore proves keys, index and packs; what trees and snapshots say is
// snapshot.Check's part. Findings are reported one at a time. The error is for a check that could not be made.
func (r *Repository) CheckStore(ctx context.Context, opts CheckOptions, report func(Finding), progress backup.Progress) error {
	return errSoon
}

// PruneOptions says how much slack may stay.
type PruneOptions struct {
	MaxUnusedPercent float64 // of the used bytes; 0 means 5, negative means none
	DryRun           bool
}

// PruneReport tells what was, or with DryRun would be, removed.
type PruneReport struct {
	UsedBlobs, UsedBytes       int64
	UnusedBlobs, UnusedBytes   int64 // before
	RemainingUnusedBytes       int64 // after
	PacksKept, PacksRepacked   int64
	PacksRemoved, PacksOrphans int64
	BytesFreed                 int64 // bytes the storage has more room afterwards
}

// Prune removes what no snapshot needs. used holds every blob reachable from
// all snapshots. The caller holds the exclusive lock.
func (r *Repository) Prune(ctx context.Context, used *blob.Set, opts PruneOptions, progress backup.Progress) (PruneReport, error) {
	return PruneReport{}, errSoon
}
