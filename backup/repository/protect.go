package repository

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/cache"
	"emrvault/backup/storage"
)

// ProtectReport tells what Protect did.
type ProtectReport struct {
	Period    time.Duration `json:"period_ns"` // zero: the storage locks nothing
	Documents int64         `json:"documents"`
	Asked     int64         `json:"asked"`    // of the others this machine knew enough
	Extended  int64         `json:"extended"` // locked until now plus the period
	Unknown   int64         `json:"unknown"`  // of these, the storage did not say how long they were locked
	Failed    int64         `json:"failed"`   // could not be asked or extended; the next run tries again
}

// Protect prolongs the locks of documents on storage that refuses deletion
// (object lock). A document is locked when it is written, for the period of
// the storage; while the repository needs it, it must stay locked. So
// everything that is there and has less than half the period left is locked
// for a whole period from now. Locks of the repository are never locked: they
// must be removable.
//
// What was learned is kept in the repository's cache, so a nightly run asks
// only for what is new or due. A document of which the storage does not say
// how long it is locked is taken for locked, and extended all the same.
//
// Call it after prune rather than before: what is not needed any more is not
// worth a longer lock.
func (r *Repository) Protect(ctx context.Context, now time.Time, progress backup.Progress) (ProtectReport, error) {
	retainer, ok := storage.As[storage.Retainer](r.storage)
	if !ok || retainer.Period() <= 0 {
		return ProtectReport{}, nil
	}
	if progress == nil {
		progress = backup.Silent{}
	}
	progress.Stage(backup.StageProtect)
	p := &protector{
		retainer: retainer, progress: progress, report: ProtectReport{Period: retainer.Period()},
		enough: now.Add(retainer.Period() / 2), until: now.Add(retainer.Period()).UTC(),
	}
	memory := "locked until at " + r.storage.Location()
	if old, ok := r.Cache().Get(cache.State, memory); ok {
		p.old = decodeLockDates(old)
	}
	err := p.run(ctx, r.storage)
	if r.Cache() != nil {
		if lost := r.Cache().Put(cache.State, memory, encodeLockDates(p.known)); lost != nil {
			progress.Problem("cache", lost) // The next run asks for everything again.
		}
	}
	if err != nil {
		return p.report, fmt.Errorf("lock %s against deletion: %w", r.storage.Location(), err)
	}
	return p.report, nil
}

// protector is one Protect at work.
type protector struct {
	retainer storage.Retainer
	progress backup.Progress
	enough   time.Time // who is locked until then need not be touched
	until    time.Time // the others are locked until then
	old      lockDates // of earlier runs

	mu     sync.Mutex
	known  lockDates // of the documents that are there
	report ProtectReport
	failed error // the first failure
}

// lockDates tell until when documents are locked, in seconds since 1970. There
// may be a million of them.
type lockDates map[lockDate]int64

// lockDate names a document: the letter of its kind, and its id, which for the
// config is nothing but zeros.
type lockDate [1 + 32]byte

func lockDateOf(name storage.Name) (d lockDate, ok bool) {
	kind := slices.Index(protectedKinds(), name.Kind)
	if kind < 0 {
		return d, false
	}
	d[0] = kindLetters[kind]
	n, err := hex.Decode(d[1:], []byte(name.ID))
	return d, err == nil && (n == 32 || name.Kind == storage.Config)
}

// kindLetters has a letter for each of protectedKinds, in that order.
const kindLetters = "cksip"

// protectedKinds are in the order of their worth: without keys and config
// nothing else can be read.
func protectedKinds() []storage.Kind {
	return []storage.Kind{storage.Config, storage.Key, storage.Snapshot, storage.Index, storage.Pack}
}

func (p *protector) run(ctx context.Context, st storage.Storage) error {
	p.known = make(lockDates, len(p.old))
	var due []storage.Name
	for _, kind := range protectedKinds() {
		err := st.List(ctx, kind, func(info storage.Info) error {
			p.report.Documents++
			document, _ := lockDateOf(info.Name)
			if until := p.old[document]; until >= p.enough.Unix() {
				p.known[document] = until
			} else {
				due = append(due, info.Name)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("list %s: %w", kind, err)
		}
	}
	p.progress.Total(int64(len(due)), 0)
	return p.all(ctx, due)
}

const (
	// protectors ask at once; each waits for the storage, not for us.
	protectors = 8
	// maxFailures end a run: so many mean that it is not about a document.
	maxFailures = 32
)

func (p *protector) all(ctx context.Context, due []storage.Name) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(protectors)
	for _, name := range due {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			err := p.one(working, name)
			p.progress.Add(1, 0)
			if working.Err() != nil {
				return context.Cause(working)
			}
			return p.note(name, err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if p.report.Failed > 0 {
		return fmt.Errorf("%d documents could not be locked for longer, the next run tries again: %w", p.report.Failed, p.failed)
	}
	return context.Cause(ctx)
}

// note counts a failure, and ends the run when there are too many.
func (p *protector) note(name storage.Name, err error) error {
	if err == nil || absent(err) { // removed meanwhile
		return nil
	}
	p.progress.Problem(name.String(), err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.report.Failed++; p.failed == nil {
		p.failed = err
	}
	if p.report.Failed >= maxFailures {
		return fmt.Errorf("given up after %d failures: %w", p.report.Failed, p.failed)
	}
	return nil
}

func (p *protector) one(ctx context.Context, name storage.Name) error {
	until, known, err := p.retainer.Retention(ctx, name)
	if err != nil {
		return fmt.Errorf("ask how long %s is locked: %w", name, err)
	}
	extend := !known || until.Before(p.enough)
	if extend {
		until = p.until
		if err := p.retainer.Retain(ctx, name, until); err != nil {
			return fmt.Errorf("lock %s until %s: %w", name, until.Format(time.DateOnly), err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if document, ok := lockDateOf(name); ok {
		p.known[document] = until.Unix()
	}
	p.report.Asked++
	if extend {
		p.report.Extended++
	}
	if !known {
		p.report.Unknown++
	}
	return nil
}

// What is remembered is a list of documents, each with its date.
const (
	lockDatesMark = "emrvault lock dates 1\n"
	lockDateSize  = len(lockDate{}) + 8
)

func encodeLockDates(dates lockDates) []byte {
	data := make([]byte, 0, len(lockDatesMark)+len(dates)*lockDateSize)
	data = append(data, lockDatesMark...)
	for document, until := range dates {
		data = append(data, document[:]...)
		data = binary.LittleEndian.AppendUint64(data, uint64(until))
	}
	return data
}

// decodeLockDates reads what encodeLockDates wrote; of anything else nothing,
// and then everything is asked for again.
func decodeLockDates(data []byte) lockDates {
	dates := lockDates{}
	list, ok := bytes.CutPrefix(data, []byte(lockDatesMark))
	if !ok || len(list)%lockDateSize != 0 {
		return dates
	}
	for entry := range slices.Chunk(list, lockDateSize) {
		dates[lockDate(entry[:len(lockDate{})])] = int64(binary.LittleEndian.Uint64(entry[len(lockDate{}):]))
	}
	return dates
}
