package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"emrvault/backup"
	"emrvault/backup/snapshot"
)

// lacking says of an error that the target's file system cannot do what was
// asked.
func lacking(err error) bool {
	for _, no := range []error{
		windows.ERROR_INVALID_FUNCTION, windows.ERROR_NOT_SUPPORTED, windows.ERROR_CALL_NOT_IMPLEMENTED, windows.ERROR_TOO_MANY_LINKS,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

func full(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// basicInfo is FILE_BASIC_INFO; zero leaves a member as it is.
type basicInfo struct {
	Created, Accessed, Written, Changed int64
	Attributes, _                       uint32
}

// kept are the attributes a program may set: read-only, hidden, system, archive.
const kept = windows.FILE_ATTRIBUTE_READONLY | windows.FILE_ATTRIBUTE_HIDDEN |
	windows.FILE_ATTRIBUTE_SYSTEM | windows.FILE_ATTRIBUTE_ARCHIVE

const settable = fs.ModePerm

func (r *run) fileMeta(f *file, handle output, _ bool) error { return setBasic(handle.File, f.node) }

// inputMeta has nothing to do: times are right when it is called, and Windows
// has no owner or mode to be put right.
func (r *run) inputMeta(*file, *os.File) error { return nil }

func (r *run) sameRights(*snapshot.Node, seen) bool { return true }

func setBasic(f *os.File, n *snapshot.Node) error {
	info := basicInfo{Written: filetime(n.ModTime), Accessed: filetime(n.AccessTime)}
	var created windows.Filetime
	if raw, ok := n.Generic[snapshot.WindowsCreationTime]; ok {
		if err := json.Unmarshal(raw, &created); err != nil {
			return fmt.Errorf("creation time: %w", err)
		}
		info.Created = int64(created.HighDateTime)<<32 | int64(created.LowDateTime)
	}
	if raw, ok := n.Generic[snapshot.WindowsFileAttributes]; ok {
		if err := json.Unmarshal(raw, &info.Attributes); err != nil {
			return fmt.Errorf("file attributes: %w", err)
		}
		info.Attributes &= kept
	}
	err := windows.SetFileInformationByHandle(windows.Handle(f.Fd()), windows.FileBasicInfo,
		(*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		return fmt.Errorf("set times and attributes: %w", err)
	}
	return nil
}

func filetime(t time.Time) int64 {
	ft := windows.NsecToFiletime(t.UnixNano())
	return int64(ft.HighDateTime)<<32 | int64(ft.LowDateTime)
}

func (r *run) folderMeta(f *folder) error {
	return r.tree.root.Chtimes(f.rel(), f.node.AccessTime, f.node.ModTime)
}

func (r *run) entryMeta(*place, *entry) error { return nil }

func makeSpecial(*place, string, *snapshot.Node) error { return backup.ErrUnsupported }
