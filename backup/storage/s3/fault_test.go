package s3_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"testing"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

// behind gives a bucket behind a proxy.
func behind(t *testing.T) (*s3.Storage, *s3test.Proxy) {
	t.Helper()
	settings := s3test.Shared(t).Settings(t)
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	return s3test.Open(t, settings), proxy
}

// What a save that met a fault says, and whether the document is there then.
func TestSaveMeets(t *testing.T) {
	for _, tt := range []struct {
		fault       s3test.Fault
		fails, kept bool
		throttled   bool
	}{
		{s3test.SlowDown, true, false, true},
		{s3test.Cut, true, false, false},
		{s3test.Torn, true, false, false},
		{s3test.Lost, true, true, false},
		{s3test.Twice, false, true, false},
		{s3test.Slow, false, true, false},
		{s3test.None, false, true, false},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			s, proxy := behind(t)
			data := noise(100_000)
			name := storagetest.Document(storage.Pack, data)
			proxy.Program(s3test.Rule{Fault: tt.fault, Method: http.MethodPut, Times: 1})
			err := s.Save(t.Context(), name, data)
			if (err != nil) != tt.fails || errors.Is(err, storage.ErrPermanent) {
				t.Errorf("save: got %v, want failure %v, and one that passes", err, tt.fails)
			}
			var slow *storage.Throttled
			if errors.As(err, &slow) != tt.throttled {
				t.Errorf("save: got %v, want throttled %v", err, tt.throttled)
			}
			if _, err := s.Stat(t.Context(), name); (err == nil) != tt.kept || err != nil && !errors.Is(err, backup.ErrNotFound) {
				t.Errorf("stat: got %v, want it kept %v", err, tt.kept)
			}
			if err := s.Save(t.Context(), name, data); err != nil {
				t.Errorf("save again: %v", err)
			}
			if got, err := s.Load(t.Context(), name, nil, 0, -1); err != nil || !bytes.Equal(got, data) {
				t.Errorf("load: got %d bytes, %v", len(got), err)
			}
			if tt.fault != s3test.None && proxy.Met(tt.fault) != 1 {
				t.Errorf("%d requests met the fault, want 1", proxy.Met(tt.fault))
			}
		})
	}
}

func TestLoadMeets(t *testing.T) {
	s, proxy := behind(t)
	data := noise(100_000)
	name := storagetest.Document(storage.Pack, data)
	for _, fault := range []s3test.Fault{s3test.SlowDown, s3test.Cut, s3test.CutBody, s3test.Lost} {
		if err := s.Save(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		proxy.Program(s3test.Rule{Fault: fault, Method: http.MethodGet, Times: 1})
		got, err := s.Load(t.Context(), name, nil, 10, 50_000)
		if err == nil || errors.Is(err, storage.ErrPermanent) || errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: got %d bytes, %v; want an error that passes", fault, len(got), err)
		}
		if got, err := s.Load(t.Context(), name, nil, 10, 50_000); err != nil || !bytes.Equal(got, data[10:50_010]) {
			t.Errorf("%s, again: got %d bytes, %v", fault, len(got), err)
		}
	}
}

// The proxy's own lies, which only those above can notice.
func TestProxyLies(t *testing.T) {
	s, proxy := behind(t)
	data := noise(100_000)
	name := storagetest.Document(storage.Pack, data)
	differ := func(what string, offset, length int64, want int) {
		t.Helper()
		got, err := s.Load(t.Context(), name, nil, offset, length)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for i := range got {
			if got[i] != data[int(offset)+i] {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d bytes differ, want %d", what, n, want)
		}
	}
	saved := func() {
		t.Helper()
		if err := s.Save(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	saved()
	proxy.Program(s3test.Rule{Fault: s3test.WrongBack, Method: http.MethodGet, Times: 1})
	differ("wrong back", 0, -1, 1)
	differ("right afterwards", 0, -1, 0)
	proxy.Program(s3test.Rule{Fault: s3test.WrongStore, Method: http.MethodPut, Times: 1})
	saved()
	differ("wrong stored", 0, -1, 1)
	differ("wrong stored, read again", 0, -1, 1)
	differ("the part before", 0, 33_333, 0)
	differ("the part with it", 33_000, 1000, 1)
	differ("the part behind", 33_334, -1, 0)
	saved()
	differ("written anew", 0, -1, 0)

	before := list(t, s, storage.Pack)
	if err := s.Remove(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	proxy.Program(s3test.Rule{Fault: s3test.Stale, Times: 1})
	if got := list(t, s, storage.Pack); !slices.Equal(got, before) {
		t.Errorf("stale: got %v, want %v", got, before)
	}
	if got := list(t, s, storage.Pack); len(got) != 0 {
		t.Errorf("after the stale listing: got %v", got)
	}
	if n := proxy.Requests(http.MethodPut); n != 3 {
		t.Errorf("%d uploads were counted, want 3", n)
	}
}

func TestProxyRandomIsRepeatable(t *testing.T) {
	t.Parallel()
	met := func(seed uint64) (outcome []bool) {
		s, proxy := behind(t)
		proxy.Random(seed, 0.5, s3test.Cut)
		for i := range 8 {
			outcome = append(outcome, s.Save(t.Context(), storagetest.Document(storage.Pack, []byte{byte(i)}), []byte{byte(i)}) == nil)
		}
		proxy.Calm()
		if err := s.Save(t.Context(), document, []byte("x")); err != nil {
			t.Errorf("a calm proxy: %v", err)
		}
		return outcome
	}
	first := met(7)
	if again := met(7); !slices.Equal(first, again) {
		t.Errorf("one seed, two runs: %v and %v", first, again)
	}
	if other := met(8); slices.Equal(first, other) {
		t.Errorf("two seeds, one run: %v", first)
	}
}
