package repository_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/storagetest"
)

func TestCreateAndOpen(t *testing.T) {
	st := mem.New()
	a := create(t, st)
	b := open(t, st)
	if a.ID() != b.ID() || len(a.ID()) != 64 || b.Version() != 2 {
		t.Errorf("got id %q and version %d, want %q and 2", b.ID(), b.Version(), a.ID())
	}
	if _, err := repository.Create(t.Context(), st, "other", cheap()); !errors.Is(err, backup.ErrRepositoryExists) {
		t.Errorf("create again: got %v, want ErrRepositoryExists", err)
	}
	if _, err := repository.Create(t.Context(), mem.New(), "", cheap()); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("empty password: got %v, want ErrInvalid", err)
	}
	wantSound(t, st, nil)
}

// A crash while a repository is made leaves a place where one can be made.
func TestCreateSurvivesACrash(t *testing.T) {
	for _, fault := range []storagetest.Fault{storagetest.Before, storagetest.After} {
		for at := 1; at <= 2; at++ {
			st := mem.New()
			faulty := &storagetest.Faulty{Storage: st, At: at, Fault: fault, Dead: true}
			if _, err := repository.Create(t.Context(), faulty, password, cheap()); !errors.Is(err, storagetest.ErrFault) {
				t.Fatalf("call %d: got %v, want the fault", at, err)
			}
			_, err := repository.Create(t.Context(), st, password, cheap())
			if errors.Is(err, backup.ErrRepositoryExists) && fault == storagetest.After && at == 2 {
				err = nil // the config was written: this one is complete
			}
			if err != nil {
				t.Errorf("call %d: create again: %v", at, err)
			}
			wantSound(t, st, nil)
		}
	}
}

// With a lost config the keys are all that can still open the data.
func TestCreateLeavesKeysBesideDataAlone(t *testing.T) {
	st := filled(t, sample(1, 1))
	if err := st.Remove(t.Context(), storage.Name{Kind: storage.Config}); err != nil {
		t.Fatal(err)
	}
	if _, err := repository.Create(t.Context(), st, "other", cheap()); !errors.Is(err, backup.ErrRepositoryExists) {
		t.Errorf("got %v, want ErrRepositoryExists", err)
	}
	if got := len(names(t, st, storage.Key)); got != 1 {
		t.Errorf("got %d keys, want the old one", got)
	}
}

// damage changes one document of a storage and names it.
type damage func(t *testing.T, st *mem.Storage) storage.Name

func load(t *testing.T, st *mem.Storage, name storage.Name) []byte {
	t.Helper()
	data, err := st.Load(t.Context(), name, nil, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// first names a document of a kind.
func first(t *testing.T, st *mem.Storage, kind storage.Kind) storage.Name {
	t.Helper()
	if kind == storage.Config {
		return storage.Name{Kind: kind}
	}
	return names(t, st, kind)[0]
}

func flip(kind storage.Kind, where float64) damage {
	return func(t *testing.T, st *mem.Storage) storage.Name {
		name := first(t, st, kind)
		data := load(t, st, name)
		data[int(where*float64(len(data)-1))] ^= 4
		st.Put(name, data)
		return name
	}
}

func both(one, two damage) damage {
	return func(t *testing.T, st *mem.Storage) storage.Name {
		one(t, st)
		return two(t, st)
	}
}

func truncate(kind storage.Kind, share float64) damage {
	return func(t *testing.T, st *mem.Storage) storage.Name {
		name := first(t, st, kind)
		data := load(t, st, name)
		st.Put(name, data[:int(share*float64(len(data)))])
		return name
	}
}

func extend(kind storage.Kind) damage {
	return func(t *testing.T, st *mem.Storage) storage.Name {
		name := first(t, st, kind)
		st.Put(name, append(load(t, st, name), 0))
		return name
	}
}

func removeAll(kinds ...storage.Kind) damage {
	return func(t *testing.T, st *mem.Storage) storage.Name {
		for _, kind := range kinds {
			for _, name := range append(names(t, st, kind), storage.Name{Kind: kind}) {
				if err := st.Remove(t.Context(), name); err != nil && !errors.Is(err, backup.ErrNotFound) {
					t.Fatal(err)
				}
			}
		}
		return storage.Name{}
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	nothing := func(*testing.T, *mem.Storage) storage.Name { return storage.Name{} }
	tests := []struct {
		name     string
		damage   damage
		password string
		want     error
		says     string // part of the message
	}{
		{"all is well", nothing, password, nil, ""},
		{"wrong password", nothing, "Geheim", backup.ErrWrongPassword, "none of 1 keys"},
		{"nothing there", removeAll(storage.Config, storage.Key), password, backup.ErrNoRepository, "repo init"},
		{"config lost", removeAll(storage.Config), password, backup.ErrNoRepository, "bring it back"},
		{"keys lost", removeAll(storage.Key), password, backup.ErrDamaged, "no key"},
		{"a bit of the config flipped", flip(storage.Config, 0.5), password, nil, ""},
		{"a bit of the config's nonce flipped", flip(storage.Config, 0), password, nil, ""},
		{"two bits of the config flipped", both(flip(storage.Config, 0), flip(storage.Config, 0.5)), password, backup.ErrDamaged, "config was changed"},
		{"config cut", truncate(storage.Config, 0.5), password, backup.ErrDamaged, "config was changed"},
		{"config empty", truncate(storage.Config, 0), password, backup.ErrDamaged, "config was changed"},
		{"a bit of the key's sealed part flipped", flip(storage.Key, 0.9), password, nil, ""},
		{"two bits of the key flipped", both(flip(storage.Key, 0.8), flip(storage.Key, 0.9)), password, backup.ErrDamaged, "keys/"},
		{"key cut", truncate(storage.Key, 0.7), password, backup.ErrDamaged, "keys/"},
		{"key empty", truncate(storage.Key, 0), password, backup.ErrDamaged, "keys/"},
		{"key flipped, password wrong too", flip(storage.Key, 0.9), "Geheim", backup.ErrDamaged, "keys/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := mem.New()
			create(t, st)
			tt.damage(t, st)
			_, err := repository.Open(t.Context(), st, tt.password)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want it to say %q", err, tt.says)
			}
			for _, other := range []error{backup.ErrNoRepository, backup.ErrDamaged, backup.ErrWrongPassword} {
				if !errors.Is(tt.want, other) && errors.Is(err, other) {
					t.Errorf("%q also counts as %q", err, other)
				}
			}
		})
	}
}

// One damaged key does not keep the others from opening the repository.
func TestDamagedKeyBesideAGoodOne(t *testing.T) {
	st := mem.New()
	r := create(t, st)
	id, err := r.AddKey(t.Context(), "second", repository.KeyHints{})
	if err != nil {
		t.Fatal(err)
	}
	name := storage.Name{Kind: storage.Key, ID: id}
	data := load(t, st, name)
	st.Put(name, data[:len(data)/2])
	open(t, st)
	_, err = repository.Open(t.Context(), st, "second")
	if !errors.Is(err, backup.ErrWrongPassword) || !strings.Contains(err.Error(), id[:10]) {
		t.Errorf("got %v, want a wrong password and a word on key %s", err, id[:10])
	}
}

func TestKeys(t *testing.T) {
	st := mem.New()
	r := create(t, st)
	sheet, err := r.AddKey(t.Context(), "on paper", repository.KeyHints{User: "recovery sheet", Host: "safe"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.Keys(t.Context())
	if err != nil || len(keys) != 2 {
		t.Fatalf("got %v, %v; want two keys", keys, err)
	}
	if !keys[0].Current || keys[1].Current || keys[1].ID != sheet || keys[1].User != "recovery sheet" || keys[1].Host != "safe" {
		t.Errorf("got %+v", keys)
	}
	other, err := repository.Open(t.Context(), st, "on paper")
	if err != nil || other.ID() != r.ID() {
		t.Fatalf("open with the second key: %v", err)
	}
	for name, tt := range map[string]struct {
		id   string
		want error
	}{
		"in use":    {keys[0].ID, backup.ErrInvalid},
		"no such":   {strings.Repeat("0", 64), backup.ErrNotFound},
		"empty":     {"", backup.ErrNotFound},
		"not an id": {"../config", backup.ErrNotFound},
	} {
		if err := r.RemoveKey(t.Context(), tt.id); !errors.Is(err, tt.want) {
			t.Errorf("remove %s: got %v, want %v", name, err, tt.want)
		}
	}
	if err := r.RemoveKey(t.Context(), sheet[:12]); err != nil {
		t.Errorf("remove by prefix: %v", err)
	}
	if _, err := repository.Open(t.Context(), st, "on paper"); !errors.Is(err, backup.ErrWrongPassword) {
		t.Errorf("open with a removed key: got %v, want ErrWrongPassword", err)
	}
}

func TestChangePassword(t *testing.T) {
	c := sample(1, 3)
	st := filled(t, c)
	r := open(t, st)
	if err := r.ChangePassword(t.Context(), "新密码"); err != nil {
		t.Fatal(err)
	}
	if _, err := repository.Open(t.Context(), st, password); !errors.Is(err, backup.ErrWrongPassword) {
		t.Errorf("the old password: got %v, want ErrWrongPassword", err)
	}
	again, err := repository.Open(t.Context(), st, "新密码")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantBlobs(t, again, c)
	if err := r.ChangePassword(t.Context(), password); err != nil {
		t.Errorf("change it back with the same repository: %v", err)
	}
}

func TestPasswordSurvivesACrash(t *testing.T) {
	for at := 1; at <= 2; at++ {
		st := mem.New()
		create(t, st)
		r := open(t, &storagetest.Faulty{Storage: st, At: at, Dead: true})
		if err := r.ChangePassword(t.Context(), "new"); err == nil {
			t.Fatal("no error")
		}
		open(t, st)
	}
}

func TestDocuments(t *testing.T) {
	type note struct {
		Text string `json:"text"`
	}
	st := mem.New()
	r := create(t, st)
	want := note{Text: strings.Repeat("病历 ", 10_000)}
	id, err := r.SaveUnpacked(t.Context(), storage.Snapshot, want)
	if err != nil {
		t.Fatal(err)
	}
	name := storage.Name{Kind: storage.Snapshot, ID: id.String()}
	whole := load(t, st, name)
	if len(whole) > 1000 {
		t.Errorf("stored in %d bytes, want it compressed", len(whole))
	}
	var got note
	if err := r.LoadUnpacked(t.Context(), storage.Snapshot, id.String(), &got); err != nil || got != want {
		t.Errorf("got %d bytes, %v; want %d", len(got.Text), err, len(want.Text))
	}
	for bit := range len(whole) * 8 {
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		st.Put(name, bad)
		if err := r.LoadUnpacked(t.Context(), storage.Snapshot, id.String(), &got); !errors.Is(err, backup.ErrDamaged) {
			t.Fatalf("bit %d flipped: got %v, want ErrDamaged", bit, err)
		}
	}
	for n := range whole {
		st.Put(name, whole[:n])
		if err := r.LoadUnpacked(t.Context(), storage.Snapshot, id.String(), &got); !errors.Is(err, backup.ErrDamaged) ||
			!strings.Contains(err.Error(), name.String()) {
			t.Fatalf("cut to %d bytes: got %v, want ErrDamaged naming it", n, err)
		}
	}
	err = r.LoadUnpacked(t.Context(), storage.Snapshot, strings.Repeat("0", 64), &got)
	if !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
