package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"emrvault/backup"
)

// markName is a file in the target as long as a restore into it is under way.
const markName = ".emrvault-restore-unfinished"

// errMark is why a file of that name is left out.
var errMark = errors.New("that name marks a restore under way")

// markText is what the mark says. Whoever finds it may carry on a restore of
// the same snapshot: whatever stands in the target came from it.
//
// Files get their time last, so size and time of a half-written file do not
// match. That holds for what the kernel knows. After a power cut the disk may
// have the time and not the content, just as when a disk was pulled out; a mark
// from before the machine was started or the disk was mounted therefore means
// that only content proves a file. So does a mark without an era: beside it the
// target held something that this restore did not make and was to replace.
type markText struct {
	Repository string    `json:"repository"`
	Snapshot   string    `json:"snapshot"`
	Subtree    string    `json:"subtree,omitempty"`
	Era        string    `json:"era"` // since the start of the machine; empty where that proves nothing
	Began      time.Time `json:"began"`
}

// same says that both mean the same restore.
func (t markText) same(o markText) bool {
	return t.Repository == o.Repository && t.Snapshot == o.Snapshot && t.Subtree == o.Subtree
}

// mark is held while a restore is under way. nil is none.
type mark struct{ file *os.File }

// openRoot makes the target.
func openRoot(target string) (*os.Root, error) {
	if target == "" {
		return nil, fmt.Errorf("restore without a target: %w", backup.ErrInvalid)
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return nil, fmt.Errorf("make target: %w", err)
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	return root, nil
}

// enter refuses a target that has something in it, unless that was asked for
// or an earlier run of the same restore left it.
func (r *run) enter(root *os.Root) (*mark, error) {
	want := markText{
		Repository: r.repo.ID(), Snapshot: r.sn.ID, Subtree: r.opts.Subtree, Era: era(root), Began: time.Now().UTC(),
	}
	old, found, err := readMark(root)
	if err != nil {
		return nil, err
	}
	ours, taken := found && old.same(want), empty(root)
	switch {
	case ours:
		r.result.Resumed, r.resume = true, true
	case r.opts.AllowNotEmpty || r.resume:
	case taken != nil:
		return nil, taken
	default:
		r.fresh = true
	}
	r.doubt = found && (old.Era == "" || old.Era != want.Era)
	if taken != nil && (r.doubt || !r.resume) {
		want.Era = "" // whoever goes on must not take for ours what stood there
	}
	r.doubt = r.doubt || r.opts.Verify
	if r.based { // its mode comes again at the end
		if err := openToUs(root); err != nil {
			return nil, err
		}
	}
	if r.opts.Temporary || r.opts.Unmarked {
		return nil, nil
	}
	r.marked = true
	return leaveMark(root, want, ours)
}

// openToUs lets us write into a target that an earlier restore has closed.
func openToUs(root *os.Root) error {
	info, err := root.Lstat(".")
	if err != nil {
		return fmt.Errorf("look at target: %w", err)
	}
	return opened(root, ".", info.Mode())
}

// readMark reads what an earlier restore left. What is no mark is one that says
// nothing: a power cut may have left it so.
func readMark(root *os.Root) (text markText, found bool, err error) {
	const most = 4 << 10
	info, err := root.Lstat(markName)
	if errors.Is(err, fs.ErrNotExist) {
		return text, false, nil
	}
	if err != nil {
		return text, false, fmt.Errorf("look for an unfinished restore: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return text, true, nil
	}
	data, err := root.ReadFile(markName)
	if err != nil {
		return text, false, fmt.Errorf("read the mark of an unfinished restore: %w", err)
	}
	if json.Unmarshal(data, &text) != nil {
		return markText{}, true, nil
	}
	return text, true, nil
}

// leaveMark writes the mark durably before anything else comes into the target.
// One that says the same stays as it is: what it says of the machine's start
// holds for what was restored then.
func leaveMark(root *os.Root, text markText, stands bool) (*mark, error) {
	flags := os.O_RDWR
	if !stands {
		if err := idle(root); err != nil {
			return nil, err
		}
		if err := root.Remove(markName); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("replace the mark of another restore: %w", err)
		}
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := root.OpenFile(markName, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mark the restore as under way: %w", err)
	}
	m := &mark{f}
	if err := hold(f); err != nil {
		return nil, errors.Join(err, m.release())
	}
	if stands {
		return m, nil
	}
	data, err := json.Marshal(text)
	if err == nil {
		_, err = f.Write(append(data, '\n'))
	}
	if err == nil {
		err = errors.Join(f.Sync(), syncDir(root))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mark the restore as under way: %w", err), m.release())
	}
	return m, nil
}

// idle refuses a target into which another restore is writing just now.
func idle(root *os.Root) error {
	info, err := root.Lstat(markName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	f, err := root.Open(markName)
	if err != nil {
		return fmt.Errorf("look for another restore: %w", err)
	}
	return errors.Join(hold(f), f.Close())
}

// close takes the mark away when the restore is done.
func (m *mark) close(root *os.Root, done bool) error {
	if m == nil {
		return nil
	}
	err := m.release() // first, as Windows removes nothing that is open
	if done {
		err = errors.Join(err, root.Remove(markName))
	}
	if err != nil {
		return fmt.Errorf("take the mark away: %w", err)
	}
	return nil
}

func (m *mark) release() error {
	if m == nil {
		return nil
	}
	return m.file.Close()
}

// errBusy says that two restores would write the same files.
var errBusy = errors.New("another restore into this folder is under way")

// empty refuses a folder that has something in it. A mark alone is what a
// restore left that had no time, or no room, to begin.
func empty(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("open target: %w", err)
	}
	names, err := f.Readdirnames(3)
	names = slices.DeleteFunc(names, func(name string) bool { return name == markName || name == probeName })
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("restore to %s: %w (it holds %q); choose an empty folder", root.Name(), backup.ErrTargetNotEmpty, names[0])
	case errors.Is(err, io.EOF) || err == nil:
		return nil
	}
	return fmt.Errorf("list target: %w", err)
}
