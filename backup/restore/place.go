package restore

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"emrvault/backup/snapshot"
)

// folder is a folder of the target.
type folder struct {
	up    *folder // nil for the target itself
	name  string  // in the target
	label string  // in the snapshot; of the target itself, the whole path there
	bytes int     // of the path in the snapshot
	node  *snapshot.Node
	old   bool   // it was there before: names in it may be taken
	exact bool   // what is made in it belongs to us and has the mode asked for
	made  bool   // and with it those above
	wrong error  // why it could not be made
	at    *place // open, or nil; guarded by places
}

// path is where the folder lies in the snapshot. It is made when somebody asks:
// in a chain of folders made to harm, paths kept would fill the memory.
func (f *folder) path() string {
	if f.up == nil {
		return f.label
	}
	parts := []string{}
	top := f
	for ; top.up != nil; top = top.up {
		parts = append(parts, top.label)
	}
	slices.Reverse(parts)
	return strings.TrimSuffix(top.label, "/") + "/" + strings.Join(parts, "/")
}

// below is a folder in this one, not made yet.
func (f *folder) below(name string, n *snapshot.Node) *folder {
	return &folder{up: f, name: name, label: n.Name, bytes: f.bytes + 1 + len(n.Name), node: n}
}

// rel is the path below the target.
func (f *folder) rel() string {
	if f.up == nil {
		return "."
	}
	var parts []string
	for g := f; g.up != nil; g = g.up {
		parts = append(parts, g.name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, string(filepath.Separator))
}

// maxOpenFolders bounds the descriptors that places keeps.
const maxOpenFolders = 128

// places opens folders of the target, each by one name from the folder above
// and never through a link, so none, old or new, leads out of the target. An
// open folder spares the way from the target down for each file in it.
type places struct {
	root  *os.Root
	base  *os.File // the target; syncing it hears of every fault since it was opened
	fresh bool     // nothing was in the target
	wipe  bool     // folders that stand where something else belongs go with all that is in them

	mu    sync.Mutex
	count int        // folders that are open
	idle  *list.List // *place that nobody uses, the longest unused first
}

// place is an open folder in use by refs workers.
type place struct {
	fd     descriptor
	refs   int
	idle   *list.Element
	tree   *places
	folder *folder

	mu   sync.Mutex
	root *os.Root // nil until somebody asks
}

func newPlaces(root *os.Root) (*places, error) {
	base, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open target: %w", err), root.Close())
	}
	return &places{root: root, base: base, idle: list.New()}, nil
}

// take opens a folder that exists; give it back.
func (p *places) take(f *folder) (*place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hold(f)
}

// hold opens a folder from the one above it, which it opens too.
func (p *places) hold(f *folder) (*place, error) {
	if at := f.at; at != nil {
		at.refs++
		if at.idle != nil {
			p.idle.Remove(at.idle)
			at.idle = nil
		}
		return at, nil
	}
	var up *place
	if f.up != nil {
		var err error
		if up, err = p.hold(f.up); err != nil {
			return nil, err
		}
		defer p.release(up)
	}
	if err := p.shrink(); err != nil {
		return nil, err
	}
	fd, err := p.descend(up, f)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	f.at = &place{fd: fd, refs: 1, tree: p, folder: f}
	p.count++
	return f.at, nil
}

func (p *places) give(at *place) {
	p.mu.Lock()
	p.release(at)
	p.mu.Unlock()
}

func (p *places) release(at *place) {
	if at.refs--; at.refs == 0 {
		at.idle = p.idle.PushBack(at)
	}
}

// shrink closes the folder that was idle for longest when there are too many.
func (p *places) shrink() error {
	oldest := p.idle.Front()
	if p.count < maxOpenFolders || oldest == nil {
		return nil
	}
	return p.shut(oldest)
}

func (p *places) shut(e *list.Element) error {
	at := p.idle.Remove(e).(*place)
	at.folder.at = nil
	p.count--
	err := at.fd.Close()
	if at.root != nil {
		err = errors.Join(err, at.root.Close())
	}
	return err
}

// leave closes a folder that will not be needed any more.
func (p *places) leave(f *folder) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.at == nil || f.at.idle == nil {
		return nil
	}
	return p.shut(f.at.idle)
}

// dir is the folder for what takes more than one call of the system.
func (at *place) dir() (*os.Root, error) {
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.root == nil {
		dir, err := at.tree.root.OpenRoot(at.folder.rel())
		if err != nil {
			return nil, fmt.Errorf("open folder: %w", err)
		}
		at.root = dir
	}
	return at.root, nil
}

// close closes all; nobody uses any.
func (p *places) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for e := p.idle.Front(); e != nil; e = p.idle.Front() {
		errs = append(errs, p.shut(e))
	}
	return errors.Join(append(errs, p.base.Close(), p.root.Close())...)
}

// make makes a folder and those above it. Something else of that name, a link
// to a folder among it, gives way.
func (p *places) make(f *folder) error {
	if f.made || f.wrong != nil {
		return f.wrong
	}
	if f.up == nil {
		f.made, f.old = true, !p.fresh
		f.exact, f.wrong = p.inspect(f)
		return f.wrong
	}
	if err := p.make(f.up); err != nil {
		f.wrong = fmt.Errorf("folder above: %w", err)
		return f.wrong
	}
	if f.old, f.wrong = p.makeIn(f); f.wrong != nil {
		return f.wrong
	}
	f.made, f.exact = true, f.up.exact
	if f.old {
		f.exact, f.wrong = p.inspect(f)
	}
	return f.wrong
}

// inspect asks a folder that was there before whether it is exact.
func (p *places) inspect(f *folder) (bool, error) {
	at, err := p.take(f)
	if err != nil {
		return false, err
	}
	defer p.give(at)
	return at.exact(), nil
}

func (p *places) makeIn(f *folder) (old bool, err error) {
	up, err := p.take(f.up)
	if err != nil {
		return false, err
	}
	defer p.give(up)
	err = up.mkdir(f.name)
	if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	dir, err := up.dir()
	if err != nil {
		return false, err
	}
	info, err := dir.Lstat(f.name)
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return true, opened(dir, f.name, info.Mode())
	}
	if err := dir.Remove(f.name); err != nil {
		return false, err
	}
	return false, dir.Mkdir(f.name, private)
}

// opened lets us write into a folder that an earlier restore has closed with
// the mode it is to have; that comes again at the end.
func opened(dir *os.Root, name string, mode fs.FileMode) error {
	if mode&private == private {
		return nil
	}
	if err := dir.Chmod(name, mode|private); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("open the folder to us: %w", err)
	}
	return nil
}

// clear makes room for an entry in a folder that was there before. A folder in
// its place that holds something is another's work: only who asked to delete
// what the snapshot does not have loses it.
func (at *place) clear(name string) error {
	if !at.folder.old {
		return nil
	}
	dir, err := at.dir()
	if err != nil {
		return err
	}
	remove := dir.Remove
	if at.tree.wipe {
		remove = dir.RemoveAll
	}
	if err := remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace what is there: %w", err)
	}
	return nil
}

// remove takes an entry away.
func (at *place) remove(name string) error {
	dir, err := at.dir()
	if err != nil {
		return err
	}
	return dir.Remove(name)
}
