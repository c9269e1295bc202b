package sqlite

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
	"emrvault/backup/source/sourcetest"
)

// TestMain lets the test binary play the hospital's program: another process
// that writes into the database, for locks between processes are not those
// within one.
func TestMain(m *testing.M) {
	if path := os.Getenv("EMR_WRITER"); path != "" {
		if err := playWriter(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// playWriter commits until its input ends and tells how it fared.
func playWriter(path string) error {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	db, err := openDB(path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var w sourcetest.Writes
	for ctx.Err() == nil {
		began := time.Now()
		if err := commit(db, w.Commits); err != nil {
			return err
		}
		w.Longest = max(w.Longest, time.Since(began))
		w.Commits++
		time.Sleep(time.Millisecond)
	}
	if err := db.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(w)
}

func openDB(path string) (*sql.DB, error) {
	uri, err := address(path, "_pragma=busy_timeout(10000)", "_pragma=synchronous(OFF)")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", uri)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// commit books one sum in two tables, in one transaction.
func commit(db *sql.DB, n int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range []string{
		`INSERT INTO ward(sum, note) VALUES (?, hex(randomblob(200)))`,
		`INSERT INTO ledger(sum, note) VALUES (?, '入院记录')`,
	} {
		if _, err := tx.Exec(statement, n%97); err != nil {
			return err
		}
	}
	// scattered changes touch old pages too
	if _, err := tx.Exec(`UPDATE ward SET note = hex(randomblob(200)) WHERE id = 1 + abs(random()) % 500`); err != nil {
		return err
	}
	return tx.Commit()
}

// hospital is a database whose two tables always hold the same sum.
type hospital struct {
	t    *testing.T
	path string
	src  *Source
}

// newHospital makes one with n rows in a journal mode.
func newHospital(t *testing.T, mode string, n int) *hospital {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "院 内#100%?")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &hospital{t: t, path: filepath.Join(dir, "emr.db")}
	h.exec(`PRAGMA journal_mode=`+mode,
		`CREATE TABLE ward(id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, note TEXT)`,
		`CREATE TABLE ledger(sum INTEGER NOT NULL, note TEXT)`,
		`CREATE INDEX by_sum ON ward(sum)`,
		`CREATE VIEW totals AS SELECT sum(sum) AS total FROM ward`,
		`CREATE VIRTUAL TABLE words USING fts5(body)`,
		fmt.Sprintf(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n < %d)
			INSERT INTO ward(sum, note) SELECT n %% 97, hex(randomblob(200)) FROM c`, n),
		`INSERT INTO ledger(sum) SELECT sum FROM ward`)
	h.src = h.open(h.path)
	return h
}

func (h *hospital) open(paths ...string) *Source {
	h.t.Helper()
	s, err := Open(source.Spec{Kind: "sqlite", Name: "emr", Settings: map[string]any{"path": paths}})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *hospital) exec(statements ...string) {
	h.t.Helper()
	db, err := openDB(h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			h.t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hospital) Source() source.Source { return h.src }

func (h *hospital) Change(context.Context) error {
	db, err := openDB(h.path)
	if err != nil {
		return err
	}
	if err := commit(db, 5); err != nil {
		return err
	}
	return db.Close()
}

func (h *hospital) State(ctx context.Context) (string, error) { return stateOf(ctx, h.path) }

func stateOf(ctx context.Context, path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", err
	}
	sum := sha256.New()
	err := withConn(ctx, path, asReader, func(conn *sql.Conn) error {
		for _, query := range []string{`SELECT rowid, sum, note FROM ward ORDER BY id`, `SELECT rowid, sum, note FROM ledger ORDER BY rowid`} {
			rows, err := conn.QueryContext(ctx, query)
			if err != nil {
				return err
			}
			for rows.Next() {
				var id, n int64
				var note sql.NullString
				if err := rows.Scan(&id, &n, &note); err != nil {
					return err
				}
				fmt.Fprintln(sum, id, n, note.String)
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}

func (h *hospital) Wreck(context.Context) error {
	garbage := make([]byte, 64<<10)
	for i := range garbage {
		garbage[i] = byte(i * 7)
	}
	for _, name := range []string{"-wal", "-shm", "-journal"} {
		_ = os.Remove(h.path + name)
	}
	return os.WriteFile(h.path, garbage, 0o600)
}

func (h *hospital) Target() source.Target {
	return source.Target{Dir: filepath.Join(h.t.TempDir(), "back"), Progress: backup.Silent{}}
}

func (h *hospital) Occupy(_ context.Context, target source.Target) error {
	if err := os.MkdirAll(target.Dir, 0o755); err != nil {
		return err
	}
	// a log of another database, which must not be played into ours
	if err := os.WriteFile(filepath.Join(target.Dir, "emr.db-wal"), []byte("old"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(target.Dir, "emr.db"), []byte("another"), 0o600)
}

func (h *hospital) Recovered(ctx context.Context, target source.Target) (string, error) {
	return stateOf(ctx, filepath.Join(target.Dir, "emr.db"))
}

// Write starts another process that commits until ctx ends.
func (h *hospital) Write(ctx context.Context) (sourcetest.Writes, error) {
	var w sourcetest.Writes
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EMR_WRITER="+h.path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return w, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return w, err
	}
	if err := cmd.Start(); err != nil {
		return w, err
	}
	out := bufio.NewReader(stdout)
	if _, err := out.ReadString('\n'); err != nil {
		return w, err
	}
	<-ctx.Done()
	if err := stdin.Close(); err != nil {
		return w, err
	}
	if err := json.NewDecoder(out).Decode(&w); err != nil {
		return w, err
	}
	return w, cmd.Wait()
}

// Patience is generous for a machine shared with others; what is typical is logged.
func (h *hospital) Patience() time.Duration { return 3 * time.Second }

func (h *hospital) Sound(ctx context.Context, target source.Target) error {
	return withConn(ctx, filepath.Join(target.Dir, "emr.db"), asReader, func(conn *sql.Conn) error {
		var ward, ledger int64
		err := conn.QueryRowContext(ctx, `SELECT (SELECT sum(sum) FROM ward), (SELECT sum(sum) FROM ledger)`).Scan(&ward, &ledger)
		if err == nil && ward != ledger {
			err = fmt.Errorf("ward holds %d, ledger %d: not of one moment", ward, ledger)
		}
		return err
	})
}

// Break destroys pages in the middle, behind SQLite's back.
func (h *hospital) Break(context.Context) error {
	h.exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	f, err := os.OpenFile(h.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	noise := make([]byte, 3*4096)
	for i := range noise {
		noise[i] = byte(i*31 + 7)
	}
	if _, err := f.WriteAt(noise, 20*4096); err != nil {
		return err
	}
	return f.Close()
}
