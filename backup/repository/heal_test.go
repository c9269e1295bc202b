package repository_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

// second is another repository with the same blobs: another key, other packs.
func second(t testing.TB, c contents) *repository.Repository {
	t.Helper()
	st := mem.New()
	r := create(t, st, repository.WithPackSize(3000))
	write(t, r, c)
	return open(t, st)
}

// heal makes the index whole, finds what is sick and heals it.
func heal(ctx context.Context, st storage.Storage, from repository.Source) (repository.HealReport, error) {
	r, err := repository.Open(ctx, st, password, cheap())
	if err != nil {
		return repository.HealReport{}, err
	}
	if _, err := r.RepairIndex(ctx, repository.IndexOptions{}, nil); err != nil {
		return repository.HealReport{}, err
	}
	sick, err := r.Sick(ctx, true, func(repository.Finding) {}, nil)
	if err != nil {
		return repository.HealReport{}, err
	}
	if err := r.LoadIndex(ctx); err != nil {
		return repository.HealReport{}, err
	}
	return r.Heal(ctx, sick, from, nil)
}

func mustHeal(t testing.TB, st storage.Storage, from repository.Source) repository.HealReport {
	t.Helper()
	report, err := heal(t.Context(), st, from)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// damages are what disks do to a pack.
var damages = []struct {
	name string
	pack func(t *testing.T, st *mem.Storage, name storage.Name)
	some bool // something of the pack can be saved without a second copy
}{
	{"a bit of the first blob", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, flipAt(20)) }, true},
	{"a bit in the middle", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, flipAt(1500)) }, true},
	{"a bit of the header", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, flipAt(-60)) }, true},
	{"a bit of the header's length", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, flipAt(-2)) }, true},
	{"cut in half", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, cutTo(0.5)) }, true},
	{"its last byte gone", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, cutTo(0.9999)) }, true},
	{"emptied", func(t *testing.T, st *mem.Storage, n storage.Name) { change(t, st, n, cutTo(0)) }, false},
	{"gone", func(t *testing.T, st *mem.Storage, n storage.Name) { take(t, st, n) }, false},
	{"bytes appended", func(t *testing.T, st *mem.Storage, n storage.Name) {
		change(t, st, n, func(b []byte) []byte { return append(b, "more"...) })
	}, true},
	{"overwritten with zeros", func(t *testing.T, st *mem.Storage, n storage.Name) {
		change(t, st, n, func(b []byte) []byte { clear(b); return b })
	}, false},
}

func TestHealWithASecondCopy(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			st, all := twoBackups(t)
			from := second(t, all)
			for _, name := range names(t, st, storage.Pack) {
				d.pack(t, st, name)
			}
			// What the index no longer knows is filled in by name.
			report := mustHeal(t, st, from)
			r := open(t, st)
			var missing []blob.Handle
			for h := range all {
				if !r.Has(h) {
					missing = append(missing, h)
				}
			}
			if _, err := r.Fill(t.Context(), missing, from, nil); err != nil {
				t.Fatal(err)
			}
			if len(report.Lost) > 0 {
				t.Errorf("got %d lost, want none: %+v", len(report.Lost), report)
			}
			wantSound(t, st, all)
		})
	}
}

func TestHealWithoutASecondCopySavesTheRest(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			st, all := twoBackups(t)
			d.pack(t, st, names(t, st, storage.Pack)[0])
			report := mustHeal(t, st, nil)
			if got := report.Salvaged > 0; got != d.some {
				t.Errorf("got %+v, want something saved: %t", report, d.some)
			}
			r := open(t, st)
			if errs, _ := findings(t, r); len(errs) > 0 {
				t.Fatalf("the check still finds %v", errs)
			}
			left := contents{}
			for h, plain := range all {
				if r.Has(h) {
					left[h] = plain
				}
			}
			wantBlobs(t, r, left)
			if d.some && len(all)-len(left) != len(report.Lost) {
				t.Errorf("%d blobs are gone, told are %d", len(all)-len(left), len(report.Lost))
			}
			write(t, r, all) // the next backup makes up for it
			wantSound(t, st, all)
		})
	}
}

func TestHealTakesCopiesOfThisRepository(t *testing.T) {
	c := sample(1, 10)
	st := mem.New()
	create(t, st)
	a, b := open(t, st), open(t, st) // neither knows of the other
	write(t, a, c)
	write(t, b, c)
	change(t, st, names(t, st, storage.Pack)[0], flipAt(20))
	report := mustHeal(t, st, nil)
	if len(report.Lost) > 0 || report.Copies == 0 || len(report.Replaced) != 1 {
		t.Errorf("got %+v, want all from the copy", report)
	}
	wantSound(t, st, c)
}

func TestHealLeavesWholePacksAlone(t *testing.T) {
	st, all := twoBackups(t)
	r := open(t, st)
	var ids []blob.ID
	for _, name := range names(t, st, storage.Pack) {
		id, err := blob.ParseID(name.ID)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	before := size(t, st)
	report, err := r.Heal(t.Context(), append(ids, blob.Hash([]byte("no such pack"))), nil, nil)
	if err != nil || len(report.Whole) != len(ids) || len(report.Replaced) > 0 {
		t.Errorf("got %+v, %v, want %d whole", report, err, len(ids))
	}
	if size(t, st) != before {
		t.Error("something was changed")
	}
	wantSound(t, st, all)
}

// liar hands out the wrong bytes.
type liar struct{}

func (liar) LoadBlob(context.Context, blob.Handle, []byte) ([]byte, error) {
	return []byte("wrong"), nil
}

func TestHealTrustsNoSecondCopy(t *testing.T) {
	st, _ := twoBackups(t)
	change(t, st, names(t, st, storage.Pack)[0], flipAt(20))
	report := mustHeal(t, st, liar{})
	if len(report.Lost) != 1 || report.Fetched > 0 {
		t.Errorf("got %+v, want one lost and none fetched", report)
	}
	if errs, _ := findings(t, open(t, st)); len(errs) > 0 {
		t.Errorf("the check finds %v", errs)
	}
}

// sulking is a storage that fails to give one pack, as a bad cable does.
type sulking struct {
	storage.Storage
	name storage.Name
}

func (s sulking) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if name == s.name {
		return nil, errors.New("input/output error")
	}
	return s.Storage.Load(ctx, name, buf, offset, length)
}

func TestHealRemovesNothingThatMayComeBack(t *testing.T) {
	st, all := twoBackups(t)
	pack := names(t, st, storage.Pack)[0]
	report := mustHeal(t, sulking{st, pack}, nil)
	if len(report.Kept) != 1 || len(report.Replaced) > 0 {
		t.Errorf("got %+v, want the pack kept", report)
	}
	wantSound(t, st, all)
}

// TestHealStoppedAtEveryCall crashes the healing at each call of the storage,
// before and after its effect; the next run heals everything.
func TestHealStoppedAtEveryCall(t *testing.T) {
	origin, all := twoBackups(t)
	from := second(t, all)
	packs := names(t, origin, storage.Pack)
	change(t, origin, packs[0], flipAt(300))
	change(t, origin, packs[1], flipAt(-40))
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for at := 1; ; at++ {
			st := origin.Clone()
			faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: true}
			_, err := heal(t.Context(), faulty, from)
			if err == nil {
				if faulty.Calls() >= at {
					t.Fatalf("call %d failed and nobody noticed", at)
				}
				break
			}
			if !errors.Is(err, storagetest.ErrFault) {
				t.Fatalf("call %d: got %v", at, err)
			}
			if _, err := heal(t.Context(), st, from); err != nil {
				t.Fatalf("after a crash at call %d: %v", at, err)
			}
			wantSound(t, st, all)
		}
	}
}

// TestHealedWhateverFlips flips bits of packs and index files at random; with a
// second copy all of it comes back.
func TestHealedWhateverFlips(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 25
	}
	origin, all := twoBackups(t)
	from := second(t, all)
	random := rand.New(rand.NewPCG(3, 11))
	for round := range rounds {
		st := origin.Clone()
		files := append(names(t, st, storage.Pack), names(t, st, storage.Index)...)
		for range 1 + random.IntN(4) {
			name, at, bit := files[random.IntN(len(files))], random.IntN(1<<20), random.IntN(8)
			change(t, st, name, func(b []byte) []byte { b[at%len(b)] ^= 1 << bit; return b })
		}
		fillAll(t, st, from, all)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

func fillAll(t *testing.T, st *mem.Storage, from *repository.Repository, all contents) {
	t.Helper()
	mustHeal(t, st, from)
	r := open(t, st)
	var missing []blob.Handle
	for h := range all {
		if !r.Has(h) {
			missing = append(missing, h)
		}
	}
	if report, err := r.Fill(t.Context(), missing, from, nil); err != nil || report.Fetched != int64(len(missing)) {
		t.Errorf("got %+v, %v, want %d fetched", report, err, len(missing))
	}
	wantSound(t, st, all)
}

func TestUnreadableProvesEachBlob(t *testing.T) {
	st, _ := twoBackups(t)
	pack := names(t, st, storage.Pack)[0]
	change(t, st, pack, flipAt(20))
	id, err := blob.ParseID(pack.ID)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := open(t, st).Unreadable(t.Context(), []blob.ID{id})
	if err != nil || bad.Len() != 1 {
		t.Errorf("got %d, %v, want one blob", bad.Len(), err)
	}
}

func TestSickPackOfFindings(t *testing.T) {
	st, _ := twoBackups(t)
	packs := names(t, st, storage.Pack)
	change(t, st, packs[0], flipAt(20))
	take(t, st, packs[1])
	change(t, st, packs[2], cutTo(0.5))
	got := map[string]bool{}
	ids, err := open(t, st).Sick(t.Context(), true, func(f repository.Finding) {
		if id, ok := f.SickPack(); ok {
			got[id.String()] = true
		} else {
			t.Errorf("%v names no pack", f)
		}
	}, nil)
	if err != nil || len(ids) != 3 {
		t.Errorf("got %v, %v, want three", ids, err)
	}
	for _, name := range packs[:3] {
		if !got[name.ID] {
			t.Errorf("%s is not named", name)
		}
	}
	if _, ok := (repository.Finding{Kind: repository.KeyDamaged}).SickPack(); ok {
		t.Error("a key is no pack")
	}
}

// fitful gives wrong bytes, or none, for one document, a few times.
type fitful struct {
	*mem.Storage
	name  storage.Name
	times *int // how often; negative: for ever
	err   error
}

func (s fitful) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	data, err := s.Storage.Load(ctx, name, buf, offset, length)
	if name != s.name || *s.times == 0 {
		return data, err
	}
	*s.times--
	if s.err != nil {
		return nil, s.err
	}
	for i := range data {
		data[i] ^= 1
	}
	return data, err
}

// A blob lies in two sick packs. One is damaged, the other is not given for
// now: it may have the last good copy, whichever is looked at first.
func TestHealKeepsThePackThatMayHaveTheLastCopy(t *testing.T) {
	for range 8 { // the order is left to chance
		st := mem.New()
		create(t, st)
		c, more := contents{}, contents{}
		h := c.add(blob.Data, noise(1, 900))
		more[h] = c[h]
		more.add(blob.Data, noise(2, 900))
		one, two := open(t, st), open(t, st)
		write(t, one, c)
		write(t, two, more)
		silent, _, _, _, _ := one.Locate(h)
		damaged, offset, _, _, _ := two.Locate(h)
		change(t, st, packNamed(damaged), flipAt(int(offset)+30))
		always := -1
		r := open(t, fitful{st, packNamed(silent), &always, errors.New("the line is down")})
		report, err := r.Heal(t.Context(), []blob.ID{silent, damaged}, nil, nil)
		if err != nil || len(report.Lost) > 0 || len(report.Kept) != 1 || report.Kept[0] != silent {
			t.Fatalf("got %+v, %v, want the silent pack kept", report, err)
		}
		wantBlobs(t, open(t, st), more)
	}
}

// What came damaged twice is tried once more before it is given up.
func TestHealTriesOnceMoreBeforeGivingUp(t *testing.T) {
	c := contents{}
	h := c.add(blob.Data, noise(1, 900))
	st := filled(t, c)
	pack, _, _, _, _ := open(t, st).Locate(h)
	for times := 1; times <= 4; times++ {
		left := times
		r := open(t, fitful{Storage: st.Clone(), name: packNamed(pack), times: &left})
		report, err := r.Heal(t.Context(), []blob.ID{pack}, nil, nil)
		if err != nil || len(report.Lost) > 0 {
			t.Fatalf("wrong %d times: got %+v, %v", times, report, err)
		}
		wantBlobs(t, r, c)
	}
}

// A pack that no index names, whose own list is not given for now, may hold
// anything.
func TestHealWaitsForAListItCannotRead(t *testing.T) {
	st := filled(t, sample(1, 3))
	for _, name := range names(t, st, storage.Index) {
		remove(t, st, name)
	}
	pack := names(t, st, storage.Pack)[0]
	id, err := blob.ParseID(pack.ID)
	if err != nil {
		t.Fatal(err)
	}
	always := -1
	r := open(t, fitful{st, pack, &always, errors.New("the line is down")})
	if report, err := r.Heal(t.Context(), []blob.ID{id}, nil, nil); err == nil || !contains(names(t, st, storage.Pack), pack) {
		t.Errorf("got %+v, %v, want an error and the pack left alone", report, err)
	}
}

func packNamed(id blob.ID) storage.Name { return storage.Name{Kind: storage.Pack, ID: id.String()} }
