package pattern

import (
	"errors"
	"strings"
	"testing"

	"emrvault/backup"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patterns []string
		path     string
		want     bool
	}{
		{"ending anywhere", []string{"*.tmp"}, "/srv/a/x.tmp", true},
		{"below a match", []string{"cache"}, "/srv/cache/a/b", true},
		{"not in the middle of a name", []string{"cache"}, "/srv/mycache", false},
		{"two components anywhere", []string{"a/b"}, "/x/a/b/c", true},
		{"two components in order", []string{"b/a"}, "/x/a/b/c", false},
		{"rooted", []string{"/srv/a"}, "/srv/a/b", true},
		{"rooted elsewhere", []string{"/a"}, "/srv/a", false},
		{"longer than the path", []string{"/srv/a/b"}, "/srv/a", false},
		{"star in the middle", []string{"/srv/*/log"}, "/srv/x/log", true},
		{"star is one component", []string{"/srv/*/log"}, "/srv/x/y/log", false},
		{"any depth", []string{"/srv/**/log"}, "/srv/x/y/log/a", true},
		{"any depth may be none", []string{"/srv/**/log"}, "/srv/log", true},
		{"any depth twice", []string{"/a/**/b/**/c"}, "/a/1/2/b/3/c", true},
		{"any depth at the end", []string{"/a/**"}, "/a/b", true},
		{"any depth at the end may be none, as with restic", []string{"/a/**"}, "/a", true},
		{"character class", []string{"log.[0-9]"}, "/v/log.7", true},
		{"question mark", []string{"l?g"}, "/v/log", true},
		{"taken back", []string{"*.tmp", "!keep.tmp"}, "/a/keep.tmp", false},
		{"taken back and chosen again", []string{"*.tmp", "!keep.tmp", "/a"}, "/a/keep.tmp", true},
		{"trailing slash", []string{"cache/"}, "/srv/cache", true},
		{"Chinese", []string{"*归档*"}, "/srv/2019归档/x", true},
		{"everything", []string{"/"}, "/srv", true},
		{"blank patterns count for nothing", []string{"", "  "}, "/srv", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse(tt.patterns)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := l.Match(tt.path); got != tt.want {
				t.Errorf("Match(%q, %q): got %v, want %v", tt.patterns, tt.path, got, tt.want)
			}
		})
	}
}

func TestMayMatchBelow(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, path string
		want                bool
	}{
		{"on the way", "/srv/a/b", "/srv/a", true},
		{"root", "/srv/a", "/", true},
		{"another way", "/srv/a/b", "/srv/x", false},
		{"anywhere", "*.xml", "/srv/x", true},
		{"any depth", "/srv/**/b", "/srv/x/y", true},
		{"below a match", "/srv", "/srv/x", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse([]string{tt.pattern})
			if err != nil {
				t.Fatal(err)
			}
			if _, got := l.Match(tt.path); got != tt.want {
				t.Errorf("below %q for %q: got %v, want %v", tt.path, tt.pattern, got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"a[", "/srv/[", "../x", "!", "a/../b"} {
		if _, err := Parse([]string{text}); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("Parse(%q): got %v, want an error that says invalid", text, err)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("/a/**/b*", "/a/x/b1")
	f.Add("!x", "x")
	f.Fuzz(func(t *testing.T, text, path string) {
		l, err := Parse([]string{text})
		if err != nil || len(path) > 200 || len(text) > 60 {
			return
		}
		matched, _ := l.Match(path)
		if deeper, _ := l.Match(path + "/z"); matched && !deeper {
			t.Fatalf("%q covers %q but not what is below", text, path)
		}
	})
}

func TestFold(t *testing.T) {
	l, err := ParseFold([]string{"*.TMP", "!Keep.tmp"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"/a/b.tmp": true, "/a/B.Tmp": true, "/a/KEEP.TMP": false, "/a/b.xml": false} {
		if got, _ := l.Match(name); got != want {
			t.Errorf("Match(%q): got %v, want %v", name, got, want)
		}
	}
}

// A folder's matcher says what the whole list says of each path.
func FuzzIn(f *testing.F) {
	f.Add("/a/**/b*", "/a/x", "b1")
	f.Add("!k", "/", "k")
	f.Fuzz(func(t *testing.T, text, dir, name string) {
		if strings.Contains(name, "/") || name == "" {
			return
		}
		for _, parse := range []func([]string) (List, error){Parse, ParseFold} {
			l, err := parse([]string{"*.tmp", text})
			if err != nil {
				return
			}
			in := l.In(dir)
			want, _ := l.Match(dir + "/" + name)
			if got := in.Match(name); got != want {
				t.Errorf("%q in %q: got %v, want %v", name, dir, got, want)
			}
		}
	})
}
