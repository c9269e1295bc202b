package snapshot

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Attributes whose names are not UTF-8 come back as they were, and others do
// not notice them.
func TestXattrNamesThatAreNotUTF8(t *testing.T) {
	system := map[string]json.RawMessage{WindowsFileAttributes: json.RawMessage("32")}
	tests := []struct {
		name    string
		xattrs  []Xattr
		generic map[string]json.RawMessage
		has     string // in the tree
		not     string
	}{
		{"usual", []Xattr{{"user.a", []byte("1")}}, nil, `"extended_attributes":[{"name":"user.a"`, rawXattrs},
		{"only one", []Xattr{{"user.\xff", []byte("1")}}, nil, `"generic_attributes":{"linux.xattrs_raw":[{"name":"dXNlci7/"`, "extended_attributes"},
		{"mixed", []Xattr{{"user.a", nil}, {"user.b", []byte{0}}, {"user.\xc3\x28", []byte("2")}, {"user.\xff", nil}}, nil, `{"name":"user.b","value":"AA=="}]`, "\ufffd"},
		{"beside those of a system", []Xattr{{"user.\xff", []byte("1")}}, system, `"windows.file_attributes":32`, "\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			moment := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
			n := &Node{Name: "f", Type: Symlink, Xattrs: tt.xattrs, Generic: tt.generic, ModTime: moment, AccessTime: moment, ChangeTime: moment}
			var b Builder
			if err := b.Add(n); err != nil {
				t.Fatal(err)
			}
			text := string(b.Bytes())
			if !strings.Contains(text, tt.has) || strings.Contains(text, tt.not) {
				t.Errorf("got %s, want %q and no %q", text, tt.has, tt.not)
			}
			got := &Node{}
			if err := NewDecoder([]byte(text)).Next(got); err != nil {
				t.Fatal(err)
			}
			if len(got.Xattrs) != len(tt.xattrs) || !reflect.DeepEqual(got.Generic, tt.generic) {
				t.Fatalf("got %q and %s, want %q and %s", got.Xattrs, got.Generic, tt.xattrs, tt.generic)
			}
			for i, want := range tt.xattrs {
				if x := got.Xattrs[i]; x.Name != want.Name || string(x.Value) != string(want.Value) {
					t.Errorf("got %q, want %q", x, want)
				}
			}
		})
	}
}

// Every moment a file system can hold comes back, whatever the zone.
func TestMomentsFarAway(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	for _, moment := range []time.Time{
		time.Date(1900, 2, 3, 4, 5, 6, 7, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(2263, 1, 1, 0, 0, 0, 999_999_999, time.UTC),
		time.Date(2446, 5, 10, 22, 38, 55, 0, time.UTC),
		time.Date(9999, 12, 31, 15, 59, 59, 999_999_999, time.UTC),
	} {
		text, err := appendTime(nil, moment.In(shanghai))
		if err != nil {
			t.Errorf("%v: %v", moment, err)
			continue
		}
		var back time.Time
		if err := json.Unmarshal(text, &back); err != nil || !back.Equal(moment) {
			t.Errorf("%v came back as %v, %v", moment, back, err)
		}
	}
}
