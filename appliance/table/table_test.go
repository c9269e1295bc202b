package table_test

import (
	"strings"
	"testing"

	"emrvault/appliance/table"
)

func TestColumnsStandStraight(t *testing.T) {
	var b strings.Builder
	err := table.Write(&b, [][]string{
		{"编号", "标题", "状态"},
		{"GD-2026-0001", "病程打不开", "待响应"},
		{"GD-2026-0002", "a\nb", ""},
		{},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "编号          标题        状态\n" +
		"GD-2026-0001  病程打不开  待响应\n" +
		"GD-2026-0002  a b\n" +
		"\n"
	if got := b.String(); got != want {
		t.Errorf("table =\n%swant\n%s", got, want)
	}
}

// A cell from outside must not speak to the terminal, in whatever form.
func TestCellsHoldNoControls(t *testing.T) {
	var b strings.Builder
	if err := table.Write(&b, [][]string{{"a\x1b[2Jb", "c\u009b31md", "e\u202efdp.exe", "f\u2028g"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "a [2Jb  c 31md  e fdp.exe  f g\n"; got != want {
		t.Errorf("cells = %q, want %q", got, want)
	}
}
