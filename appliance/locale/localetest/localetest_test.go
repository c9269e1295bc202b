package localetest_test

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"emrvault/appliance/locale/localetest"
)

func TestFind(t *testing.T) {
	uses, err := localetest.Find("testdata/module")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, use := range uses {
		names := "?"
		if use.Names != nil {
			names = strings.Join(use.Names, ",")
		}
		place, _, _ := strings.Cut(filepath.Base(use.Place), ".")
		got = append(got, fmt.Sprintf("%s %s prefix=%v plural=%v %s", place, use.Key, use.Prefix, use.Plural, names))
	}
	want := []string{
		"room page.chip prefix=false plural=false ",
		"room page.else prefix=false plural=false ",
		"room page.filled prefix=false plural=false plan",
		"room page.kind. prefix=true plural=false ",
		"room page.row prefix=false plural=false ",
		"room page.rows prefix=false plural=true name",
		"room page.title prefix=false plural=false ",
		"room room.filled prefix=false plural=false plan,n",
		"room room.many prefix=false plural=true plan",
		"room room.plain prefix=false plural=false ",
		"room room.rights prefix=false plural=false ?",
		"room room.spread prefix=false plural=false ?",
		"room room.told prefix=false plural=false ?",
		"room room.word. prefix=true plural=false ",
		"room room.wrapped prefix=false plural=false path",
	}
	sort.Strings(got)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
