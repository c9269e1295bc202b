package snapshot

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// NodeType is the kind of thing a node stands for.
type NodeType string

// The kinds that a tree may hold; anything else is a fault that Check names.
const (
	File       NodeType = "file"
	Dir        NodeType = "dir"
	Symlink    NodeType = "symlink"
	Device     NodeType = "dev"
	CharDevice NodeType = "chardev"
	Fifo       NodeType = "fifo"
	Socket     NodeType = "socket"
)

// Known says whether readers of the format understand the type.
func (t NodeType) Known() bool {
	switch t {
	case File, Dir, Symlink, Device, CharDevice, Fifo, Socket:
		return true
	}
	return false
}

// Node is one entry of a folder. Its fields stand in the order in which they
// are written, because the bytes of a tree decide the tree's id.
type Node struct {
	Name       string // raw bytes as the file system has them
	Type       NodeType
	Mode       fs.FileMode // Go's bits, not those of st_mode
	ModTime    time.Time
	AccessTime time.Time // equal to ModTime unless asked for
	ChangeTime time.Time
	UID, GID   uint32
	User       string
	Group      string
	Inode      uint64
	DeviceID   uint64 // the file system the node lies on
	Size       uint64 // files only
	Links      uint64
	LinkTarget string // raw bytes
	Xattrs     []Xattr
	Generic    map[string]json.RawMessage // attributes of one operating system
	Device     uint64                     // what a device node stands for
	Content    []blob.ID                  // files: never nil when written
	Subtree    blob.ID                    // folders; zero means missing
	Error      string                     // what spoiled the node while it was read
}

// Xattr is an extended attribute; POSIX access lists are among them.
type Xattr struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// Names of the Windows attributes a node may carry.
const (
	WindowsCreationTime   = "windows.creation_time"
	WindowsFileAttributes = "windows.file_attributes"
)

// IsDir says whether the node is a folder.
func (n *Node) IsDir() bool { return n.Type == Dir }

// CheckName refuses names that no file system hands out: they would lead
// a restore out of its target, or nowhere.
func (n *Node) CheckName() error {
	switch {
	case n.Name == "":
		return fmt.Errorf("entry without a name: %w", backup.ErrUnsafe)
	case n.Name == "." || n.Name == "..":
		return fmt.Errorf("entry named %q: %w", n.Name, backup.ErrUnsafe)
	case strings.ContainsAny(n.Name, "/\x00"):
		return fmt.Errorf("entry named %q: %w", n.Name, backup.ErrUnsafe)
	}
	return nil
}

// SameFile says whether the file's content can be taken over from an older
// snapshot without reading it: whatever changes content changes one of these.
func (n *Node) SameFile(old *Node) bool {
	return n.Type == File && old.Type == File && n.Size == old.Size && n.Inode == old.Inode &&
		n.ModTime.Equal(old.ModTime) && n.ChangeTime.Equal(old.ChangeTime) && old.Error == ""
}

// Clamp brings a time into the years that the format can write.
func Clamp(t time.Time) time.Time {
	switch y := t.Year(); {
	case y < 0:
		return t.AddDate(-y, 0, 0)
	case y > 9999:
		return t.AddDate(9999-y, 0, 0)
	}
	return t
}
