package sample

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"emrvault/backup"
)

var evening = time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)

func create(t *testing.T, size int64, seed uint64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "emr")
	if _, err := Create(t.Context(), dir, Options{Bytes: size, Seed: seed, Now: evening}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// printOf is a fingerprint of all rows and files.
func printOf(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	db, err := open(filepath.Join(dir, Database))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"about", "departments", "users", "patients", "visits", "documents", "document_versions", "vital_signs"} {
		var rows, total int64
		err := db.QueryRow(fmt.Sprintf(`SELECT count(*), ifnull(sum(rowid), 0) FROM %s`, table)).Scan(&rows, &total)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(sum, table, rows, total)
	}
	rows, err := db.Query(`SELECT content FROM document_versions ORDER BY document_id, version`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var content string
		if err := rows.Scan(&content); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(sum, content)
	}
	each(t, dir, func(path string, data []byte) { fmt.Fprintln(sum, path, sha256.Sum256(data)) })
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// each visits the files of the tree.
func each(t *testing.T, dir string, fn func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, Documents), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		fn(filepath.ToSlash(rel), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, dir, query string) string {
	t.Helper()
	db, err := open(filepath.Join(dir, Database))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRow(query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func assertions(t *testing.T, dir, when string) {
	t.Helper()
	for _, a := range Assertions() {
		if got := ask(t, dir, a.SQL); got != a.Want {
			t.Errorf("%s: %s: got %s, want %s", when, a.Key, got, a.Want)
		}
	}
	if got := ask(t, dir, `PRAGMA integrity_check`); got != "ok" {
		t.Errorf("%s: integrity: got %s, want ok", when, got)
	}
	if got := ask(t, dir, `SELECT count(*) FROM pragma_foreign_key_check`); got != "0" {
		t.Errorf("%s: %s rows point to nothing", when, got)
	}
}

func TestSameSeedSameHospital(t *testing.T) {
	one, two, other := create(t, 3<<20, 7), create(t, 3<<20, 7), create(t, 3<<20, 8)
	if printOf(t, one) != printOf(t, two) {
		t.Error("same seed: the content differs")
	}
	if printOf(t, one) == printOf(t, other) {
		t.Error("another seed: the content is the same")
	}
	for _, dir := range []string{one, two} {
		if _, err := Day(t.Context(), dir, evening.Add(24*time.Hour), nil); err != nil {
			t.Fatal(err)
		}
	}
	if printOf(t, one) != printOf(t, two) {
		t.Error("same seed, a day later: the content differs")
	}
}

func TestDaysGoBy(t *testing.T) {
	dir := create(t, 4<<20, 1)
	assertions(t, dir, "at first")
	for n := 1; n <= 12; n++ {
		now := evening.AddDate(0, 0, n)
		before := printOf(t, dir)
		c, err := Day(t.Context(), dir, now, backup.Silent{})
		if err != nil {
			t.Fatalf("day %d: %v", n, err)
		}
		if c.Patients == 0 || c.Visits == 0 || c.Documents == 0 || c.Changed == 0 || c.Deleted != 1 || c.Bytes == 0 {
			t.Errorf("day %d: got %+v, want something of everything and one deleted draft", n, c)
		}
		if printOf(t, dir) == before {
			t.Errorf("day %d: nothing changed", n)
		}
		assertions(t, dir, fmt.Sprint("day ", n))
		newest, err := time.Parse(time.RFC3339, ask(t, dir, NewestDocument))
		if err != nil || now.Sub(newest) > 12*time.Hour || newest.After(now.Add(2*time.Minute)) {
			t.Errorf("day %d: the newest document is of %v (%v), want one shortly before %v", n, newest, err, now)
		}
	}
	filesAreWhole(t, dir)
}

// Every path in the tables is a file, every XML can be read, every letter is whole.
func filesAreWhole(t *testing.T, dir string) {
	t.Helper()
	found := map[string]bool{}
	each(t, dir, func(path string, data []byte) {
		found[path] = true
		if !strings.HasSuffix(path, ".xml") {
			return
		}
		if !utf8.Valid(data) {
			t.Errorf("%s is not UTF-8", path)
		}
		decoder := xml.NewDecoder(bytes.NewReader(data))
		for {
			if _, err := decoder.Token(); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("%s: %v", path, err)
				}
				break
			}
		}
	})
	db, err := open(filepath.Join(dir, Database))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT DISTINCT path FROM documents WHERE path IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var path string
		if err := rows.Scan(&path); err != nil {
			t.Fatal(err)
		}
		if n++; !found[path] {
			t.Errorf("%s is in the tables, not in the tree", path)
		}
	}
	if n == 0 || len(found) < n {
		t.Errorf("got %d files, the tables name %d", len(found), n)
	}
}

// The size is roughly what was asked for, about half database, and compresses
// as real records do.
func TestSizeAndRatio(t *testing.T) {
	const size = 12 << 20
	dir := create(t, size, 3)
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	var plain, packed, tree int64
	each(t, dir, func(path string, data []byte) {
		tree += int64(len(data))
		if strings.HasSuffix(path, ".xml") {
			plain += int64(len(data))
			packed += int64(len(encoder.EncodeAll(data, nil)))
		}
	})
	db, err := os.ReadFile(filepath.Join(dir, Database))
	if err != nil {
		t.Fatal(err)
	}
	if all := tree + int64(len(db)); all < size*8/10 || all > size*12/10 {
		t.Errorf("size: got %d, want about %d", all, size)
	}
	if share := float64(tree) / float64(tree+int64(len(db))); share < 0.35 || share > 0.65 {
		t.Errorf("the tree is %.0f %%, want about half", 100*share)
	}
	for name, ratio := range map[string]float64{
		"documents": float64(plain) / float64(packed),
		"database":  float64(len(db)) / float64(len(encoder.EncodeAll(db, nil))),
	} {
		if ratio < 3 || ratio > 9 {
			t.Errorf("%s compress %.1f:1, want 3 to 9", name, ratio)
		}
		t.Logf("%s compress %.1f:1", name, ratio)
	}
}

func TestRareLettersSurvive(t *testing.T) {
	dir := create(t, 4<<20, 5)
	if got := ask(t, dir, `SELECT count(*) FROM patients WHERE name LIKE '%𠮷%' OR name LIKE '%𪚥%'`); got == "0" {
		t.Error("no patient has a rare letter in the name")
	}
}

func TestRefusals(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "账目.xls"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := create(t, 1<<20, 1)
	for name, c := range map[string]struct {
		do   func() error
		want error
	}{
		"folder in use": {func() error { return tryMake(full, Options{Now: evening, Bytes: 1 << 20}) }, backup.ErrTargetNotEmpty},
		"made already":  {func() error { return tryMake(made, Options{Now: evening, Bytes: 1 << 20}) }, backup.ErrTargetNotEmpty},
		"no moment":     {func() error { return tryMake(t.TempDir(), Options{Bytes: 1 << 20}) }, backup.ErrInvalid},
		"negative size": {func() error { return tryMake(t.TempDir(), Options{Now: evening, Bytes: -1}) }, backup.ErrInvalid},
		"no EMR":        {func() error { _, err := Day(t.Context(), full, evening, nil); return err }, backup.ErrNotFound},
		"back in time":  {func() error { _, err := Day(t.Context(), made, evening, nil); return err }, backup.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.do(); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(full, "账目.xls")); err != nil {
		t.Errorf("a stranger's file: %v", err)
	}
}

func tryMake(dir string, o Options) error {
	_, err := Create(context.Background(), dir, o)
	return err
}

// What an interrupted Create left is no EMR, and the next one begins anew.
func TestInterruptedMake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "emr")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := Create(ctx, dir, Options{Now: evening, Seed: 1}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	if Exists(dir) {
		t.Fatal("half an EMR is taken for a whole one")
	}
	if _, err := Create(t.Context(), dir, Options{Now: evening, Seed: 1, Bytes: 2 << 20}); err != nil {
		t.Fatal(err)
	}
	if !Exists(dir) || printOf(t, dir) != printOf(t, create(t, 2<<20, 1)) {
		t.Error("made again after an interruption: the EMR is not as it would have been")
	}
}

func TestParseReadsWhatJoinWrote(t *testing.T) {
	want := []section{{title: "主诉", paragraphs: []string{"一", "二"}}, {title: "空"}, {title: "诊断", paragraphs: []string{"三"}}}
	got := parse(join("入院记录", want))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
