package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// vector is a document that restic wrote.
type vector struct{ Kind, ID, JSON string }

func vectors(t testing.TB, kind string) []vector {
	t.Helper()
	f, err := os.Open("testdata/restic.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // only read
	var out []vector
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Kind == kind {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no vectors of kind %s", kind)
	}
	return out
}

func TestTreesOfResticKeepTheirIDs(t *testing.T) {
	for _, v := range vectors(t, "tree") {
		tree, err := DecodeTree([]byte(v.JSON))
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		data, err := tree.Encode()
		if err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		if got := blob.Hash(data).String(); got != v.ID {
			t.Errorf("id: got %s, want %s\n got  %s want %s", got, v.ID, data, v.JSON)
		}
	}
}

func TestSnapshotsOfResticStayAsTheyAre(t *testing.T) {
	for _, v := range vectors(t, "snapshot") {
		var s Snapshot
		if err := json.Unmarshal([]byte(v.JSON), &s); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		if string(data) != v.JSON {
			t.Errorf("snapshot:\n got  %s\n want %s", data, v.JSON)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, raw, stored string }{
		{"plain", "a.txt", "a.txt"},
		{"Chinese", "病程.xml", "病程.xml"},
		{"full-width space", "a\u3000b", `a\u3000b`},
		{"no-break space", "a\u00a0b", `a\u00a0b`},
		{"quote", `a"b`, `a\"b`},
		{"backslash", `a\b`, `a\\b`},
		{"newline", "a\nb", `a\nb`},
		{"not UTF-8", "bad\xff\x01name", `bad\xff\x01name`},
		{"replacement sign", "a\ufffdb", "a\ufffdb"},
		{"html", "<&>", "<&>"},
		{"emoji", "😀", "😀"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := escapeName(tt.raw); got != tt.stored {
				t.Errorf("escape: got %q, want %q", got, tt.stored)
			}
			got, err := unescapeName(tt.stored)
			if err != nil || got != tt.raw {
				t.Errorf("unescape: got %q, %v, want %q", got, err, tt.raw)
			}
		})
	}
}

// plainNode is a node as Go's own encoder would write it: the oracle.
type plainNode struct {
	Name       string                     `json:"name"`
	Type       string                     `json:"type"`
	Mode       uint32                     `json:"mode,omitempty"`
	ModTime    time.Time                  `json:"mtime"`
	AccessTime time.Time                  `json:"atime"`
	ChangeTime time.Time                  `json:"ctime"`
	UID        uint32                     `json:"uid"`
	GID        uint32                     `json:"gid"`
	User       string                     `json:"user,omitempty"`
	Group      string                     `json:"group,omitempty"`
	Inode      uint64                     `json:"inode,omitempty"`
	DeviceID   uint64                     `json:"device_id,omitempty"`
	Size       uint64                     `json:"size,omitempty"`
	Links      uint64                     `json:"links,omitempty"`
	Target     string                     `json:"linktarget,omitempty"`
	TargetRaw  []byte                     `json:"linktarget_raw,omitempty"`
	Xattrs     []Xattr                    `json:"extended_attributes,omitempty"`
	Generic    map[string]json.RawMessage `json:"generic_attributes,omitempty"`
	Device     uint64                     `json:"device,omitempty"`
	Content    []blob.ID                  `json:"content"`
	Subtree    *blob.ID                   `json:"subtree,omitempty"`
	Error      string                     `json:"error,omitempty"`
}

func oracle(t testing.TB, n *Node) string {
	t.Helper()
	quoted := strconv.Quote(n.Name)
	p := plainNode{
		Name: quoted[1 : len(quoted)-1], Type: string(n.Type), Mode: uint32(n.Mode),
		ModTime: n.ModTime, AccessTime: n.AccessTime, ChangeTime: n.ChangeTime, UID: n.UID, GID: n.GID,
		User: n.User, Group: n.Group, Inode: n.Inode, DeviceID: n.DeviceID, Size: n.Size, Links: n.Links,
		Target: n.LinkTarget, Xattrs: n.Xattrs, Generic: n.Generic, Device: n.Device, Content: n.Content, Error: n.Error,
	}
	if strings.ToValidUTF8(n.LinkTarget, "") != n.LinkTarget {
		p.TargetRaw = []byte(n.LinkTarget)
	}
	if !n.Subtree.IsZero() {
		p.Subtree = &n.Subtree
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func anyNode(t *rapid.T) *Node {
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	moment := func(label string) time.Time {
		zone := time.FixedZone("", 900*rapid.IntRange(-48, 56).Draw(t, label+" zone"))
		return time.Unix(rapid.Int64Range(-60e9, 250e9).Draw(t, label), rapid.Int64Range(0, 999999999).Draw(t, label+" ns")).In(zone)
	}
	id := rapid.Custom(func(t *rapid.T) blob.ID {
		return blob.Hash(rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "seed"))
	})
	n := &Node{
		Name: text.Filter(func(s string) bool { return (&Node{Name: s}).CheckName() == nil }).Draw(t, "name"),
		Type: rapid.SampledFrom([]NodeType{File, Dir, Symlink, Device, Fifo}).Draw(t, "type"),
		Mode: fs.FileMode(rapid.Uint32().Draw(t, "mode")), ModTime: moment("mtime"), UID: rapid.Uint32().Draw(t, "uid"),
		User: strings.ToValidUTF8(text.Draw(t, "user"), "?"), Inode: rapid.Uint64().Draw(t, "inode"), Size: rapid.Uint64().Draw(t, "size"),
		LinkTarget: text.Draw(t, "target"), Device: rapid.Uint64().Draw(t, "device"),
	}
	n.AccessTime, n.ChangeTime = n.ModTime, moment("ctime")
	switch n.Type {
	case File:
		n.Content = append([]blob.ID{}, rapid.SliceOfN(id, 0, 3).Draw(t, "content")...)
	case Dir:
		n.Subtree = id.Draw(t, "subtree")
	case Symlink, Device, CharDevice, Fifo, Socket:
	}
	for range rapid.IntRange(0, 2).Draw(t, "attributes") {
		n.Xattrs = append(n.Xattrs, Xattr{Name: "user." + strings.ToValidUTF8(text.Draw(t, "attribute"), "?"), Value: rapid.SliceOfN(rapid.Byte(), 1, 5).Draw(t, "value")})
	}
	return n
}

func TestNodesAsGosEncoderWritesThem(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := anyNode(r)
		got, err := appendNode(nil, n)
		if err != nil {
			r.Fatal(err)
		}
		if want := oracle(t, n); string(got) != want {
			r.Fatalf("encode:\n got  %s\n want %s", got, want)
		}
		tree, err := DecodeTree([]byte(`{"nodes":[` + string(got) + "]}\n"))
		if err != nil {
			r.Fatal(err)
		}
		again, err := tree.Encode()
		if err != nil {
			r.Fatal(err)
		}
		if want := `{"nodes":[` + string(got) + "]}\n"; string(again) != want {
			r.Fatalf("decode and encode:\n got  %s\n want %s", again, want)
		}
		if back := tree.Nodes[0]; back.Name != n.Name || back.LinkTarget != n.LinkTarget {
			r.Fatalf("got name %q and target %q, want %q and %q", back.Name, back.LinkTarget, n.Name, n.LinkTarget)
		}
	})
}

func TestBuilderWantsAscendingNames(t *testing.T) {
	for _, tt := range []struct {
		name  string
		names []string
		fails bool
	}{
		{"ascending bytes", []string{"B", "a", "a.b", "a\x00b"[:2] + "c", "é", "\xff"}, true},
		{"ascending", []string{"B", "a", "a.b", "ab", "é", "\xff"}, false},
		{"twice", []string{"a", "a"}, true},
		{"descending", []string{"b", "a"}, true},
		{"parent folder", []string{".."}, true},
		{"slash", []string{"a/b"}, true},
		{"empty", []string{""}, true},
		{"NUL", []string{"a\x00"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b Builder
			var err error
			for _, name := range tt.names {
				err = errors.Join(err, b.Add(&Node{Name: name, Type: Dir}))
			}
			if (err != nil) != tt.fails {
				t.Errorf("got error %v, want one: %v", err, tt.fails)
			}
		})
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""}, {"no object", "[]"}, {"no nodes", "{}"}, {"cut", `{"nodes":[{"name":"a"`},
		{"bytes behind", `{"nodes":[]}x`}, {"comma at the end", `{"nodes":[{"name":"a"},]}`}, {"no comma", `{"nodes":[{}{}]}`},
		{"short id", `{"nodes":[{"content":["00"]}]}`}, {"name does not unquote", `{"nodes":[{"name":"a\\q"}]}`},
		{"name with a bare quote", `{"nodes":[{"name":"a\"b"}]}`}, {"negative size", `{"nodes":[{"size":-1}]}`},
		{"size too large", `{"nodes":[{"size":18446744073709551616}]}`}, {"mode too large", `{"nodes":[{"mode":4294967296}]}`},
		{"no time", `{"nodes":[{"mtime":"yesterday"}]}`}, {"nodes twice nested", `{"nodes":[[]]}`},
		{"unknown value broken", `{"nodes":[{"x":{"a":]}}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tree, err := DecodeTree([]byte(tt.text)); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("got %v, %v, want an error that says damaged", tree, err)
			}
		})
	}
}

func TestDecoderTolerates(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		nodes      int
	}{
		{"empty", "{\"nodes\":[]}\n", 0}, {"null", `{"nodes":null}`, 0},
		{"unknown before and after", ` { "x" : {"nodes":[1,"]}"]}, "nodes" : [ { "name" : "a" , "new":[{"b":"}"}] } ] , "y":1e5 } `, 1},
		{"null everywhere", `{"nodes":[{"name":"a","content":null,"subtree":null,"user":null,"size":null,"mtime":null}]}`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree, err := DecodeTree([]byte(tt.text))
			if err != nil || len(tree.Nodes) != tt.nodes {
				t.Errorf("got %+v, %v, want %d nodes", tree, err, tt.nodes)
			}
		})
	}
}

// A hostile tree must cost no more than its bytes: nested values are counted,
// not descended into.
func TestDecoderTakesDeepNestingLightly(t *testing.T) {
	deep := `{"x":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `,"nodes":[]}`
	if _, err := DecodeTree([]byte(deep)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %v, want an error that says damaged", err)
	}
}

func TestClamp(t *testing.T) {
	for _, tt := range []struct{ year, want int }{{-5, 0}, {0, 0}, {2026, 2026}, {9999, 9999}, {12000, 9999}} {
		if got := Clamp(time.Date(tt.year, 3, 4, 5, 6, 7, 8, time.UTC)).Year(); got != tt.want {
			t.Errorf("Clamp(year %d): got %d, want %d", tt.year, got, tt.want)
		}
	}
}

func FuzzTree(f *testing.F) {
	for _, v := range vectors(f, "tree") {
		f.Add([]byte(v.JSON))
	}
	f.Add([]byte(`{"nodes":[{"name":"a\\xff","linktarget_raw":"AA==","generic_attributes":{"x":1},"extended_attributes":[{"name":"n"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		d := NewDecoder(data)
		for {
			var n Node
			err := d.Next(&n)
			if errors.Is(err, io.EOF) {
				if !json.Valid(data) {
					t.Fatalf("took what is no JSON: %q", data)
				}
				break
			}
			if err != nil {
				break
			}
			if n.CheckName() != nil || n.ModTime.Year() > 9999 {
				continue
			}
			text, err := appendNode(nil, &n)
			if err != nil {
				continue
			}
			if !json.Valid(text) {
				t.Fatalf("wrote what is no JSON: %q", text)
			}
			again, err := DecodeTree([]byte(`{"nodes":[` + string(text) + `]}`))
			if err != nil || again.Nodes[0].Name != n.Name {
				t.Fatalf("does not read what it wrote: %v\n%s", err, text)
			}
		}
		if !bytes.Equal(before, data) {
			t.Fatal("the decoder changed its input")
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	for _, v := range vectors(f, "snapshot") {
		f.Add([]byte(v.JSON))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Snapshot
		if json.Unmarshal(data, &s) != nil {
			return
		}
		_ = s.Short() // must not panic for any id
		if _, err := json.Marshal(&s); err != nil && s.Time.Year() <= 9999 && (s.Summary == nil) {
			t.Fatal(err)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("a\\xffb")
	f.Add("a\u3000b")
	f.Fuzz(func(t *testing.T, name string) {
		back, err := unescapeName(escapeName(name))
		if err != nil || back != name {
			t.Fatalf("got %q, %v, want %q", back, err, name)
		}
		if quoted := strconv.Quote(name); escapeName(name) != quoted[1:len(quoted)-1] {
			t.Fatalf("got %q, want %s", escapeName(name), quoted)
		}
	})
}
