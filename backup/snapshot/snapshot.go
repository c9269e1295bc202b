package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

// Snapshot is the document of one recovery point. Unknown members are lost
// when another program rewrites it, so nothing of our own is kept in it.
type Snapshot struct {
	ID string `json:"-"` // name of the document, 64 hex digits

	Time           time.Time `json:"time"`
	Parent         blob.ID   `json:"parent,omitzero"` // compared with for changes
	Tree           blob.ID   `json:"tree"`
	Paths          []string  `json:"paths"` // absolute
	Hostname       string    `json:"hostname,omitempty"`
	Username       string    `json:"username,omitempty"`
	UID            uint32    `json:"uid,omitempty"`
	GID            uint32    `json:"gid,omitempty"`
	Excludes       []string  `json:"excludes,omitempty"`
	Tags           []string  `json:"tags,omitempty"`
	Original       blob.ID   `json:"original,omitzero"` // this one was derived from it
	ProgramVersion string    `json:"program_version,omitempty"`
	Summary        *Summary  `json:"summary,omitempty"` // nil in snapshots of older programs
}

// Summary counts what a backup did.
type Summary struct {
	BackupStart         time.Time `json:"backup_start"`
	BackupEnd           time.Time `json:"backup_end"`
	FilesNew            uint64    `json:"files_new"`
	FilesChanged        uint64    `json:"files_changed"`
	FilesUnmodified     uint64    `json:"files_unmodified"`
	DirsNew             uint64    `json:"dirs_new"`
	DirsChanged         uint64    `json:"dirs_changed"`
	DirsUnmodified      uint64    `json:"dirs_unmodified"`
	DataBlobs           int64     `json:"data_blobs"`
	TreeBlobs           int64     `json:"tree_blobs"`
	DataAdded           uint64    `json:"data_added"`        // plaintext of the new blobs
	DataAddedPacked     uint64    `json:"data_added_packed"` // as stored
	TotalFilesProcessed uint64    `json:"total_files_processed"`
	TotalBytesProcessed uint64    `json:"total_bytes_processed"`
}

// Short is the beginning of the id that people read and type.
func (s *Snapshot) Short() string { return s.ID[:min(8, len(s.ID))] }

// Root is a folder node that stands for the whole snapshot.
func (s *Snapshot) Root() *Node {
	return &Node{
		Name: "/", Type: Dir, Mode: dirMode, Subtree: s.Tree,
		ModTime: s.Time, AccessTime: s.Time, ChangeTime: s.Time,
	}
}

// Save stores the document. Everything it refers to must be durable before.
func Save(ctx context.Context, repo *repository.Repository, s *Snapshot) error {
	if s.Tree.IsZero() {
		return fmt.Errorf("save snapshot without a tree: %w", backup.ErrInvalid)
	}
	id, err := repo.SaveUnpacked(ctx, storage.Snapshot, s)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	s.ID = id.String()
	return nil
}

// Load reads the snapshot with the full id.
func Load(ctx context.Context, repo *repository.Repository, id string) (*Snapshot, error) {
	s := &Snapshot{}
	if err := repo.LoadUnpacked(ctx, storage.Snapshot, id, s); err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", short(id), err)
	}
	s.ID = id
	return s, nil
}

// Remove deletes the document. The data goes with the next prune.
func Remove(ctx context.Context, repo *repository.Repository, id string) error {
	err := repo.Storage().Remove(ctx, storage.Name{Kind: storage.Snapshot, ID: id})
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return fmt.Errorf("remove snapshot %s: %w", short(id), err)
	}
	return nil
}

func short(id string) string { return id[:min(8, len(id))] }
