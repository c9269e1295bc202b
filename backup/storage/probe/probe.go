// Package probe asks a place what it can do, before a hospital relies on it.
//
// It writes small documents below storage.Scratch, where no repository has
// anything, reads them, lists them, writes them again, measures, and removes
// them. It asks the place itself, below wrappers that would hide trouble by
// trying again. What cannot be asked through storage.Storage, a place that is a
// Prober answers itself.
//
// Each answer is a Step: it works, it is not offered, or it fails. Only the
// first steps decide whether a repository can live there; the others say how
// safe and how fast it will be.
package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// The steps, in the order they are asked; the text of each is
// "probe.step.<name>".
const (
	Write          = "write"
	Read           = "read"
	Range          = "range"
	List           = "list" // what was written is listed at once
	Overwrite      = "overwrite"
	ConditionalPut = "conditional-put" // writes only what is not there yet
	Versioning     = "versioning"
	ObjectLock     = "object-lock"
	Checksum       = "checksum" // sent behind the bytes ("trailing headers")
	Clock          = "clock"
	Upload         = "upload"
	Download       = "download"
	Delete         = "delete"
)

// NoPlace is the key of a Write that failed because the folder or the bucket
// does not exist yet.
const NoPlace = "no-place"

// needed are those without which no repository can live.
func needed() []string { return []string{Write, Read, Range, List, Overwrite, Delete} }

// offered are those that only a Prober answers.
func offered() []string { return []string{ConditionalPut, Versioning, ObjectLock, Checksum, Clock} }

// Report is the answer to all questions.
type Report struct {
	Location string    `json:"location"`
	Time     time.Time `json:"time"`
	Usable   bool      `json:"usable"` // a repository can live there
	Steps    []Step    `json:"steps"`
}

// Step tells about one step; ok is false when it was not asked.
func (r Report) Step(name string) (step Step, ok bool) {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == name })
	if i < 0 {
		return Step{}, false
	}
	return r.Steps[i], true
}

// Prober is an optional ability: a place that knows more about itself than
// storage.Storage can be asked for: ConditionalPut, Versioning, ObjectLock,
// Checksum, Clock. What it writes lies below storage.Scratch.
type Prober interface {
	Probe(ctx context.Context, now func() time.Time) []Step
	// Tidy removes what probes have left below storage.Scratch, also what only
	// versions of a bucket still hold, and nothing else.
	Tidy(ctx context.Context) error
}

// Sizes of the documents that are written.
const (
	small = 64 << 10
	large = 8 << 20
	quick = time.Second // a small document that takes longer shows that the large one would take too long
)

// Run asks everything. The error is for a probe that could not be made; what a
// place cannot do is no error.
func Run(ctx context.Context, st storage.Storage, now func() time.Time) (Report, error) {
	if now == nil {
		now = time.Now
	}
	place := innermost(st)
	p := &run{place: place, report: Report{Location: st.Location(), Time: now().UTC()}}
	defer p.clean(ctx)
	p.basics(ctx)
	if p.works(Write) {
		p.offers(ctx, now)
		p.speed(ctx)
		p.ask(Delete, func() Answer { return p.remove(ctx) })
	}
	if err := ctx.Err(); err != nil {
		return p.report, fmt.Errorf("probe %s: %w", st.Location(), err)
	}
	p.report.Usable = !slices.ContainsFunc(needed(), func(name string) bool { return !p.works(name) })
	return p.report, nil
}

// innermost is the place below all wrappers.
func innermost(st storage.Storage) storage.Storage {
	for {
		w, ok := st.(storage.Wrapper)
		if !ok {
			return st
		}
		st = w.Unwrap()
	}
}

// run is one probe at work.
type run struct {
	place  storage.Storage
	report Report
	name   storage.Name // of the small document
	data   []byte
	left   []storage.Name // to be removed in any case
}

func (p *run) ask(name string, question func() Answer) {
	p.report.Steps = append(p.report.Steps, Ask(name, question))
}

func (p *run) works(name string) bool {
	step, asked := p.report.Step(name)
	return asked && step.State == OK
}

// draw makes a document that nobody has, named by its hash.
func draw(size int) (storage.Name, []byte) {
	data := make([]byte, size)
	_, _ = rand.Read(data) // never fails
	sum := sha256.Sum256(data)
	return storage.Name{Kind: storage.Scratch, ID: hex.EncodeToString(sum[:])}, data
}

func (p *run) save(ctx context.Context, name storage.Name, data []byte) error {
	p.left = append(p.left, name)
	return p.place.Save(ctx, name, data)
}

func (p *run) basics(ctx context.Context) {
	p.name, p.data = draw(small)
	p.ask(Write, func() Answer { return begun(p.save(ctx, p.name, p.data)) })
	if !p.works(Write) {
		return
	}
	p.ask(Read, func() Answer { return p.read(ctx, 0, -1) })
	p.ask(Range, func() Answer { return p.read(ctx, small/3, small/5) })
	p.ask(List, func() Answer { return p.listed(ctx, true) })
	p.ask(Overwrite, func() Answer { return Told(p.place.Save(ctx, p.name, p.data)) })
}

// begun tells a place that is not there yet, and can be made, from one that
// refuses.
func begun(err error) Answer {
	a := Told(err)
	if errors.Is(err, backup.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		a.Key = NoPlace
	}
	return a
}

func (p *run) read(ctx context.Context, offset, length int64) Answer {
	got, err := p.place.Load(ctx, p.name, nil, offset, length)
	if err != nil {
		return Told(err)
	}
	want := p.data[offset:]
	if length >= 0 {
		want = want[:length]
	}
	if !bytes.Equal(got, want) {
		return Answer{State: Failed, Key: "other-bytes", Text: "other bytes came back than were written"}
	}
	return Answer{State: OK}
}

// listed looks whether the listing knows what was written, or removed, just now.
func (p *run) listed(ctx context.Context, want bool) Answer {
	found := false
	err := p.place.List(ctx, storage.Scratch, func(info storage.Info) error {
		found = found || info == storage.Info{Name: p.name, Size: small}
		return nil
	})
	switch {
	case err != nil:
		return Told(err)
	case want && !found:
		return Answer{State: Failed, Key: "not-listed", Text: "what was written is not listed at once"}
	case !want && found:
		return Answer{State: Failed, Key: "still-listed", Text: "what was removed is still listed"}
	}
	return Answer{State: OK}
}

// offers asks what only the place itself can tell.
func (p *run) offers(ctx context.Context, now func() time.Time) {
	if prober, ok := p.place.(Prober); ok {
		p.report.Steps = append(p.report.Steps, prober.Probe(ctx, now)...)
	}
	for _, name := range offered() {
		if _, asked := p.report.Step(name); !asked {
			p.ask(name, func() Answer {
				return Answer{State: Unsupported, Key: "no-offer", Text: "such a place does not offer it; backups work without"}
			})
		}
	}
}

// speed measures with a document that does not take long.
func (p *run) speed(ctx context.Context) {
	name, data := p.name, p.data
	if step, _ := p.report.Step(Write); step.Duration < quick {
		name, data = draw(large)
	}
	p.ask(Upload, func() Answer {
		began := time.Now()
		if err := p.save(ctx, name, data); err != nil {
			return Told(err)
		}
		return rate(len(data), time.Since(began))
	})
	if !p.works(Upload) {
		return
	}
	p.ask(Download, func() Answer {
		began := time.Now()
		if _, err := p.place.Load(ctx, name, nil, 0, -1); err != nil {
			return Told(err)
		}
		return rate(len(data), time.Since(began))
	})
}

func rate(size int, took time.Duration) Answer {
	perSecond := int64(float64(size) / max(took, time.Microsecond).Seconds())
	return Answer{
		State: OK, Key: "rate", Text: fmt.Sprintf("%.1f MiB a second", float64(perSecond)/(1<<20)),
		Args: map[string]any{"bytes": perSecond},
	}
}

// remove removes the small document and looks whether it is gone.
func (p *run) remove(ctx context.Context) Answer {
	if err := p.place.Remove(ctx, p.name); err != nil {
		return Told(err)
	}
	if _, err := p.place.Stat(ctx, p.name); !errors.Is(err, backup.ErrNotFound) {
		if err != nil {
			return Told(err)
		}
		return Answer{State: Failed, Key: "still-there", Text: "what was removed is still there"}
	}
	return p.listed(ctx, false)
}

// cleanTime is how long a probe that was interrupted goes on to tidy up.
const cleanTime = 15 * time.Second

// clean removes what is left; what stays is small and in nobody's way.
func (p *run) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	for _, name := range p.left {
		_ = p.place.Remove(ctx, name)
	}
	if prober, ok := p.place.(Prober); ok {
		_ = prober.Tidy(ctx)
	}
}
