package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/source"
	"emrvault/backup/source/sourcetest"
)

func TestSource(t *testing.T) {
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Subject { return newHospital(t, mode, 3000) })
		})
	}
}

// The same with the engine behind it.
func TestSourceInTheEngine(t *testing.T) {
	sourcetest.RunWith(t, func(t *testing.T) sourcetest.Subject { return newHospital(t, "wal", 1500) },
		func(t *testing.T) sourcetest.Keeper { return sourcetest.NewEngine(t) })
}

// A large rollback-journal database is read in slices; with writers about, it
// must end all the same, and be of one moment.
func TestSourceInSlices(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.Subject {
		h := newHospital(t, "delete", 2000)
		h.src.pace.whole, h.src.pace.slice, h.src.pace.restarts = 0, 32, 2
		return h
	})
}

func TestSlicesLetWritersIn(t *testing.T) {
	h := newHospital(t, "delete", 4000)
	h.src.pace.whole, h.src.pace.slice = 0, 32
	db := h.capture()
	if db.Way != WayOnline || db.Held != 0 || db.Damaged {
		t.Errorf("quiet database in slices: got way %s, held %v, damaged %v, want online, 0, false", db.Way, db.Held, db.Damaged)
	}
	h.src.pace.slice = 1 << 20
	if db := h.capture(); db.Damaged || db.Rows["ward"] != 4000 {
		t.Errorf("one slice holds all: got %+v, want 4000 rows", db)
	}
}

// Writers who are faster than the slices: the copy begins again in one piece,
// and what the slices left behind must not spoil it.
func TestSlicesGiveUp(t *testing.T) {
	h := newHospital(t, "delete", 20000)
	h.src.pace.whole, h.src.pace.slice, h.src.pace.turn, h.src.pace.restarts = 0, 1024, 30*time.Millisecond, 0
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := h.Write(ctx)
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	db := h.capture()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if db.Damaged || db.Held == 0 || db.Rows["ward"] < 20000 {
		t.Errorf("got damaged %v, held %v, %d rows, want a sound copy made in one piece", db.Damaged, db.Held, db.Rows["ward"])
	}
}

// capture keeps the only database on a shelf and gives back its facts.
func (h *hospital) capture() Database {
	h.t.Helper()
	_, c, err := sourcetest.NewShelf(h.t).Keep(h.t.Context(), h.src)
	if err != nil {
		h.t.Fatalf("capture: %v", err)
	}
	return only(h.t, c)
}

func only(t *testing.T, c *source.Capture) Database {
	t.Helper()
	details, err := DetailsOf(c)
	if err != nil || len(details.Databases) != 1 {
		t.Fatalf("details: got %+v, %v, want one database", details, err)
	}
	return details.Databases[0]
}

func TestFactsOfADatabase(t *testing.T) {
	h := newHospital(t, "wal", 300)
	h.exec(`CREATE TABLE "we""ird 表"(a, b, PRIMARY KEY(a)) WITHOUT ROWID`, `INSERT INTO "we""ird 表" VALUES (1, 2)`, `PRAGMA user_version=7`)
	got := h.capture()
	if got.Rows["ward"] != 300 || got.Rows["ledger"] != 300 || got.Rows[`we"ird 表`] != 1 || !got.RowsWhole {
		t.Errorf("rows: got %v, whole %v, want 300, 300 and 1 in all tables", got.Rows, got.RowsWhole)
	}
	if got.Objects["view"] != 1 || got.Objects["index"] < 1 || got.Objects["table"] < 3 {
		t.Errorf("objects: got %v, want tables, a view and an index", got.Objects)
	}
	if got.JournalMode != "wal" || got.PageSize != 4096 || got.PageCount < 10 || got.UserVersion != 7 || got.Encoding != "UTF-8" {
		t.Errorf("figures: got %+v, want wal, pages of 4096, version 7, UTF-8", got)
	}
	if got.Size != got.PageCount*got.PageSize || got.Engine == "" || !slices.Equal(got.Integrity, []string{"ok"}) {
		t.Errorf("copy: got size %d, engine %q, integrity %v", got.Size, got.Engine, got.Integrity)
	}
}

// The last commits may still lie in the log when the copy is made.
func TestCommitsInTheLogAreCaptured(t *testing.T) {
	h := newHospital(t, "wal", 100)
	db, err := openDB(h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`PRAGMA wal_autocheckpoint=0`); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := commit(db, i); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.capture(); got.Rows["ward"] != 150 || got.JournalMode != "wal" {
		t.Errorf("captured: got %d rows in mode %s, want 150 in wal", got.Rows["ward"], got.JournalMode)
	}
}

func TestModeAndTimeOfTheOriginal(t *testing.T) {
	h := newHospital(t, "delete", 10)
	when := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	if err := errors.Join(os.Chmod(h.path, 0o640), os.Chtimes(h.path, when, when)); err != nil {
		t.Fatal(err)
	}
	point, _, err := sourcetest.NewShelf(t).Keep(t.Context(), h.src)
	if err != nil {
		t.Fatal(err)
	}
	target := h.Target()
	if err := h.src.Recover(t.Context(), point, target); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(target.Dir, "emr.db"))
	if err != nil || info.Mode().Perm() != 0o640 || !info.ModTime().Equal(when) {
		t.Errorf("recovered file: got %v %v (%v), want 0640 %v", info.Mode(), info.ModTime(), err, when)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	place := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	random := make([]byte, 16384)
	for i := range random {
		random[i] = byte(i*i*31 + i*7 + 13)
	}
	for name, c := range map[string]struct {
		path string
		want error
		key  string
	}{
		"missing":          {filepath.Join(dir, "none.db"), backup.ErrNotFound, "missing"},
		"missing folder":   {filepath.Join(dir, "no", "none.db"), backup.ErrNotFound, "missing"},
		"a folder":         {dir, backup.ErrInvalid, "unreadable"},
		"a text":           {place("text.db", []byte("住院号,姓名\n123,王某\n")), backup.ErrInvalid, "not_a_database"},
		"encrypted":        {place("random.db", random), backup.ErrInvalid, "not_a_database"},
		"header and trash": {place("half.db", append([]byte("SQLite format 3\x00"), random...)), backup.ErrInvalid, "not_a_database"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(source.Spec{Kind: "sqlite", Name: "emr", Settings: map[string]any{"path": c.path}})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = sourcetest.NewShelf(t).Keep(t.Context(), s); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("capture: got %v, want %v with the path", err, c.want)
			}
			findings, err := s.Check(t.Context())
			if err != nil || !hasKey(findings, "source.sqlite."+c.key) {
				t.Errorf("check: got %+v, %v, want %s", findings, err, c.key)
			}
		})
	}
}

func hasKey(findings []source.Finding, key string) bool {
	return slices.ContainsFunc(findings, func(f source.Finding) bool { return f.Key == key })
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]any
		says     string
	}{
		"no path":         {map[string]any{}, "path"},
		"empty path":      {map[string]any{"path": " "}, "empty"},
		"empty list":      {map[string]any{"path": []any{}}, "nothing"},
		"number":          {map[string]any{"path": 7}, "path"},
		"list of numbers": {map[string]any{"path": []any{7}}, "path"},
		"unknown setting": {map[string]any{"path": "a.db", "pasword": "x"}, "pasword"},
		"same file name":  {map[string]any{"path": []any{"/a/emr.db", "/b/emr.db"}}, "same file name"},
		"root":            {map[string]any{"path": "/"}, "folder"},
		"control letters": {map[string]any{"path": "a\x00b"}, "control"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(source.Spec{Kind: "sqlite", Name: "emr", Settings: c.settings})
			if !errors.Is(err, backup.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, backup.ErrInvalid, c.says)
			}
		})
	}
}

func TestEmptyFileIsAnEmptyDatabase(t *testing.T) {
	h := &hospital{t: t, path: filepath.Join(t.TempDir(), "new.db")}
	if err := os.WriteFile(h.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.src = h.open(h.path)
	if got := h.capture(); got.Damaged || !got.RowsWhole || len(got.Rows) != 0 {
		t.Errorf("empty file: got %+v, want a sound database without tables", got)
	}
	findings, err := h.src.Check(t.Context())
	if err != nil || !hasKey(findings, "source.sqlite.empty") {
		t.Errorf("check: got %+v, %v, want a warning that it is empty", findings, err)
	}
}

// One of two databases is gone: the other is kept, and nobody may call it good.
func TestOneOfTwoIsMissing(t *testing.T) {
	h := newHospital(t, "wal", 20)
	gone := filepath.Join(t.TempDir(), "lis.db")
	h.src = h.open(h.path, gone)
	point, c, err := sourcetest.NewShelf(t).Keep(t.Context(), h.src)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Damaged || !hasKey(c.Findings, "source.sqlite.missing") {
		t.Errorf("capture: got damaged %v, %+v, want it marked", c.Damaged, c.Findings)
	}
	target := h.Target()
	if err := h.src.Recover(t.Context(), point, target); err != nil {
		t.Fatal(err)
	}
	if err := h.Sound(t.Context(), target); err != nil {
		t.Error(err)
	}
}

// SQLite itself refuses a file that ends too early: its bytes are kept raw,
// log included, for a rescuer.
func TestTruncatedIsKeptRaw(t *testing.T) {
	h := newHospital(t, "delete", 2000)
	if err := os.Truncate(h.path, sizeOf(h.path)/2/4096*4096); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path+"-wal", []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(h.path)
	if err != nil {
		t.Fatal(err)
	}
	point, c, err := sourcetest.NewShelf(t).Keep(t.Context(), h.src)
	if err != nil {
		t.Fatal(err)
	}
	db := only(t, c)
	if db.Way != WayRaw || !c.Damaged || !hasKey(c.Findings, "source.sqlite.raw") {
		t.Errorf("got way %s, damaged %v, findings %+v, want raw and marked", db.Way, c.Damaged, c.Findings)
	}
	if got := read(t, point, "/database/emr.db"); !bytes.Equal(got, want) {
		t.Errorf("raw copy: got %d bytes, want the %d bytes of the file", len(got), len(want))
	}
	if got := string(read(t, point, "/database/emr.db-wal")); got != "left by a crash" {
		t.Errorf("log beside it: got %q", got)
	}
	target := h.Target()
	if err := h.src.Recover(t.Context(), point, target); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("recover: got %v, want %v", err, backup.ErrDamaged)
	}
	if got, err := os.ReadFile(filepath.Join(target.Dir, "emr.db")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the recovered bytes are not those captured (%v)", err)
	}
}

func read(t *testing.T, p source.Point, path string) []byte {
	t.Helper()
	r, err := p.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A program that died in the middle of a transaction leaves a hot journal. We
// may not roll it back in the source, and must not capture the half.
func TestHotJournalIsSettledInTheCopy(t *testing.T) {
	h := newHospital(t, "delete", 4000)
	want, err := h.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	crashed := crashInTransaction(t, h.path)
	before := sizesAndTimes(crashed)
	h.src = h.open(crashed)
	point, c, err := sourcetest.NewShelf(t).Keep(t.Context(), h.src)
	if err != nil {
		t.Fatal(err)
	}
	if db := only(t, c); db.Way != WayAtRest || db.Damaged {
		t.Errorf("got way %s, damaged %v %v, want at rest and sound", db.Way, db.Damaged, db.Integrity)
	}
	if after := sizesAndTimes(crashed); after != before {
		t.Errorf("the source was touched: got %s, want %s", after, before)
	}
	target := h.Target()
	if err := h.src.Recover(t.Context(), point, target); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Recovered(t.Context(), target); err != nil || got != want {
		t.Errorf("recovered: got %s (%v), want the state before the transaction %s", got, err, want)
	}
}

// crashInTransaction copies a database in the middle of a transaction whose
// pages have reached the file already.
func crashInTransaction(t *testing.T, path string) string {
	t.Helper()
	uri, err := address(path, "_pragma=cache_size(5)", "_pragma=synchronous(FULL)")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec(`UPDATE ward SET note = 'half done', sum = 0`); err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "emr.db")
	if _, err := rawFiles(t.Context(), path, crashed); err != nil {
		t.Fatal(err)
	}
	if sizeOf(crashed+"-journal") <= 0 {
		t.Fatal("the transaction left no journal to copy")
	}
	return crashed
}

func TestHeldExclusively(t *testing.T) {
	h := newHospital(t, "delete", 20)
	h.src.pace.patience = 100 * time.Millisecond
	db, err := openDB(h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`BEGIN EXCLUSIVE`); err != nil {
		t.Fatal(err)
	}
	_, _, err = sourcetest.NewShelf(t).Keep(t.Context(), h.src)
	if err == nil || code(err) != codeBusy || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v, want the lock told in words", err)
	}
}

func TestScratchWithoutRoom(t *testing.T) {
	if err := roomFor(1<<60, t.TempDir()); !errors.Is(err, backup.ErrStorageFull) {
		t.Errorf("got %v, want %v", err, backup.ErrStorageFull)
	}
}

func TestRecoverSparesTheLiveDatabase(t *testing.T) {
	h := newHospital(t, "wal", 20)
	point, _, err := sourcetest.NewShelf(t).Keep(t.Context(), h.src)
	if err != nil {
		t.Fatal(err)
	}
	want, err := h.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(h.path), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(h.path), link} {
		for _, confirm := range []bool{false, true} {
			err := h.src.Recover(t.Context(), point, source.Target{Dir: dir, Confirm: confirm})
			if !errors.Is(err, backup.ErrTargetNotEmpty) {
				t.Errorf("recover into %s, confirmed %v: got %v, want %v", dir, confirm, err, backup.ErrTargetNotEmpty)
			}
		}
	}
	if got, err := h.State(t.Context()); err != nil || got != want {
		t.Errorf("live database: got %s (%v), want it untouched", got, err)
	}
}

// A foreign repository may say anything in its facts.
func TestForeignFactsAreNotTrusted(t *testing.T) {
	for name, facts := range map[string]struct {
		text string
		want error
	}{
		"outside":       {`{"kind":"sqlite","details":{"databases":[{"name":"../emr.db"}]}}`, backup.ErrUnsafe},
		"absolute":      {`{"kind":"sqlite","details":{"databases":[{"name":"/etc/passwd"}]}}`, backup.ErrUnsafe},
		"companion":     {`{"kind":"sqlite","details":{"databases":[{"name":"a","companions":["../b"]}]}}`, backup.ErrUnsafe},
		"stream":        {`{"kind":"sqlite","details":{"databases":[{"name":"a:b"}]}}`, backup.ErrUnsafe},
		"empty name":    {`{"kind":"sqlite","details":{"databases":[{"name":""}]}}`, backup.ErrUnsafe},
		"another kind":  {`{"kind":"postgres","details":{}}`, backup.ErrInvalid},
		"broken":        {`{"kind":`, backup.ErrDamaged},
		"odd details":   {`{"kind":"sqlite","details":[1]}`, backup.ErrDamaged},
		"not in point":  {`{"kind":"sqlite","details":{"databases":[{"name":"emr.db"}]}}`, backup.ErrDamaged},
		"facts are nil": {``, backup.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(source.Spec{Kind: "sqlite", Name: "emr", Settings: map[string]any{"path": "/nowhere/emr.db"}})
			if err != nil {
				t.Fatal(err)
			}
			target := source.Target{Dir: filepath.Join(t.TempDir(), "back")}
			if err := s.Recover(t.Context(), written{facts.text}, target); !errors.Is(err, facts.want) {
				t.Errorf("got %v, want %v", err, facts.want)
			}
			if left, err := os.ReadDir(target.Dir); !errors.Is(err, fs.ErrNotExist) && len(left) > 0 {
				t.Errorf("left in the target: %v", left)
			}
		})
	}
}

// written is a point of which only the facts are written.
type written struct{ facts string }

func (w written) Snapshot() string { return strings.Repeat("a", 64) }

func (w written) Facts(context.Context) (*source.Capture, error) {
	if w.facts == "" {
		return nil, nil
	}
	return source.ReadFacts(strings.NewReader(w.facts))
}

func (w written) Open(context.Context, string) (io.ReadCloser, error) {
	return nil, backup.ErrNotFound
}

func (w written) Restore(_ context.Context, _, dir string, _ backup.Progress) error {
	return os.MkdirAll(dir, 0o700)
}

// failing is a disk with bad spots.
type failing struct {
	data []byte
	bad  func(at int64) bool
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	for i := range p {
		if at+int64(i) >= int64(len(f.data)) {
			return i, io.EOF
		}
		if f.bad(at + int64(i)) {
			return i, errors.New("input/output error")
		}
		p[i] = f.data[at+int64(i)]
	}
	return len(p), nil
}

func TestCopyAroundBadSpots(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 3*readSize+100)
	for name, c := range map[string]struct {
		bad  func(int64) bool
		lost int64
	}{
		"none":   {func(int64) bool { return false }, 0},
		"one":    {func(at int64) bool { return at == readSize+5000 }, spotSize - 5000%spotSize},
		"tail":   {func(at int64) bool { return at >= 3*readSize }, 100},
		"a page": {func(at int64) bool { return at/spotSize == 3 }, spotSize},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			lost, err := copyAround(t.Context(), &out, failing{data, c.bad}, int64(len(data)))
			if err != nil || lost != c.lost || out.Len() != len(data) {
				t.Errorf("got lost %d, %d bytes, %v, want lost %d of %d", lost, out.Len(), err, c.lost, len(data))
			}
			if zeros := bytes.Count(out.Bytes(), []byte{0}); int64(zeros) != c.lost {
				t.Errorf("got %d zeros, want %d", zeros, c.lost)
			}
		})
	}
}

func TestAddressOfOddNames(t *testing.T) {
	got, err := address(filepath.Join(string(filepath.Separator), "a b", "100%?#.db"), "mode=ro")
	if err != nil || !strings.HasSuffix(got, "/a%20b/100%25%3F%23.db?mode=ro") {
		t.Errorf("got %s, %v", got, err)
	}
}
