package sample

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// history is how far back the EMR reaches.
const history = 3 * 365 * 24 * time.Hour

// scanShare is the part of all bytes that scans make up, in percent.
const scanShare = 8

// maker makes one EMR: hands write charts, one clerk books them in their
// order, runners put files into the tree.
type maker struct {
	dir  string
	o    Options
	ward ward
	tree int64 // bytes handed to the runners
	scan int64 // of these, scans
}

func newMaker(dir string, o Options) *maker {
	now := o.Now.UTC().Truncate(time.Second)
	return &maker{dir: dir, o: o, ward: newWard(o.Seed, now)}
}

func newWard(seed uint64, now time.Time) ward {
	return ward{seed: seed, begin: now.Add(-history), now: now, doctors: 120, users: 300}
}

func (m *maker) make(ctx context.Context) (changes Changes, err error) {
	m.o.Progress.Stage(StageMake)
	m.o.Progress.Total(0, m.o.Bytes)
	path := filepath.Join(m.dir, unfinished)
	// No journal and no sync: a make that is cut short begins anew.
	db, err := open(path, "journal_mode(OFF)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)", "cache_size(-65536)")
	if err != nil {
		return changes, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return changes, fmt.Errorf("make tables: %w", err)
	}
	if changes, err = m.fill(ctx, db); err != nil {
		return changes, err
	}
	if _, err := db.ExecContext(ctx, indexes); err != nil {
		return changes, fmt.Errorf("make indexes: %w", err)
	}
	if err := db.Close(); err != nil {
		return changes, fmt.Errorf("close the new database: %w", err)
	}
	return changes, m.finish(ctx, path)
}

// finish turns on write-ahead logging, as the EMR runs with it, and gives the
// database its name.
func (m *maker) finish(ctx context.Context, path string) error {
	db, err := open(path, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	if err := errors.Join(db.PingContext(ctx), db.Close()); err != nil {
		return fmt.Errorf("turn on write-ahead logging: %w", err)
	}
	return os.Rename(path, filepath.Join(m.dir, Database))
}

func (m *maker) fill(ctx context.Context, db *sql.DB) (Changes, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Changes{}, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	b, err := newBook(ctx, tx)
	if err != nil {
		return Changes{}, err
	}
	if err := b.addStaff(m.ward); err != nil {
		return Changes{}, errors.Join(err, b.close())
	}
	last, err := m.write(ctx, b)
	if err == nil {
		err = b.remember(map[string]string{
			"seed": strconv.FormatInt(int64(m.ward.seed), 10), "day": "0", "last_patient": strconv.FormatInt(last, 10),
			"now": stamp(m.ward.now), "documents_at_least": strconv.FormatInt(b.documents*9/10, 10),
		})
	}
	if err = errors.Join(err, b.close()); err != nil {
		return Changes{}, err
	}
	b.changes.Bytes += m.tree
	return b.changes, tx.Commit()
}

// write runs hands, clerk and runners until there is enough.
func (m *maker) write(ctx context.Context, b *book) (last int64, err error) {
	group, ctx := errgroup.WithContext(ctx)
	enough, stop := context.WithCancel(ctx)
	defer stop()
	hands := max(2, runtime.GOMAXPROCS(0))
	promised := make(chan chan *page, 4*hands) // pages in their order, each when it is ready
	group.Go(func() error {
		defer close(promised)
		return m.promise(enough, hands, promised)
	})
	leaves := make(chan leaf, 64)
	for range hands {
		group.Go(func() error { return run(m.dir, leaves) })
	}
	group.Go(func() error {
		defer close(leaves)
		defer stop()
		var err error
		last, err = m.clerk(ctx, b, promised, leaves)
		return err
	})
	return last, group.Wait()
}

// page is a chart with its files.
type page struct {
	chart  *chart
	leaves []leaf
}

// promise starts the writing of one chart after the other.
func (m *maker) promise(ctx context.Context, hands int, promised chan<- chan *page) error {
	var writing errgroup.Group
	writing.SetLimit(hands)
	for n := int64(1); ctx.Err() == nil; n++ {
		ready := make(chan *page, 1)
		select {
		case promised <- ready:
		case <-ctx.Done():
			return writing.Wait()
		}
		writing.Go(func() error {
			p := &page{chart: m.ward.chart(n)}
			for _, s := range p.chart.stays {
				p.leaves = append(p.leaves, s.leaves(&p.chart.patient)...)
			}
			ready <- p
			return nil
		})
	}
	return writing.Wait()
}

// clerk books charts in their order until the EMR has its size.
func (m *maker) clerk(ctx context.Context, b *book, promised <-chan chan *page, leaves chan<- leaf) (last int64, err error) {
	for ready := range promised {
		p := <-ready
		before := b.changes.Bytes + m.tree
		if err := b.add(p.chart); err != nil {
			return last, err
		}
		last = p.chart.id
		for _, l := range append(p.leaves, m.scanFor(b, p.chart)...) {
			m.tree += int64(len(l.content))
			select {
			case leaves <- l:
			case <-ctx.Done():
				return last, ctx.Err()
			}
		}
		done := b.changes.Bytes + m.tree
		m.o.Progress.Add(int64(len(p.leaves)), done-before)
		if done >= m.o.Bytes && last >= onWard {
			return last, nil
		}
	}
	return last, ctx.Err()
}

// scanFor gives a stay a scan as long as scans have not got their share.
func (m *maker) scanFor(b *book, c *chart) []leaf {
	for _, s := range c.stays {
		if s.kind == inpatient && !s.discharged.IsZero() && m.scan*100 < (b.changes.Bytes+m.tree)*scanShare {
			l := s.scan(m.ward.seed)
			m.scan += int64(len(l.content))
			return []leaf{l}
		}
	}
	return nil
}

// run writes files until there are no more. After an error it goes on taking
// them, so that nobody waits for it.
func run(dir string, leaves <-chan leaf) error {
	var first error
	for l := range leaves {
		if first == nil {
			first = l.write(dir)
		}
	}
	return first
}
