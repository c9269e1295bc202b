package restore

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unescape undoes escape.
func unescape(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && hexAt(name, i+1) && hexAt(name, i+2) {
			c, err := hex.DecodeString(name[i+1 : i+3])
			if err != nil {
				panic(err) // both are digits
			}
			b.WriteByte(c[0])
			i += 2
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func TestNamesForWindows(t *testing.T) {
	t.Parallel()
	m := newNamer(true)
	for _, tt := range []struct{ name, want string }{
		{"患者 张三.xml", "患者 张三.xml"},
		{"a:b", "a%3Ab"},
		{`<>"|?*\`, "%3C%3E%22%7C%3F%2A%5C"},
		{"new\nline", "new%0Aline"},
		{"bad\xff", "bad%FF"},
		{"dot.", "dot%2E"},
		{"dots..", "dots.%2E"},
		{"space ", "space%20"},
		{"con", "%63on"},
		{"CON .txt", "%43ON .txt"},
		{"com1.log", "%63om1.log"},
		{"com¹", "%63om¹"},
		{"com10", "com10"},
		{"console", "console"},
		{"50%25", "50%2525"},
		{"50%", "50%"},
		{"README", "README"},
		{"Readme", "%52eadme"},
		{"readme", "%72eadme"},
		{"ReadMe", "%52%65adMe"},
	} {
		if got := m.name(tt.name); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.name, got, tt.want)
		}
		if got := unescape(tt.want); got != tt.name {
			t.Errorf("%q undone: got %q, want %q", tt.want, got, tt.name)
		}
	}
	if got := newNamer(false).name("con:"); got != "con:" {
		t.Errorf("where every name is good: got %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, name := range []string{"con", "a:b ", "50%25", "\xff.", "com¹.x"} {
		f.Add(name, 1)
	}
	f.Fuzz(func(t *testing.T, name string, first int) {
		got := escape(name, first%(len(name)+1))
		if back := unescape(got); back != name {
			t.Errorf("%q became %q, undone %q", name, got, back)
		}
		if device(got) || strings.ContainsAny(got, `<>:"/\|?*`) || strings.HasSuffix(got, ".") || strings.HasSuffix(got, " ") {
			t.Errorf("%q became %q, which Windows does not take", name, got)
		}
	})
}

func TestStretch(t *testing.T) {
	t.Parallel()
	data := make([]byte, 5*hole)
	data[hole+3] = 1
	if blank, n := stretch(data, 0); !blank || n != hole {
		t.Errorf("the blank beginning: got %v, %d", blank, n)
	}
	if blank, n := stretch(data[100:], 100); !blank || n != hole-100 {
		t.Errorf("from within a block: got %v, %d", blank, n)
	}
	if blank, n := stretch(data[hole:], hole); blank || n != hole {
		t.Errorf("the block that is not blank: got %v, %d", blank, n)
	}
	if blank, n := stretch(data[2*hole:], 2*hole); !blank || n != 3*hole {
		t.Errorf("the blank rest: got %v, %d", blank, n)
	}
}

// On a target that takes capital and small letters for the same, a file stands
// there as it was called when it was made.
func TestNamesThatStay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		folds bool
		want  string
	}{{false, "[README]"}, {true, "[]"}} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		keep, got := names{map[string]bool{}, tt.folds}, []string{}
		keep.add("readme")
		err = strangers(root, &folder{label: "/"}, keep, choice{all: true}, func(name string) error {
			got = append(got, name)
			return nil
		})
		if fmt.Sprint(got) != tt.want || err != nil || root.Close() != nil {
			t.Errorf("folds %v: got %v, %v to be deleted, want %s", tt.folds, got, err, tt.want)
		}
	}
}

func TestGrain(t *testing.T) {
	t.Parallel()
	want := time.Date(2001, 2, 3, 4, 5, 7, 123456789, time.UTC)
	for _, g := range []time.Duration{100 * time.Nanosecond, time.Microsecond, time.Second, 2 * time.Second} {
		if got := grainOf(want, want.Truncate(g)); got != g {
			t.Errorf("got %v, want %v", got, g)
		}
	}
}
