package blob_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

func TestHashKnownAnswers(t *testing.T) {
	tests := []struct {
		name  string
		plain []byte
		want  string
	}{
		{"a line", []byte("hello world\n"), "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"},
		{"512 KiB of zeros", make([]byte, 512<<10), "07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := blob.Hash(tt.plain).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestParseID(t *testing.T) {
	good := strings.Repeat("0123456789abcdef", 4)
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"64 digits", good, true},
		{"empty", "", false},
		{"one digit short", good[1:], false},
		{"one digit long", good + "0", false},
		{"upper case", strings.ToUpper(good), false},
		{"not hex", "g" + good[1:], false},
		{"a path", "../" + good[3:], false},
		{"high byte", "\xff" + good[1:], false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := blob.ParseID(tt.text)
			switch {
			case tt.ok && (err != nil || id.String() != tt.text):
				t.Errorf("got %s, %v; want the same text", id, err)
			case !tt.ok && !errors.Is(err, backup.ErrInvalid):
				t.Errorf("got %v, want ErrInvalid", err)
			}
		})
	}
}

func TestHandleJSON(t *testing.T) {
	h := blob.TreeHandle(blob.Hash([]byte("x")))
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var got blob.Handle
	if err := json.Unmarshal(text, &got); err != nil || got != h {
		t.Errorf("got %v, %v; want %v from %s", got, err, h, text)
	}
	if err := json.Unmarshal([]byte(`{"Type":"pork"}`), &got); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("unknown type: got %v, want ErrInvalid", err)
	}
}

func TestSet(t *testing.T) {
	id := blob.Hash([]byte("same bytes"))
	s := blob.NewSet(blob.DataHandle(id))
	if s.Add(blob.DataHandle(id)) {
		t.Error("adding twice: got new, want known")
	}
	if s.Has(blob.TreeHandle(id)) {
		t.Error("a tree of the same bytes must be another blob")
	}
	if !s.Add(blob.TreeHandle(id)) || s.Len() != 2 {
		t.Errorf("got %d members, want 2", s.Len())
	}
	count := 0
	for h := range s.All() {
		count++
		if !s.Has(h) {
			t.Errorf("%s is listed but not in the set", h)
		}
	}
	if count != 2 {
		t.Errorf("All visited %d, want 2", count)
	}
}
