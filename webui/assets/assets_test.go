package assets

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// eachFile calls fn for every embedded file below a folder.
func eachFile(t *testing.T, dir string, fn func(name, text string)) {
	t.Helper()
	err := fs.WalkDir(files, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		fn(name, string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFloor holds our own style and script to what Chromium 86 understands.
func TestFloor(t *testing.T) {
	tooNew := map[string][]string{
		".css": {
			`:is\(`, `:where\(`, `:has\(`, `[;{\s]inset\s*:`, `aspect-ratio`, `color-mix\(`, `@container`, `container-type`, `@layer`,
			`&[\s:.>\[]`, `subgrid`, `\d(dvh|svh|lvh)`, `oklch\(`, `@property`, `(margin|padding|inset)-(inline|block)\s*:`, `text-wrap`,
		},
		".js": {
			`\.at\(`, `\.findLast`, `\.replaceChildren\(`, `structuredClone`, `Object\.hasOwn`, `\.toSorted\(`, `\.groupBy`, `#[a-z]+\s*[=(;]`,
			`\beval\(`, `new Function`, `\binnerHTML\b`, `document\.write`, `crypto\.randomUUID`, `https?://`,
		},
	}
	eachFile(t, "static", func(name, text string) {
		if strings.HasPrefix(name, "static/vendor/") {
			return
		}
		text = regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(text, "")
		for _, pattern := range tooNew[path.Ext(name)] {
			if at := regexp.MustCompile(pattern).FindString(text); at != "" {
				t.Errorf("%s contains %q (%s), which the floor does not have or the pages do not allow", name, at, pattern)
			}
		}
	})
}

// TestTemplates keeps out of the templates what the content policy or our
// configuration of htmx would silently ignore.
func TestTemplates(t *testing.T) {
	forbidden := map[string]string{
		`hx-on`:                               "handlers in attributes are switched off",
		`(?i)\bstyle\s*=`:                     "the content policy refuses style attributes",
		`(?i)<style`:                          "the content policy refuses style elements",
		`(?i)\bon[a-z]+\s*=\s*"`:              "the content policy refuses inline handlers",
		`hx-(vals|headers)=['"]js:`:           "htmx would send the request without the values",
		`(?i)javascript:`:                     "the content policy refuses it",
		`hx-trigger="[^"]*\[`:                 "htmx would send the request without the filter",
		`(?i)(src|href|action)="(https?:)?//`: "no page asks another machine for anything",
		`<script(>|\s+>|\s+[^s])`:             "the content policy refuses inline scripts",
		`data:(image|text|font)/`:             "the content policy refuses data addresses",
		`(?i)<(iframe|object|embed|base)\b`:   "not in these pages",
		`safeHTML|template\.HTML`:             "markup is made by templates and by package chart only",
		`[\x{4e00}-\x{9fff}]{2,}`:             "texts belong to appliance/locale",
		`\{\{\s*(?:T|plural)\s+"[^"]*[A-Z ]"`: "this is no key of a text",
	}
	eachFile(t, "templates", func(name, text string) {
		for pattern, why := range forbidden {
			if at := regexp.MustCompile(pattern).FindString(text); at != "" {
				t.Errorf("%s contains %q: %s", name, at, why)
			}
		}
		for _, img := range regexp.MustCompile(`<img\b[^>]*>`).FindAllString(text, -1) {
			if !strings.Contains(img, "alt=") {
				t.Errorf("%s: %s has no alt text", name, img)
			}
		}
	})
}

// TestIcons finds names of icons that the sprite does not hold.
func TestIcons(t *testing.T) {
	s, err := NewStatic()
	if err != nil {
		t.Fatal(err)
	}
	if !s.HasIcon("shield-lock") || s.HasIcon("") {
		t.Fatal("the sprite was not read")
	}
	eachFile(t, "templates", func(name, text string) {
		for _, m := range regexp.MustCompile(`(?:icon |"icon" )"([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if !s.HasIcon(m[1]) {
				t.Errorf("%s uses icon %q; add it to icons.txt and run vendor.sh", name, m[1])
			}
		}
	})
}

// TestVendored compares the files of others with the hashes they came with.
func TestVendored(t *testing.T) {
	sums, err := files.ReadFile("static/vendor/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"SHA256SUMS": true}
	for _, line := range strings.Split(strings.TrimSpace(string(sums)), "\n") {
		want, name, _ := strings.Cut(line, "  ")
		data, err := files.ReadFile("static/vendor/" + name)
		if err != nil {
			t.Errorf("listed, but not there: %v", err)
			continue
		}
		listed[name] = true
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s has hash %x, want %s", name, got, want)
		}
	}
	eachFile(t, "static/vendor", func(name, _ string) {
		if !listed[path.Base(name)] {
			t.Errorf("%s is not listed in SHA256SUMS", name)
		}
	})
}

func TestServe(t *testing.T) {
	s, err := NewStatic()
	if err != nil {
		t.Fatal(err)
	}
	url, err := s.URL("app.css")
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(url, "/")[2]
	cases := []struct {
		name, method, path, accept, match string
		status                            int
		cache, encoding                   string
	}{
		{"own hash", "GET", url, "", "", 200, "public, max-age=31536000, immutable", ""},
		{"gzip", "GET", url, "gzip, deflate", "", 200, "public, max-age=31536000, immutable", "gzip"},
		{"head", "HEAD", url, "", "", 200, "public, max-age=31536000, immutable", ""},
		{"hash of an older version", "GET", "/static/00000000/app.css", "", "", 200, "no-cache", ""},
		{"known already", "GET", url, "", `"` + hash + `"`, 304, "public, max-age=31536000, immutable", ""},
		{"unknown name", "GET", "/static/00000000/other.css", "", "", 404, "", ""},
		{"way out of the folder", "GET", "/static/00000000/../assets.go", "", "", 404, "", ""},
		{"wrong method", "POST", url, "", "", 404, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, nil)
			r.Header.Set("Accept-Encoding", c.accept)
			r.Header.Set("If-None-Match", c.match)
			s.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d", w.Code, c.status)
			}
			if got := w.Header().Get("Cache-Control"); c.status != http.StatusNotFound && got != c.cache {
				t.Errorf("Cache-Control %q, want %q", got, c.cache)
			}
			if got := w.Header().Get("Content-Encoding"); got != c.encoding {
				t.Errorf("Content-Encoding %q, want %q", got, c.encoding)
			}
			if c.method == "HEAD" && w.Body.Len() > 0 {
				t.Errorf("HEAD brought %d bytes", w.Body.Len())
			}
		})
	}
	if _, err := s.URL("nothing.css"); err == nil {
		t.Error("URL of an unknown file gave no error")
	}
}
