package recovery

import (
	"mime"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for name, c := range map[string]struct{ name, want string }{
		"plain":            {"首次病程记录.xml", "首次病程记录.xml"},
		"spaces stay":      {"a b\u3000c", "a b\u3000c"},
		"a line end":       {"a\nb", `a\u{a}b`},
		"turned direction": {"报告\u202egnp.exe", `报告\u{202e}gnp.exe`},
		"invisible":        {"a\u200bb\u00ad", `a\u{200b}b\u{ad}`},
		"no UTF-8":         {"a\xff", `a\xff`},
		"a real U+FFFD":    {"a\uFFFD", "a\uFFFD"},
		"empty":            {"", ""},
	} {
		if got := printable(c.name); got != c.want {
			t.Errorf("%s: printable(%q) = %q, want %q", name, c.name, got, c.want)
		}
	}
}

func TestDisposition(t *testing.T) {
	for name, want := range map[string]string{
		"report.pdf":    `attachment; filename="report.pdf"; filename*=UTF-8''report.pdf`,
		"入院记录.xml":      `attachment; filename="____.xml"; filename*=UTF-8''%E5%85%A5%E9%99%A2%E8%AE%B0%E5%BD%95.xml`,
		"病历":            `attachment; filename="download"; filename*=UTF-8''%E7%97%85%E5%8E%86`,
		`a"b\c;d.txt`:   `attachment; filename="a_b_c_d.txt"; filename*=UTF-8''a%22b%5Cc%3Bd.txt`,
		"a\r\nSet: x":   `attachment; filename="a__Set_ x"; filename*=UTF-8''a%0D%0ASet%3A%20x`,
		"a\xff.txt":     `attachment; filename="a_.txt"; filename*=UTF-8''a%EF%BF%BD.txt`,
		"../etc/passwd": `attachment; filename=".._etc_passwd"; filename*=UTF-8''..%2Fetc%2Fpasswd`,
	} {
		if got := disposition(name); got != want {
			t.Errorf("disposition(%q) =\n%s, want\n%s", name, got, want)
		}
	}
}

func TestLiteral(t *testing.T) {
	for _, name := range []string{"/a/b.txt", "/x[1]*?.txt", `/back\slash`, "/[", "/a]b", "/*"} {
		ok, err := path.Match(literal(name), name)
		if err != nil || !ok {
			t.Errorf("the pattern of %q does not match it: %v, %v", name, ok, err)
		}
	}
	if ok, _ := path.Match(literal("/x*"), "/xy"); ok {
		t.Error("a star in a name still means anything")
	}
}

// FuzzNames: whatever the name, it is shown on one line, its header is one a
// browser reads, and its pattern is one the engine takes.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"a.txt", "两\n行", "\xff\xfe", "\u202e", `"`, "x[*]?", "%41"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if shown := printable(name); !utf8.ValidString(shown) || strings.ContainsAny(shown, "\n\r\u202e\u2028") {
			t.Errorf("%q is shown as %q", name, shown)
		}
		_, params, err := mime.ParseMediaType(disposition(name))
		if err != nil {
			t.Fatalf("%q: %v in %s", name, err, disposition(name))
		}
		if got := params["filename"]; name != "" && utf8.ValidString(name) && got != name {
			t.Errorf("%q comes out as %q", name, got)
		}
		if _, err := path.Match(literal(name), ""); err != nil {
			t.Errorf("the pattern of %q: %v", name, err)
		}
		if back, err := url.QueryUnescape(url.QueryEscape(name)); err != nil || back != name {
			t.Errorf("%q comes back as %q, %v", name, back, err)
		}
	})
}
