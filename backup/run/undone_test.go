package run

import (
	"strings"
	"testing"

	"emrvault/appliance/locale"
	"emrvault/backup"
)

// The lines of a job name a step in the reader's language, and why it was left.
func TestUndoneIsToldInWords(t *testing.T) {
	err := undone{"run.care.step.prune", told(backup.ErrStorageFull)}
	for lang, want := range map[locale.Lang]string{locale.Chinese: "回收空间", locale.English: "give room back"} {
		got := lang.Detail(err)
		if !strings.HasPrefix(got, want) || strings.Contains(got, "run.") || strings.Count(got, lang.Error(told(backup.ErrStorageFull))) != 1 {
			t.Errorf("%s: got %q, want the step and one cause in words", lang, got)
		}
	}
}
