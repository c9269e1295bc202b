package locale

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/fstest"

	"emrvault/appliance/locale/localetest"
)

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

func placeholders(text string) []string {
	names := []string{}
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	sort.Strings(names)
	return slices.Compact(names)
}

func TestFilesAreReadable(t *testing.T) {
	if _, err := load(files); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyBelongsToOneFile(t *testing.T) {
	twice := fstest.MapFS{
		"zh/a.json": {Data: []byte(`{"x.y": "1"}`)}, "zh/b.json": {Data: []byte(`{"x.y": "2"}`)},
		"en/a.json": {Data: []byte(`{"x.y": "1"}`)},
	}
	if _, err := load(twice); err == nil || !strings.Contains(err.Error(), "x.y") || !strings.Contains(err.Error(), "a.json") {
		t.Errorf("load = %v, want an error that names the key and both files", err)
	}
}

// Both languages have the same keys; only the singular is English alone.
func TestLanguagesHaveTheSameKeys(t *testing.T) {
	zh, en := books()[Chinese], books()[English]
	for _, key := range slices.Sorted(maps.Keys(en)) {
		if _, ok := zh[key]; !ok && !strings.HasSuffix(key, ".one") {
			t.Errorf("zh has no %q", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(zh)) {
		if _, ok := en[key]; !ok {
			t.Errorf("en has no %q", key)
		}
	}
}

func TestPlaceholdersAreTheSame(t *testing.T) {
	zh, en := books()[Chinese], books()[English]
	for _, key := range slices.Sorted(maps.Keys(en)) {
		chinese, ok := zh[key]
		if !ok {
			continue
		}
		if got, want := placeholders(chinese), placeholders(en[key]); !slices.Equal(got, want) {
			t.Errorf("%s: placeholders %v in zh, %v in en", key, got, want)
		}
	}
}

func TestPluralsAreComplete(t *testing.T) {
	for lang, texts := range books() {
		for key := range texts {
			if base, ok := strings.CutSuffix(key, ".one"); ok && texts[base+".other"] == "" {
				t.Errorf("%s: %s has no .other beside it", lang, key)
			}
		}
	}
}

func TestTextsAreText(t *testing.T) {
	for lang, texts := range books() {
		for key, text := range texts {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is empty", lang, key)
			}
		}
	}
}

// Whatever the source asks for exists in both languages, and every placeholder
// gets its value.
func TestEveryTextAskedForExists(t *testing.T) {
	root, err := localetest.Root()
	if err != nil {
		t.Fatal(err)
	}
	uses, err := localetest.Find(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(uses) < 50 {
		t.Fatalf("only %d uses found: the search is broken", len(uses))
	}
	for _, use := range uses {
		if relative, err := filepath.Rel(root, use.Place); err == nil {
			use.Place = relative
		}
		for _, lang := range Languages() {
			if complaint := fault(books()[lang], use); complaint != "" {
				t.Errorf("%s: %s: %s", use.Place, lang, complaint)
			}
		}
	}
}

// fault says what is wrong with a use, "" when nothing is.
func fault(texts map[string]string, use localetest.Use) string {
	if use.Prefix {
		for key := range texts {
			if strings.HasPrefix(key, use.Key) {
				return ""
			}
		}
		return "no text begins with " + use.Key
	}
	key := use.Key
	if use.Plural {
		key += ".other"
	}
	text, ok := texts[key]
	if !ok {
		return "no text " + key
	}
	if use.Names == nil {
		return ""
	}
	for _, name := range placeholders(text) {
		if !slices.Contains(use.Names, name) && (!use.Plural || name != "n") {
			return "nobody fills {" + name + "} of " + key
		}
	}
	return ""
}
