// Package drilltest is a small box for tests: a data folder, a store, jobs, a
// runner and drills, all real, over a temporary folder and a clock that can be
// moved.
package drilltest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"emrvault/appliance/config"
	"emrvault/appliance/jobs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup/drill"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/run"
	"emrvault/backup/source"
)

// Clock runs like the machine's, moved by an offset.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
}

// Now is the moved time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// Move moves the clock on, or back.
func (c *Clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// Set moves the clock to a moment.
func (c *Clock) Set(to time.Time) { c.Move(to.Sub(c.Now())) }

// Desk remembers what it was told.
type Desk struct {
	mu   sync.Mutex
	told []string
}

// OpenSystem keeps the key of the subject.
func (d *Desk) OpenSystem(_ context.Context, _ string, subject, _ plan.Note) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, subject.Key)
	return nil
}

// Told lists the keys of the subjects so far.
func (d *Desk) Told() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.told...)
}

// Box is the whole wing over a temporary folder.
type Box struct {
	t      *testing.T
	Dir    string // everything below it
	Clock  *Clock
	Desk   *Desk
	Store  *store.Store
	Book   *plan.Book
	Jobs   *jobs.Manager
	Runner *run.Runner
	Drills *drill.Drills
	stop   func()
}

// Open makes a box in a new temporary folder and starts its jobs.
func Open(t *testing.T) *Box {
	t.Helper()
	return Reopen(t, t.TempDir(), &Clock{})
}

// Reopen makes a box over a folder that an earlier one has left.
func Reopen(t *testing.T, dir string, clock *Clock) *Box {
	t.Helper()
	layout := config.NewLayout(filepath.Join(dir, "data"))
	b := &Box{t: t, Dir: dir, Clock: clock, Desk: &Desk{}}
	b.must(layout.Make())
	zone, err := time.LoadLocation("Asia/Shanghai")
	b.must(err)
	b.Store, err = store.Open(t.Context(), layout.Database(), clock.Now)
	b.must(err)
	box, err := secret.Open(layout)
	b.must(err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	b.Book = plan.NewBook(b.Store, zone)
	b.Jobs = jobs.New(b.Store, jobs.Options{Log: log})
	b.Runner = run.New(run.Parts{
		Store: b.Store, Book: b.Book, Box: box, Jobs: b.Jobs, Layout: layout, Desk: b.Desk,
		Host: "box", Version: "test", Log: log, Now: clock.Now,
		Engine: []repository.Option{repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1})},
	})
	b.Drills = drill.New(b.Runner)
	b.start()
	t.Cleanup(b.Close)
	return b
}

func (b *Box) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.must(b.Runner.Start(ctx))
	_, err := b.Drills.CleanScratch(ctx)
	b.must(err)
	done := make(chan error, 1)
	go func() { done <- b.Jobs.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("jobs: %v", err)
		}
		b.must(b.Runner.Close())
		b.must(b.Store.Close())
	})
}

// Close stops the jobs and closes the store; a second call does nothing.
func (b *Box) Close() { b.stop() }

func (b *Box) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// Path is a place in the box's folder.
func (b *Box) Path(parts ...string) string {
	return filepath.Join(append([]string{b.Dir}, parts...)...)
}

// Write makes a file with its folders.
func (b *Box) Write(text string, parts ...string) string {
	b.t.Helper()
	path := b.Path(parts...)
	b.must(os.MkdirAll(filepath.Dir(path), 0o755))
	b.must(os.WriteFile(path, []byte(text), 0o644))
	return path
}

// Database makes a SQLite database of documents, or adds to it.
func (b *Box) Database(name string, documents int, at time.Time) string {
	b.t.Helper()
	path := b.Path(name)
	db, err := sql.Open("sqlite", path)
	b.must(err)
	for _, statement := range []string{
		`PRAGMA journal_mode=WAL`,
		`CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY, title TEXT, text TEXT, saved_at TEXT)`,
	} {
		_, err := db.Exec(statement)
		b.must(err)
	}
	for i := range documents {
		_, err := db.Exec(`INSERT INTO documents (title, text, saved_at) VALUES (?, ?, ?)`,
			fmt.Sprintf("病程记录 %d", i), fmt.Sprintf("患者今日咳嗽较前减轻 %d", i), at.UTC().Format(time.RFC3339))
		b.must(err)
	}
	b.must(db.Close())
	return path
}

// Plan makes the repository "main" when there is none, and adds a plan.
func (b *Box) Plan(p plan.Plan) plan.Plan {
	b.t.Helper()
	ctx := b.t.Context()
	if _, err := b.Book.Repository(ctx, "main"); err != nil {
		_, err := b.Runner.Repositories().Create(ctx, plan.Place{Name: "main", Location: b.Path("repository")})
		b.must(err)
	}
	p.Repository, p.Enabled = "main", true
	if p.Keep == (plan.Keep{}) {
		p.Keep = plan.Keep{Last: 10}
	}
	p, err := b.Book.Add(ctx, p)
	b.must(err)
	return p
}

// Files is the source of a folder in the box's folder.
func (b *Box) Files(parts ...string) source.Spec {
	return source.Spec{Kind: "files", Settings: map[string]any{"paths": []any{b.Path(parts...)}}}
}

// SQLite is the source of a database.
func (b *Box) SQLite(path string) source.Spec {
	return source.Spec{Kind: "sqlite", Settings: map[string]any{"path": path}}
}

// Backup runs a plan and waits until it and its drill have ended.
func (b *Box) Backup(name string) jobs.Job {
	b.t.Helper()
	id, err := b.Runner.Backup(b.t.Context(), name, "test")
	b.must(err)
	job := b.Wait(id)
	b.WaitAll()
	return job
}

// Drill drills the newest point of a plan and gives job and verdict.
func (b *Box) Drill(name string) (jobs.Job, drill.Verdict) {
	b.t.Helper()
	id, err := b.Drills.Submit(b.t.Context(), name, 0, "test")
	b.must(err)
	job := b.Wait(id)
	v, err := b.Drills.OfJob(b.t.Context(), id)
	b.must(err)
	return job, v
}

// Wait gives a job that has ended.
func (b *Box) Wait(id int64) jobs.Job {
	b.t.Helper()
	job, err := b.Jobs.Wait(b.t.Context(), id)
	b.must(err)
	return job
}

// WaitAll waits until no job is left, and the listeners have heard.
func (b *Box) WaitAll() {
	b.t.Helper()
	for range 3000 {
		list, _, err := b.Jobs.List(b.t.Context(), jobs.Filter{States: []jobs.State{jobs.Queued, jobs.Running}})
		b.must(err)
		var untold int
		b.must(b.Store.Read(b.t.Context(), func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT count(*) FROM jobs WHERE ended IS NOT NULL AND told = 0`).Scan(&untold)
		}))
		if len(list) == 0 && untold == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatal("jobs did not end")
}

// Points lists the live points of a plan, newest first.
func (b *Box) Points(name string) []plan.Point {
	b.t.Helper()
	list, _, err := b.Book.Points(b.t.Context(), plan.PointFilter{Plan: name})
	b.must(err)
	return list
}
