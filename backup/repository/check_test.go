package repository_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func kindsOf(list []repository.Finding) (kinds []string) {
	for _, f := range list {
		if !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func TestSoundRepositoryHasNoFindings(t *testing.T) {
	for name, c := range map[string]contents{"empty": nil, "filled": sample(1, 30)} {
		st := filled(t, c, repository.WithPackSize(4000))
		errs, hints := findings(t, open(t, st))
		if len(errs)+len(hints) > 0 {
			t.Errorf("%s: got %v and %v", name, errs, hints)
		}
	}
}

func TestEveryDamageIsNoticedAndNamed(t *testing.T) {
	tests := []struct {
		name   string
		damage damage
		quick  []string // kinds of errors found without reading the data
		full   []string // with
		hints  []string
	}{
		{"config flipped", flip(storage.Config, 0.5), []string{"config-damaged"}, nil, nil},
		{"key flipped", flip(storage.Key, 0.1), []string{"key-damaged"}, nil, nil},
		{"key cut", truncate(storage.Key, 0.5), []string{"key-damaged"}, nil, nil},
		{"index flipped", flip(storage.Index, 0.5), []string{"index-damaged"}, nil, nil},
		{"index cut", truncate(storage.Index, 0.9), []string{"index-damaged"}, nil, nil},
		{"index empty", truncate(storage.Index, 0), []string{"index-damaged"}, nil, nil},
		{"index lost", removeAll(storage.Index), nil, nil, []string{"pack-orphan"}},
		{"pack lost", removeOne, []string{"pack-missing"}, nil, nil},
		{"pack flipped in a blob", flip(storage.Pack, 0.3), nil, []string{"blob-damaged", "pack-damaged"}, nil},
		{"pack flipped in its header", flip(storage.Pack, 0.999), nil, []string{"pack-damaged", "pack-header"}, nil},
		{"pack cut", truncate(storage.Pack, 0.5), []string{"pack-short"}, []string{"blob-damaged", "pack-damaged", "pack-header", "pack-short"}, nil},
		{"pack empty", truncate(storage.Pack, 0), []string{"pack-short"}, []string{"blob-damaged", "pack-damaged", "pack-header", "pack-short"}, nil},
		{"pack with a byte too many", extend(storage.Pack), []string{"pack-long"}, []string{"pack-damaged", "pack-header", "pack-long"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := filled(t, sample(1, 10))
			r := open(t, st)
			damaged := tt.damage(t, st)
			wantFindings(t, r, false, tt.quick, tt.hints)
			full := tt.full
			if full == nil {
				full = tt.quick
			}
			list := wantFindings(t, r, true, full, tt.hints)
			for _, f := range list {
				if f.Kind != "blob-damaged" && f.Level == repository.Error && f.Name != damaged.Path() {
					t.Errorf("got %s named, want %s", f.Name, damaged.Path())
				}
				if f.Text == "" || f.Key != "check."+f.Kind || f.Args["name"] == nil {
					t.Errorf("incomplete: %+v", f)
				}
			}
		})
	}
}

func removeOne(t *testing.T, st *mem.Storage) storage.Name {
	name := first(t, st, storage.Pack)
	if err := st.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

func wantFindings(t *testing.T, r *repository.Repository, readData bool, wantErrors, wantHints []string) (list []repository.Finding) {
	t.Helper()
	err := r.CheckStore(t.Context(), repository.CheckOptions{ReadData: readData}, func(f repository.Finding) {
		list = append(list, f)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var errs, hints []repository.Finding
	for _, f := range list {
		if f.Level == repository.Error {
			errs = append(errs, f)
		} else {
			hints = append(hints, f)
		}
	}
	if got := kindsOf(errs); !slices.Equal(got, wantErrors) {
		t.Errorf("read data %v: got errors %v, want %v: %v", readData, got, wantErrors, errs)
	}
	if got := kindsOf(hints); !slices.Equal(got, wantHints) {
		t.Errorf("read data %v: got hints %v, want %v", readData, got, wantHints)
	}
	return list
}

func TestEveryFlippedBitOfAPackIsNoticed(t *testing.T) {
	c := contents{}
	c.add(blob.Data, prose(1, 100))
	c.add(blob.Data, []byte("raw"))
	st := filled(t, c)
	name := first(t, st, storage.Pack)
	whole := load(t, st, name)
	r := open(t, st)
	for bit := range len(whole) * 8 {
		bad := slices.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		st.Put(name, bad)
		if errs, _ := findings(t, r); !slices.ContainsFunc(errs, func(f repository.Finding) bool { return f.Name == name.Path() }) {
			t.Fatalf("bit %d of %d: got %v, want %s named", bit, len(whole)*8, errs, name)
		}
	}
}

// forge stores an index file of any content.
func forge(t *testing.T, r *repository.Repository, packID string, blobs string) {
	t.Helper()
	text := `{"packs":[{"id":"` + packID + `","blobs":[` + blobs + `]}]}`
	if _, err := r.SaveUnpacked(t.Context(), storage.Index, raw(text)); err != nil {
		t.Fatal(err)
	}
}

// raw is JSON that is written already.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func TestContradictingIndexFiles(t *testing.T) {
	c := sample(1, 5)
	st := filled(t, c)
	r := open(t, st)
	packName := first(t, st, storage.Pack)
	someID := strings.Repeat("ab", 32)
	forge(t, r, packName.ID, `{"id":"`+someID+`","type":"data","offset":0,"length":100}`)
	errs, _ := findings(t, r)
	if !slices.Contains(kindsOf(errs), "index-conflict") {
		t.Errorf("got %v, want index-conflict", errs)
	}
	if err := r.LoadIndex(t.Context()); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("load index: got %v, want ErrDamaged", err)
	}
	if _, err := tryPrune(t, r, c, repository.PruneOptions{}); err != nil {
		t.Errorf("prune, which asks the pack itself: got %v", err)
	}
	wantSound(t, st, c)
}

func TestSameIndexTwiceIsAHint(t *testing.T) {
	st := filled(t, sample(1, 5))
	r := open(t, st)
	sealedTwice := load(t, st, first(t, st, storage.Index))
	var doc map[string]any
	if err := r.LoadUnpacked(t.Context(), storage.Index, blob.Hash(sealedTwice).String(), &doc); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SaveUnpacked(t.Context(), storage.Index, doc); err != nil {
		t.Fatal(err)
	}
	wantFindings(t, r, true, nil, []string{"index-twice"})
}

func TestBlobsThatDoNotLieBackToBack(t *testing.T) {
	st := mem.New()
	r := create(t, st)
	id := strings.Repeat("ab", 32)
	forge(t, r, id, `{"id":"`+id+`","type":"data","offset":10,"length":100},{"id":"`+id+`","type":"tree","offset":50,"length":100}`)
	errs, hints := findings(t, r)
	if got := kindsOf(errs); !slices.Equal(got, []string{"pack-layout", "pack-missing"}) {
		t.Errorf("got %v", got)
	}
	if got := kindsOf(hints); !slices.Equal(got, []string{"pack-mixed"}) {
		t.Errorf("got hints %v", got)
	}
}

func TestSubsetReadsAShare(t *testing.T) {
	st := filled(t, sample(1, 40), repository.WithPackSize(1))
	r := open(t, st)
	for share, want := range map[float64]int64{0.1: 12, 0.5: 60, 0.001: 1, 0: 120, 1: 120} {
		p := &tally{}
		if err := r.CheckStore(t.Context(), repository.CheckOptions{ReadData: true, Subset: share}, func(repository.Finding) {}, p); err != nil {
			t.Fatal(err)
		}
		if got := p.files.Load(); got != want {
			t.Errorf("share %v: read %d packs, want %d", share, got, want)
		}
	}
}

// tally counts what progress hears.
type tally struct {
	backup.Silent
	files, bytes atomic.Int64
}

func (p *tally) Add(files, bytes int64) { p.files.Add(files); p.bytes.Add(bytes) }

func TestCheckThatCannotBeMade(t *testing.T) {
	st := filled(t, sample(1, 5))
	ctx, cancel := context.WithCancel(t.Context())
	r := open(t, st)
	cancel()
	err := r.CheckStore(ctx, repository.CheckOptions{ReadData: true}, func(f repository.Finding) { t.Errorf("got %v", f) }, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	broken := open(t, &storagetest.Faulty{Storage: st, At: 6, CountReads: true, Dead: true})
	if err := broken.CheckStore(t.Context(), repository.CheckOptions{}, func(repository.Finding) {}, nil); err == nil {
		t.Error("a dead storage: got no error")
	}
}
