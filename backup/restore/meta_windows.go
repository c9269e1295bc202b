package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"emrvault/backup"
	"emrvault/backup/snapshot"
)

// reserved are names that Windows gives to devices, with any ending.
var reserved = []string{
	"con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

// unsafeName names what Windows would take for something else: a stream, a
// device, another folder, or another name.
func unsafeName(name string) error {
	bad := strings.ContainsAny(name, `<>:"/\|?*`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ")
	for _, c := range []byte(name) {
		bad = bad || c < 0x20
	}
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	for _, word := range reserved {
		bad = bad || stem == word
	}
	if bad {
		return fmt.Errorf("Windows cannot hold the name %q: %w", name, backup.ErrUnsupported)
	}
	return nil
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

func (r *run) fileMeta(f *file) error { return setBasic(f.handle.File, f.node) }

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

func makeSpecial(*place, *snapshot.Node) error { return backup.ErrUnsupported }
