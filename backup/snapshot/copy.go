package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// CopyOptions says what Copy copies.
type CopyOptions struct {
	Filter Filter   // which snapshots; those that pass
	Points []string // ids, beginnings of ids, or "latest"; none: all that pass
}

// CopiedPoint is a snapshot and what it is called in the other repository.
type CopiedPoint struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// CopyReport tells what Copy did.
type CopyReport struct {
	Copied  []CopiedPoint `json:"copied,omitempty"`
	Present []string      `json:"present,omitempty"` // ids of the source that the target had already
	Skipped []string      `json:"skipped,omitempty"` // ids that need data the source has lost
	Lost    []string      `json:"lost,omitempty"`    // what is lost in the source, in words
	Blobs   int64         `json:"blobs"`             // stored
	Bytes   int64         `json:"bytes"`             // their plaintext
	Packed  int64         `json:"packed"`            // what they take in the target
	Passed  []string      `json:"passed,omitempty"`  // packs lost in the target, whose blobs were stored again
}

// Copy brings snapshots, with all they need, from one repository into another.
// What is compressed stays so. Everything of a snapshot is durable before the
// snapshot itself is written; a copy that was interrupted goes on where it was,
// because what the target has is not copied again. A snapshot that is there
// already is known by the id it was derived from and by saying the same, as in
// restic. The source is locked against removal, the target for adding.
//
// Data that cannot be read in the source costs the snapshots that need it and
// no others; the error then wraps backup.ErrIncomplete.
func Copy(ctx context.Context, from, to *repository.Repository, opts CopyOptions, progress backup.Progress) (report CopyReport, err error) {
	if from.ID() == to.ID() && from.Storage().Location() == to.Storage().Location() {
		return report, fmt.Errorf("copy a repository onto itself: %w", backup.ErrInvalid)
	}
	if progress == nil {
		progress = backup.Silent{}
	}
	source, err := from.Lock(ctx, repository.Read)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, source.Unlock()) }()
	target, err := to.Lock(source.Context(), repository.Append)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, target.Unlock()) }()
	c := &copying{from: from, to: to, progress: progress, bad: blob.NewSet()}
	err = c.run(target.Context(), opts)
	if err != nil {
		err = fmt.Errorf("copy %s to %s: %w", from.Storage().Location(), to.Storage().Location(), err)
	}
	return c.report, err
}

// copying is one Copy at work.
type copying struct {
	from, to *repository.Repository
	progress backup.Progress
	report   CopyReport
	bad      *blob.Set // what the source has lost
}

func (c *copying) run(ctx context.Context, opts CopyOptions) error {
	c.progress.Stage(backup.StageIndex)
	// First the list: backups go on in the source, and what a point needs is in
	// the index before the point is in the list.
	list, broken, err := c.choose(ctx, opts)
	if err != nil {
		return err
	}
	if err := c.indexes(ctx); err != nil {
		return err
	}
	c.progress.Stage(backup.StageRead)
	want, err := c.want(ctx, list)
	if err != nil {
		return err
	}
	stats, err := c.to.CopyBlobs(ctx, c.from, want, c.lost, c.progress)
	c.report.Blobs, c.report.Bytes = stats.DataBlobs+stats.TreeBlobs, stats.DataBytes+stats.TreeBytes
	c.report.Packed = stats.Packed
	if err != nil {
		return err
	}
	c.progress.Stage(backup.StageRecord)
	if err := c.record(ctx, list); err != nil {
		return err
	}
	if len(c.report.Skipped) > 0 {
		broken = errors.Join(broken, fmt.Errorf("%d points need data that the source has lost and were not copied: %w", len(c.report.Skipped), backup.ErrIncomplete))
	}
	return broken
}

// indexes loads both: the source's as far as it can be had, the target's whole,
// and without packs that the target has lost.
func (c *copying) indexes(ctx context.Context) error {
	torn, err := c.from.SalvageIndex(ctx)
	if err != nil {
		return err
	}
	for _, problem := range torn {
		c.progress.Problem("index", problem)
	}
	if _, err := c.to.MendIndex(ctx); err != nil {
		return err
	}
	lost, err := c.to.PassOverLost(ctx)
	for _, id := range lost {
		c.report.Passed = append(c.report.Passed, id.String())
	}
	return err
}

// choose finds the snapshots to copy, oldest first. broken tells of those whose
// own document cannot be read.
func (c *copying) choose(ctx context.Context, opts CopyOptions) (list []*Snapshot, broken, err error) {
	if len(opts.Points) > 0 {
		for _, word := range opts.Points {
			s, err := Find(ctx, c.from, word, opts.Filter)
			if err != nil {
				return nil, nil, err
			}
			list = append(list, s)
		}
	} else {
		list, broken = List(ctx, c.from, opts.Filter)
		if err := context.Cause(ctx); err != nil {
			return nil, nil, err
		}
		if broken != nil {
			c.progress.Problem("snapshots", broken)
			broken = fmt.Errorf("some points cannot be read: %w: %w", backup.ErrIncomplete, broken)
		}
	}
	there, err := List(ctx, c.to, Filter{})
	if err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(list, func(s *Snapshot) bool {
		known := slices.ContainsFunc(there, s.isCopied)
		switch {
		case known:
			c.report.Present = append(c.report.Present, s.ID)
		case s.Tree.IsZero():
			c.report.Skipped = append(c.report.Skipped, s.ID)
		}
		return known || s.Tree.IsZero()
	}), broken, nil
}

// isCopied tells whether other is a copy of s, or of what s is a copy of.
func (s *Snapshot) isCopied(other *Snapshot) bool {
	origin := s.origin()
	return (other.ID == origin || other.Original.String() == origin) &&
		s.Time.Equal(other.Time) && s.Tree == other.Tree && s.Hostname == other.Hostname && s.Username == other.Username &&
		s.UID == other.UID && s.GID == other.GID && slices.Equal(s.Paths, other.Paths) &&
		slices.Equal(s.Excludes, other.Excludes) && slices.Equal(s.Tags, other.Tags)
}

// origin is the id that stays the same from copy to copy.
func (s *Snapshot) origin() string {
	if s.Original.IsZero() {
		return s.ID
	}
	return s.Original.String()
}

// want gathers what the snapshots need and the target does not have.
func (c *copying) want(ctx context.Context, list []*Snapshot) (*blob.Set, error) {
	var mu sync.Mutex
	want := blob.NewSet()
	add := func(h blob.Handle) {
		if !c.to.Has(h) {
			mu.Lock()
			defer mu.Unlock()
			want.Add(h)
		}
	}
	s := &sweep{
		repo: c.from,
		tree: func(id blob.ID) { add(blob.TreeHandle(id)) },
		node: func(_ *place, _ string, n *Node) {
			for _, id := range n.Content {
				add(blob.DataHandle(id))
			}
		},
		broken: func(at *place, err error) error {
			err = fmt.Errorf("point %s: folder %s: %w", at.snapshot(), at.path(), err)
			if !certain(err) {
				return err // what is in it would be missing in the copy
			}
			mu.Lock()
			defer mu.Unlock()
			c.lost(blob.TreeHandle(at.id), err)
			return nil
		},
	}
	roots, err := rootsOf(list)
	if err != nil {
		return nil, err
	}
	return want, s.run(ctx, roots)
}

// maxLostNames bounds how much of a wide loss is told one by one.
const maxLostNames = 1000

func (c *copying) lost(h blob.Handle, err error) {
	if !c.bad.Add(h) {
		return
	}
	c.progress.Problem(h.String(), err)
	if len(c.report.Lost) < maxLostNames {
		c.report.Lost = append(c.report.Lost, err.Error())
	}
}

// record writes the snapshots whose data is there.
func (c *copying) record(ctx context.Context, list []*Snapshot) error {
	var d *damage
	if c.bad.Len() > 0 {
		var err error
		if d, err = surveyDamage(ctx, c.from, c.bad, true, list); err != nil {
			return err
		}
	}
	for _, s := range list {
		if d != nil && d.hits(s.Tree) {
			c.report.Skipped = append(c.report.Skipped, s.ID)
			continue
		}
		made, err := c.save(ctx, s)
		if err != nil {
			return err
		}
		c.report.Copied = append(c.report.Copied, CopiedPoint{From: s.ID, To: made})
	}
	return nil
}

// save writes a snapshot into the target. Its parent means nothing there.
func (c *copying) save(ctx context.Context, s *Snapshot) (string, error) {
	twin := *s
	twin.Parent = blob.ID{}
	original, err := blob.ParseID(s.origin())
	if err != nil {
		return "", err
	}
	twin.Original = original
	if err := Save(ctx, c.to, &twin); err != nil {
		return "", err
	}
	if _, err := Load(ctx, c.to, twin.ID); err != nil {
		return "", fmt.Errorf("read back: %w", err)
	}
	return twin.ID, nil
}
