package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"emrvault/backup/snapshot"
)

// folder is a folder of the target.
type folder struct {
	up    *folder // nil for the target itself
	name  string
	path  string // in the snapshot, for people
	node  *snapshot.Node
	old   bool // it was there before: names in it may be taken
	made  bool
	wrong error // why it could not be made
}

// rel is the path below the target.
func (f *folder) rel() string {
	if f.up == nil {
		return "."
	}
	if f.up.up == nil {
		return f.name
	}
	return f.up.rel() + string(filepath.Separator) + f.name
}

// maxOpenFolders bounds the descriptors that places keeps.
const maxOpenFolders = 128

// places opens folders of the target, each by one name from the folder above
// and never through a link, so none, old or new, leads out of the target. An
// open folder spares the way from the target down for each file in it.
type places struct {
	root *os.Root
	base *os.File // the target; syncing it hears of every fault since it was opened
	wipe bool     // folders that stand where something else belongs go with all that is in them
	mu   sync.Mutex
	open map[*folder]*place
	tick int
}

// place is an open folder in use by refs workers.
type place struct {
	fd   descriptor
	refs int
	used int

	tree   *places
	folder *folder
	mu     sync.Mutex
	root   *os.Root // nil until somebody asks
}

func newPlaces(root *os.Root) (*places, error) {
	base, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open target: %w", err), root.Close())
	}
	return &places{root: root, base: base, open: map[*folder]*place{}}, nil
}

// take opens a folder that exists; give it back.
func (p *places) take(f *folder) (*place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tick++
	way := []*folder{f}
	for g := f; p.open[g] == nil && g.up != nil; g = g.up {
		way = append(way, g.up)
	}
	for _, g := range slices.Backward(way) {
		if err := p.enter(g); err != nil {
			return nil, fmt.Errorf("open folder: %w", err)
		}
	}
	at := p.open[f]
	at.refs++
	return at, nil
}

// enter opens a folder from the one above it, which is open.
func (p *places) enter(f *folder) error {
	if at := p.open[f]; at != nil {
		at.used = p.tick
		return nil
	}
	up := p.open[f.up]
	if up != nil {
		up.refs++
		defer func() { up.refs-- }()
	}
	if err := p.shrink(); err != nil {
		return err
	}
	fd, err := p.descend(up, f)
	if err != nil {
		return err
	}
	p.open[f] = &place{fd: fd, used: p.tick, tree: p, folder: f}
	return nil
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

func (p *places) give(f *folder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.open[f]; ok {
		at.refs--
	}
}

// shrink closes the folder that was idle for longest when there are too many.
func (p *places) shrink() error {
	if len(p.open) < maxOpenFolders {
		return nil
	}
	var oldest *folder
	for f, at := range p.open {
		if at.refs == 0 && (oldest == nil || at.used < p.open[oldest].used) {
			oldest = f
		}
	}
	if oldest == nil {
		return nil
	}
	at := p.open[oldest]
	delete(p.open, oldest)
	return at.close()
}

func (at *place) close() error {
	err := at.fd.Close()
	if at.root != nil {
		err = errors.Join(err, at.root.Close())
	}
	return err
}

func (p *places) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, at := range p.open {
		errs = append(errs, at.close())
	}
	p.open = nil
	return errors.Join(append(errs, p.base.Close(), p.root.Close())...)
}

// make makes a folder and those above it. Something else of that name, a link
// to a folder among it, gives way.
func (p *places) make(f *folder) error {
	if f.made || f.wrong != nil {
		return f.wrong
	}
	if f.up == nil {
		f.made, f.old = true, true
		return nil
	}
	if err := p.make(f.up); err != nil {
		f.wrong = fmt.Errorf("folder above: %w", err)
		return f.wrong
	}
	f.old, f.wrong = p.makeIn(f)
	f.made = f.wrong == nil
	return f.wrong
}

func (p *places) makeIn(f *folder) (old bool, err error) {
	up, err := p.take(f.up)
	if err != nil {
		return false, err
	}
	defer p.give(f.up)
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
		return true, nil
	}
	if err := dir.Remove(f.name); err != nil {
		return false, err
	}
	return false, dir.Mkdir(f.name, private)
}

// clear makes room for an entry in a folder that was there before. A folder in
// its place that holds something is another's work: only who asked to delete
// what the snapshot does not have loses it.
func (at *place) clear(f *folder, name string) error {
	if !f.old {
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
