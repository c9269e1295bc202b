package archive

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// What a checkpoint is: a snapshot of everything that is finished, with the
// folders at work as far as they have come. It is made like any other: packs,
// index, document. A prune keeps its data, another machine sees it, and the
// next backup of the same paths takes over what it holds, beside what the
// parent holds. The whole snapshot takes its place and removes it.
//
// Other programs know nothing of its tag. So that none of them takes it for the
// latest point, or keeps it in the place of one, its time lies before all others;
// when it was made is in its summary.

// longAgo is the time of every checkpoint.
func longAgo() time.Time { return time.Unix(0, 0).UTC() }

const (
	checkpointEvery = 5 * time.Minute
	checkpointBytes = 4 << 30
	checkpointLeast = 16 << 20 // fewer new bytes are not worth one
	checkpointLife  = 30 * 24 * time.Hour
)

func (c Checkpoint) filled() Checkpoint {
	if c.Every == 0 {
		c.Every = checkpointEvery
	}
	if c.Bytes == 0 {
		c.Bytes = checkpointBytes
	}
	return c
}

// due says whether the next one should be made.
func (c Checkpoint) due(since time.Duration, bytes int64) bool {
	return bytes >= c.Bytes || since >= c.Every && bytes >= min(checkpointLeast, c.Bytes)
}

// checkpoints makes them until the returned function is called, which waits
// for the one at work.
func (w *walk) checkpoints(ctx context.Context) (stop func()) {
	c := w.sink.run.opts.Checkpoint.filled()
	if c.Every < 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.checkpointLoop(ctx, c)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (w *walk) checkpointLoop(ctx context.Context, c Checkpoint) {
	tick := time.NewTicker(min(c.Every, time.Second))
	defer tick.Stop()
	last, bytes := time.Now(), int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := w.sink.writer.Stats().DataBytes
		if !c.due(time.Since(last), now-bytes) {
			continue
		}
		// One that fails costs nothing but itself: if the storage is at fault,
		// the backup will hear of it.
		if err := w.checkpoint(ctx); err != nil && ctx.Err() == nil {
			w.progress.Problem("checkpoint", err)
		}
		last, bytes = time.Now(), now
	}
}

// checkpoint makes one and removes the one before.
func (w *walk) checkpoint(ctx context.Context) error {
	root, err := w.soFar(ctx)
	if err != nil || root.IsZero() {
		return err
	}
	if err := w.sink.writer.Flush(ctx); err != nil {
		return err
	}
	r := w.sink.run
	sn := &snapshot.Snapshot{
		Time: longAgo(), Tree: root, Paths: w.paths, Hostname: r.opts.Host, Username: r.opts.User,
		Tags: append([]string{snapshot.CheckpointTag}, r.opts.Tags...), ProgramVersion: r.opts.Program,
		Summary: &snapshot.Summary{BackupStart: r.began, BackupEnd: time.Now()},
	}
	sn.UID, sn.GID = ids()
	if err := snapshot.Save(ctx, r.repo, sn); err != nil {
		return err
	}
	r.superseded(sn.ID)
	before := w.left
	w.left = sn.ID
	if before == "" {
		return nil
	}
	return snapshot.Remove(ctx, r.repo, before)
}

// soFar stores the trees of what is finished, down to their root. Zero means
// that there is nothing yet.
func (w *walk) soFar(ctx context.Context) (blob.ID, error) {
	w.mu.Lock()
	tops := slices.Clone(w.tops)
	w.mu.Unlock()
	c, some := newCrown(), false
	for _, f := range tops {
		n, err := f.soFar(ctx)
		if err != nil {
			return blob.ID{}, err
		}
		if n == nil {
			continue
		}
		some = true
		if err := c.leaf(f.parts, n); err != nil {
			return blob.ID{}, err
		}
	}
	if !some {
		return blob.ID{}, nil
	}
	return c.save(ctx, w.sink.writer, w.sink.run.opts.Time)
}

// soFar gives a folder with what is finished in it, or nil when that is
// nothing that the parent does not have.
func (f *folder) soFar(ctx context.Context) (*snapshot.Node, error) {
	f.mu.Lock()
	if f.finished {
		defer f.mu.Unlock()
		if f.kept != nil && len(f.kept.changed) == 0 {
			return nil, nil
		}
		n := *f.node
		return &n, nil
	}
	tree := f.tree.Clone()
	waiting, active := maps.Clone(f.waiting), maps.Clone(f.active)
	n := *f.node
	later, err := f.texts(waiting)
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	for _, in := range active {
		n, err := in.soFar(ctx)
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		text, err := snapshot.NodeText(n)
		if err != nil {
			return nil, err
		}
		later = append(later, nodeText{n.Name, text})
	}
	slices.SortFunc(later, func(a, b nodeText) int { return strings.Compare(a.name, b.name) })
	for _, t := range later {
		if err := tree.AddText(t.name, t.text); err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
	if tree.Len() == 0 {
		return nil, nil
	}
	saved, err := f.walk.sink.writer.Save(ctx, blob.Tree, tree.Bytes())
	n.Subtree = saved.ID
	return &n, err
}

// texts are the entries that are known, but not in the tree yet. The caller
// holds mu.
func (f *folder) texts(waiting map[int]nodeText) ([]nodeText, error) {
	var list []nodeText
	for _, t := range waiting {
		if t.text != nil {
			list = append(list, t)
		}
	}
	if f.kept == nil {
		return list, nil
	}
	for name, n := range f.kept.changed {
		if n == nil {
			continue
		}
		text, err := snapshot.NodeText(n)
		if err != nil {
			return nil, err
		}
		list = append(list, nodeText{name, text})
	}
	return list, nil
}

// superseded notes a checkpoint that the whole snapshot will replace.
func (r *run) superseded(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkpoints = append(r.checkpoints, ids...)
}

// clear removes the checkpoints that are not needed any more. One that stays
// costs room until the next backup removes it.
func (r *run) clear(ctx context.Context) {
	for _, id := range r.checkpoints {
		if err := snapshot.Remove(ctx, r.repo, id); err != nil {
			r.opts.Progress.Problem("checkpoint "+id[:min(8, len(id))], err)
			return
		}
	}
}

// chooseCheckpoint gives the newest that a backup of the same paths has left,
// and notes those that the new snapshot will make superfluous.
func (r *run) chooseCheckpoint(list []*snapshot.Snapshot, paths []string) *snapshot.Snapshot {
	var found *snapshot.Snapshot
	var newest time.Time
	for _, s := range list {
		end := s.Time
		if s.Summary != nil {
			end = s.Summary.BackupEnd
		}
		alike := s.Hostname == r.opts.Host && slices.Equal(slices.Sorted(slices.Values(s.Paths)), paths)
		if alike && !s.Tree.IsZero() && (found == nil || end.After(newest)) {
			found, newest = s, end
		}
		if alike || r.began.Sub(end) > checkpointLife {
			r.superseded(s.ID)
		}
	}
	return found
}
