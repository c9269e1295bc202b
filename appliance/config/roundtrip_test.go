package config_test

import (
	"path/filepath"
	"testing"

	"emrvault/appliance/config"
)

// What the page or a verb takes must be read again at the next start: a file
// nobody can read would keep the box from starting.
func TestEveryTakenNameIsReadAgain(t *testing.T) {
	for _, name := range []string{
		"示例市第一人民医院", `a"b\c'd: #e`, "- [x] {y} & *z !t | > % @ `", "tab\there", "null", "0x10", "~", "yes",
		"bell\x07", "escape\x1b[31m", "delete\x7f", "next\u0085line", "line\u2028separator", "mark\ufeffed", "broken\xff",
	} {
		path := filepath.Join(t.TempDir(), "emrvault.yaml")
		s := config.Defaults()
		if err := s.Set("site.name", name); err != nil {
			continue // refused is fine
		}
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := config.LoadFile(path)
		if err != nil {
			t.Errorf("%q was taken and cannot be read again: %v", name, err)
			continue
		}
		if back.SiteName != name {
			t.Errorf("%q is read again as %q", name, back.SiteName)
		}
	}
}
