package servicecmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/service/servicecmd"
	"emrvault/service/ticket"
)

// console runs verbs over a fresh desk with a clock of its own.
type console struct {
	t    testing.TB
	desk *ticket.Desk
	zone *time.Location
	now  time.Time
	lang locale.Lang
}

func newConsole(t testing.TB) *console {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, zone: zone, lang: locale.Chinese, now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	st, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "box.db"), func() time.Time { return c.now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	c.desk = ticket.NewDesk(st, zone)
	return c
}

// run gives what a verb prints.
func (c *console) run(args ...string) (string, error) {
	c.t.Helper()
	var out bytes.Buffer
	released := false
	env := &servicecmd.Env{
		Out: &out, Err: &out, Lang: c.lang, Actor: "console:root", Zone: c.zone, Now: func() time.Time { return c.now },
		Desk: func(context.Context) (*ticket.Desk, func() error, error) {
			return c.desk, func() error { released = true; return nil }, nil
		},
	}
	root := servicecmd.Commands(env)[0]
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	root.SilenceErrors, root.SilenceUsage = true, true
	err := root.ExecuteContext(context.Background())
	if err == nil && !released && !slices.Contains(args, "--help") {
		c.t.Errorf("%q kept the desk", args)
	}
	return out.String(), err
}

func (c *console) must(args ...string) string {
	c.t.Helper()
	out, err := c.run(args...)
	if err != nil {
		c.t.Fatalf("%q: %v", args, err)
	}
	return out
}

func TestTicketFromReportToEnd(t *testing.T) {
	c := newConsole(t)
	got := c.must("new", "--item", "2", "--module", "M01", "--title", "病程打不开", "--reporter", "王敏", "--department", "心内科", "--channel", "onsite")
	want := "注意：现场不在此项服务的合同渠道内，已标记为合同外渠道。\n已建工单 GD-2026-0001，响应时限 2026 年 11 月 22 日 18:00。\n"
	if got != want {
		t.Errorf("new prints %q, want %q", got, want)
	}
	c.now = c.now.Add(20 * time.Minute)
	got = c.must("respond", "gd-2026-0001", "--engineer", "李强", "--channel", "qq", "--proof", "QQ 群 16:15 回复", "--at", "2026-11-22 16:15")
	if want := "工单 GD-2026-0001 首次响应已登记，用时 15 分。\n"; got != want {
		t.Errorf("respond prints %q, want %q", got, want)
	}
	c.must("note", "GD-2026-0001", "--text", "缓存未刷新")
	if got, want := c.must("close", "GD-2026-0001", "--result", "已修复"), "工单 GD-2026-0001 已关闭。\n"; got != want {
		t.Errorf("close prints %q, want %q", got, want)
	}
	got = c.must("show", "GD-2026-0001")
	for _, want := range []string{"已关闭", "已响应，用时 15 分", "2 故障排除", "M01 临床医疗", "王敏 · 心内科", "现场（合同外渠道）",
		"2026 年 11 月 22 日 16:15 · 李强 · QQ", "QQ 群 16:15 回复", "2026 年 11 月 22 日 16:20  首次响应  console:root"} {
		if !strings.Contains(got, want) {
			t.Errorf("show lacks %q:\n%s", want, got)
		}
	}
}

func TestListReadsWell(t *testing.T) {
	c := newConsole(t)
	if got, want := c.must("list"), "没有符合条件的工单。\n"; got != want {
		t.Errorf("empty list prints %q, want %q", got, want)
	}
	c.must("new", "--item", "1", "--title", "如何设置打印", "--reporter", "王敏")
	c.must("new", "--item", "12", "--title", "制度咨询", "--reporter", "李娜")
	c.now = c.now.Add(70 * time.Minute)
	want := "单号          状态    响应                                      服务项目  报告人  问题\n" +
		"GD-2026-0002  待响应  按工作日（日历将在后续版本启用）          热线服务  李娜    制度咨询\n" +
		"GD-2026-0001  待响应  超时 10 分                               咨询服务  王敏    如何设置打印\n"
	got := c.must("list")
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if squeeze(got) != squeeze(want) {
		t.Errorf("list prints\n%swant\n%s", got, want)
	}
	if got := c.must("list", "--limit", "1"); !strings.Contains(got, "共 2 张，已列出 1 张") {
		t.Errorf("short list prints %q, want how many more", got)
	}
	c.lang = locale.English
	if got := c.must("list", "--overdue"); !strings.Contains(got, "overdue by 10 min") || strings.Contains(got, "0002") {
		t.Errorf("overdue list prints %q", got)
	}
}

func TestTicketJSON(t *testing.T) {
	c := newConsole(t)
	c.must("new", "--item", "2", "--title", "a <b>", "--reporter", "王敏", "--reported", "2026-11-22 15:00", "--reason", "电话补录")
	_, _, err := c.desk.OpenSystem(t.Context(), ticket.Trouble{Dedup: "plan/1/backup", Item: 5, Title: "备份失败"})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(c.must("list", "--json")), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], "a <b>") {
		t.Fatalf("list prints %q, want an object a line", lines)
	}
	var shown struct {
		Number, Source, State string
		Reported              *time.Time
		Clock                 struct {
			State string
			Left  float64 `json:"left_seconds"`
		}
		Timeline []struct{ Type, Text string }
	}
	read := func(text string) {
		shown.Reported = nil
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			t.Fatalf("read %q: %v", text, err)
		}
	}
	read(lines[0])
	if shown.Source != "system" || shown.Clock.State != "not-started" || shown.Reported != nil {
		t.Errorf("ticket of the box = %+v, want no clock", shown)
	}
	read(c.must("report", "GD-2026-0002", "--json"))
	if shown.Clock.State != "waiting" || shown.Clock.Left != 7200 {
		t.Errorf("reported ticket = %+v, want two hours left", shown)
	}
	read(c.must("show", "GD-2026-0001", "--json"))
	if shown.Clock.Left != 3600 || len(shown.Timeline) != 1 || shown.Timeline[0].Text != "电话补录" {
		t.Errorf("shown ticket = %+v, want an hour left and its one line", shown)
	}
}

func TestRefusals(t *testing.T) {
	c := newConsole(t)
	c.must("new", "--item", "2", "--title", "病程打不开", "--reporter", "王敏")
	for _, v := range []struct {
		name string
		args []string
		kind errs.Kind
		want string
	}{
		{"item", []string{"new", "--item", "15", "--title", "x", "--reporter", "y"}, errs.Invalid, "1 到 14"},
		{"time", []string{"new", "--item", "2", "--title", "x", "--reporter", "y", "--reported", "昨天"}, errs.Invalid, "昨天"},
		{"state", []string{"list", "--state", "open"}, errs.Invalid, "waiting"},
		{"source", []string{"list", "--source", "人工"}, errs.Invalid, "person"},
		{"number", []string{"show", "GD-2026-0099"}, errs.NotFound, "GD-2026-0099"},
		{"no proof", []string{"respond", "GD-2026-0001", "--engineer", "李强"}, errs.Invalid, "凭据"},
		{"unanswered", []string{"close", "GD-2026-0001", "--result", "好了"}, errs.Conflict, "首次响应"},
		{"reported", []string{"report", "GD-2026-0001"}, errs.Conflict, "已经报告"},
	} {
		_, err := c.run(v.args...)
		if errs.KindOf(err) != v.kind || !strings.Contains(locale.Chinese.Error(err), v.want) {
			t.Errorf("%s: %v (%s), want %s naming %q", v.name, err, errs.KindOf(err), v.kind, v.want)
		}
	}
}
