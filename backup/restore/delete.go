package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

// deleteOthers removes what the snapshot does not have in a folder. It works
// on names in the open folder, so a link there goes itself and not what it
// leads to.
func (r *run) deleteOthers(f *folder, keep names) error {
	at, err := r.tree.take(f)
	if err != nil {
		return err
	}
	defer r.tree.give(at)
	dir, err := at.dir()
	if err != nil {
		return err
	}
	return strangers(dir, f, keep, r.chosen, func(name string) error {
		if err := dir.RemoveAll(name); err != nil {
			return fmt.Errorf("delete %q: %w", name, err)
		}
		r.deleted.Add(1)
		return nil
	})
}

// names are those that stay in a folder of the target. Where it takes capital
// and small letters for the same, what stands there may be written otherwise.
type names struct {
	set   map[string]bool
	folds bool
}

func (n *names) key(name string) string {
	if n.folds {
		return folded(name)
	}
	return name
}

func (n *names) add(name string) {
	if n.set != nil {
		n.set[n.key(name)] = true
	}
}

func (n *names) has(name string) bool { return n.set[n.key(name)] }

// strangers are the names in a folder of the target that the snapshot does not
// have there, as far as they are chosen.
func strangers(dir *os.Root, f *folder, keep names, chosen choice, fn func(name string) error) error {
	list, err := dir.Open(".")
	if err != nil {
		return fmt.Errorf("list folder: %w", err)
	}
	there, err := list.Readdirnames(-1)
	if err = errors.Join(err, list.Close()); err != nil {
		return fmt.Errorf("list folder: %w", err)
	}
	for _, name := range there {
		if keep.has(name) || f.up == nil && name == markName {
			continue
		}
		if !chosen.all {
			if chosen, _ := chosen.of(path.Join(f.path(), name)); !chosen {
				continue
			}
		}
		if err := fn(name); err != nil {
			return err
		}
	}
	return nil
}

// Preview tells what a restore with Delete would delete: paths below the
// target, each a file or a folder with all that is in it. fn's error ends it.
// Nothing is changed. The repository's index must be loaded.
func Preview(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot, opts Options, fn func(path string) error) error {
	chosen, err := choose(opts.Include, opts.Exclude)
	if err != nil {
		return err
	}
	top, err := snapshot.Lookup(ctx, repo, sn, opts.Subtree)
	if err != nil || !top.IsDir() {
		return err
	}
	root, err := os.OpenRoot(opts.Target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open target: %w", err)
	}
	defer root.Close() // only read
	p := &preview{repo: repo, chosen: chosen, fn: fn, folds: folds(root) || suitsWindows(false)}
	p.portable = p.folds || opts.PortableNames
	return p.folder(ctx, root, &folder{label: path.Clean("/" + opts.Subtree)}, top)
}

type preview struct {
	repo     *repository.Repository
	chosen   choice
	portable bool
	folds    bool // see names
	fn       func(path string) error
}

func (p *preview) folder(ctx context.Context, dir *os.Root, f *folder, n *snapshot.Node) error {
	d, err := snapshot.OpenTree(ctx, p.repo, n.Subtree)
	if errors.Is(err, backup.ErrDamaged) || errors.Is(err, backup.ErrNotFound) {
		return nil // nothing is deleted where the snapshot cannot be read
	}
	if err != nil {
		return err
	}
	keep, namer := names{map[string]bool{}, p.folds}, newNamer(p.portable)
	var subs []sub
	for {
		c := &snapshot.Node{}
		err := d.Next(c)
		if err != nil && !errors.Is(err, io.EOF) {
			keep.set = nil
		}
		if err != nil {
			break
		}
		if c.CheckName() != nil {
			continue
		}
		name := namer.name(c.Name)
		keep.add(name)
		if c.IsDir() {
			subs = append(subs, sub{f.below(name, c), c.Subtree})
		}
	}
	if keep.set != nil {
		err := strangers(dir, f, keep, p.chosen, func(name string) error { return p.fn(path.Join(f.rel(), name)) })
		if err != nil {
			return err
		}
	}
	return p.below(ctx, dir, subs)
}

func (p *preview) below(ctx context.Context, dir *os.Root, subs []sub) error {
	for _, s := range subs {
		if chosen, below := p.chosen.ofFolder(s.folder); !chosen && !below {
			continue
		}
		info, err := dir.Lstat(s.folder.name)
		if err != nil || !info.IsDir() {
			continue // made anew, so nothing is in it
		}
		in, err := dir.OpenRoot(s.folder.name)
		if err != nil {
			return fmt.Errorf("open folder: %w", err)
		}
		err = p.folder(ctx, in, s.folder, s.folder.node)
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}
