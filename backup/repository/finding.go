package repository

import (
	"fmt"
	"sync"

	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

// Level orders findings.
type Level string

const (
	// Hint is worth knowing, nothing is lost.
	Hint Level = "hint"
	// Error means that something cannot be restored as it was, or soon may not.
	Error Level = "error"
)

// The kinds of findings of CheckStore; the text of each is "check.<kind>".
const (
	ConfigDamaged  = "config-damaged"  // the config is not what was written
	LockDamaged    = "lock-damaged"    // hint: a lock file is not what was written
	KeyDamaged     = "key-damaged"     // a key file cannot open anything any more
	IndexDamaged   = "index-damaged"   // an index file cannot be read
	IndexConflict  = "index-conflict"  // two index files contradict each other
	IndexTwice     = "index-twice"     // hint: two index files say the same
	PackMissing    = "pack-missing"    // the index knows a pack that is not there
	PackShort      = "pack-short"      // a pack was cut
	PackLong       = "pack-long"       // a pack has bytes too many
	PackOrphan     = "pack-orphan"     // hint: no index knows the pack
	PackMixed      = "pack-mixed"      // hint: trees and data share the pack
	PackLayout     = "pack-layout"     // blobs overlap or leave gaps
	PackHeader     = "pack-header"     // the pack's own list is not the index's
	PackDamaged    = "pack-damaged"    // the bytes are not those of its name
	PackUnreadable = "pack-unreadable" // the storage fails to read it
	BlobDamaged    = "blob-damaged"    // one blob of a pack cannot be read
)

// Finding is one thing a check noticed.
type Finding struct {
	Level Level          `json:"level"`
	Kind  string         `json:"kind"`           // one word a program can act on, such as "pack-missing"
	Name  string         `json:"name"`           // the document or blob, in full
	Key   string         `json:"key"`            // texts: "check.<kind>"
	Args  map[string]any `json:"args,omitempty"` // arguments of the text: name, error
	Text  string         `json:"text"`           // in English
}

// String is the finding as one line for people.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Level, f.Name, f.Text) }

func documentFinding(level Level, kind string, name storage.Name, text string) Finding {
	return Finding{
		Level: level, Kind: kind, Name: name.Path(), Key: "check." + kind, Text: text,
		Args: map[string]any{"name": name.String(), "error": text},
	}
}

func packFinding(kind string, id blob.ID, text string) Finding {
	level := Error
	if kind == PackOrphan || kind == PackMixed {
		level = Hint
	}
	return documentFinding(level, kind, packName(id), text)
}

// reporter hands findings over one at a time.
type reporter struct {
	mu     sync.Mutex
	report func(Finding)
}

func (r *reporter) add(f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report(f)
}
