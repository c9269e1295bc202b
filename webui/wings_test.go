package webui

import (
	"html"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/backup/drill"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/service/ticket"
	"emrvault/webui/desk"
	"emrvault/webui/protection"
	"emrvault/webui/recovery"
	"emrvault/webui/security"
)

// What main hands in fits what the pages ask for.
var (
	_ Book                    = (*plan.Book)(nil)
	_ Runner                  = (*run.Runner)(nil)
	_ protection.Repositories = (*run.Repositories)(nil)
	_ recovery.Drills         = (*drill.Drills)(nil)
	_ desk.Tickets            = (*ticket.Desk)(nil)
)

// hospital is a site over a whole box: a real store, book, runner, drills and
// desk in a temporary folder.
type hospital struct {
	*house
	box  *drilltest.Box
	desk *ticket.Desk
}

// newHospital builds a site without plans, where "admin", "guest" (a viewer)
// and "night" (an operator) may sign in.
func newHospital(t *testing.T) *hospital {
	t.Helper()
	box := drilltest.Open(t)
	people := identity.New(box.Store, identity.Options{Cost: identity.Cost{Memory: 64, Passes: 1, Threads: 1}})
	for _, who := range []struct {
		name string
		role identity.Role
	}{{"admin", identity.Admin}, {"guest", identity.Viewer}, {"night", identity.Operator}} {
		if _, err := people.Add(t.Context(), identity.NewUser{Name: who.name, FullName: "李工", Password: goodPassword, Roles: []identity.Role{who.role}}); err != nil {
			t.Fatal(err)
		}
	}
	set := &settings{now: config.Defaults()}
	tickets := ticket.NewDesk(box.Store, box.Book.Site())
	log := &strings.Builder{}
	s, err := New(Parts{
		Version: "1.0.0", Now: box.Clock.Now, Site: func() Site { return siteOf(set.Current()) },
		Log:      slog.New(slog.NewTextHandler(lockedWriter{&sync.Mutex{}, log}, nil)),
		Sessions: identity.NewSessions(box.Store), Users: people, Settings: set, Jobs: box.Jobs,
		Start: security.Start{Link: people, Storage: box.Runner.Repositories(), Places: box.Book, Folder: box.Path("repository")},
		Book:  box.Book, Runner: box.Runner, Repositories: box.Runner.Repositories(), Drills: box.Drills, Desk: tickets,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &hospital{house: &house{Server: s, people: people, store: box.Store, log: log}, box: box, desk: tickets}
}

// emr makes a plan over a few documents and backs it up with its drill.
func (h *hospital) emr(t *testing.T) plan.Plan {
	t.Helper()
	h.box.Write("<文书>首次病程记录</文书>", "emr", "2026", "首次病程记录.xml")
	h.box.Write("<文书>入院记录</文书>", "emr", "2026", "入院记录.xml")
	h.box.Write("readme", "emr", "readme.txt")
	p := h.box.Plan(plan.Plan{
		Name: "emr", Title: "病历文书", Source: h.box.Files("emr"), Schedule: "0 22 * * *", RTO: plan.Duration(time.Hour), RPO: plan.Duration(24 * time.Hour),
		Drill: plan.DrillRule{AfterBackup: true, Assertions: []plan.Assertion{{Kind: plan.AssertCount, Name: "文书齐全", Path: "/**/*.xml", Min: 2}}},
	})
	h.box.Backup("emr")
	return p
}

// hrefs finds the addresses of links that match.
func hrefs(body, pattern string) (list []string) {
	for _, m := range regexp.MustCompile(`href="(`+pattern+`)"`).FindAllStringSubmatch(body, -1) {
		list = append(list, html.UnescapeString(m[1]))
	}
	return list
}

// expect fails unless the answer has the status and the words.
func expect(t *testing.T, what string, a answer, status int, words ...string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s: status %d to %q, want %d:\n%s", what, a.status, a.to, status, a.body)
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			t.Errorf("%s: %q is not on the page:\n%s", what, word, a.body)
		}
	}
}

// looked is a page, the status it has, and words that stand on it.
type looked struct {
	path   string
	status int
	zh, en string
}

func (h *hospital) look(t *testing.T, who string, cases []looked) {
	t.Helper()
	for _, lang := range locale.Languages() {
		v := h.visitor(t).signIn(who)
		v.lang = lang
		for _, c := range cases {
			t.Run(string(lang)+" "+c.path, func(t *testing.T) {
				word := c.zh
				if lang == locale.English {
					word = c.en
				}
				a := v.get(c.path)
				expect(t, c.path, a, c.status, word)
				if strings.HasPrefix(a.body, "<!doctype") {
					bones(t, a, lang) // a block of a page has none
				}
			})
		}
	}
}

func TestWingPages(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	if _, err := h.desk.New(t.Context(), "admin", ticket.Draft{Item: 6, Module: "M01", Title: "一份病程记录丢失", Reporter: "护士站", Channel: "onsite"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.desk.OpenSystem(t.Context(), ticket.Trouble{Dedup: "plan/1", Item: 2, Title: "备份失败"}); err != nil {
		t.Fatal(err)
	}
	verdicts, _, err := h.box.Drills.List(t.Context(), drill.Filter{})
	if err != nil || len(verdicts) != 1 {
		t.Fatalf("%d drills, %v; want the one after the backup", len(verdicts), err)
	}
	year := verdicts[0].Began.In(h.box.Book.Site()).Format("2006")
	h.look(t, "admin", []looked{
		{"/", 200, "病历文书可以恢复到", "could go back to"},
		{"/overview/live", 200, "病历文书", "good · proven"},
		{"/plans", 200, "每天 22:00", "every day at 22:00"},
		{"/plans/1", 200, "最近一次运行", "Last run"},
		{"/plans/1?show=trouble", 200, "没有符合的记录", "Nothing here"},
		{"/plans/1?preview=1&last=1", 200, "保留 1 个", "1 stay"},
		{"/plans/1?preview=1&last=x", 200, "不是数量", "is no number"},
		{"/plans/1?preview=1", 200, "一个恢复点也留不下", "would keep nothing"},
		{"/plans/1/live", 200, "", ""},
		{"/plans/1/edit", 200, "修改计划：病历文书", "Edit plan: 病历文书"},
		{"/plans/1/remove", 200, "已有的 1 个恢复点保留", "Its 1 point stays"},
		{"/plans/new", 200, "要保护的是什么", "What is to be protected"},
		{"/plans/new?kind=files", 200, "备份时间", "Backup times"},
		{"/plans/new?kind=oracle", 200, "要保护的是什么", "What is to be protected"},
		{"/plans/schedule?schedule=0+22+*+*+*", 200, "每天 22:00", "every day at 22:00"},
		{"/plans/schedule?drill_schedule=nonsense", 200, "5", "5"},
		{"/plans/99", 404, "没有这个页面", "no such page"},
		{"/plans/x", 404, "没有这个备份计划", "no such plan"},
		{"/points", 200, "全部恢复点", "All recovery points"},
		{"/points?plan=1", 200, "为什么保留", "Why it stays"},
		{"/points?day=2020-01-01", 200, "没有符合条件的恢复点", "No points match"},
		{"/points?day=gestern", 200, "不是日期", "is no day"},
		{"/points?plan=99", 404, "没有这个页面", "no such page"},
		{"/points/1", 200, "恢复到文件夹", "Restore to a folder"},
		{"/points/1?path=/nowhere", 404, "/nowhere", "/nowhere"},
		{"/points/99", 404, "没有这个页面", "no such page"},
		{"/drills", 200, "YL-" + year + "-001", "YL-" + year + "-001"},
		{"/drills?state=failed", 200, "没有演练记录", "No drills"},
		{"/drills/YL-" + year + "-001", 200, "文书齐全", "Not proven"},
		{"/drills/YL-1999-001", 404, "没有这个页面", "no such page"},
		{"/repositories", 200, "尚未检查", "never checked"},
		{"/repositories/1", 200, "生成恢复单", "Make a sheet"},
		{"/repositories/new", 200, "接入已有的仓库", "Take over an existing one"},
		{"/repositories/99", 404, "没有这个页面", "no such page"},
		{"/tickets", 200, "一份病程记录丢失", "Quick entry"},
		{"/tickets?state=overdue", 200, "没有符合条件的工单", "No tickets match"},
		{"/tickets/GD-" + year + "-0001", 200, "登记首次响应", "First response"},
		{"/tickets/GD-" + year + "-0002", 200, "报告厂商", "Report to the vendor"},
		{"/tickets/GD-1999-0001", 404, "没有这个页面", "no such page"},
		{"/tickets/channels?item=6&channel=phone", 200, "乙方指定地点 · 合同外", "outside the contract"},
		{"/catalogue", 200, "M21", "M21"},
	})
}

// Without any plan the pages say what to do next; a viewer is not offered what
// he may not do.
func TestWingPagesEmpty(t *testing.T) {
	h := newHospital(t)
	empty := []looked{
		{"/", 200, "还没有备份计划", "no backup plan yet"},
		{"/plans", 200, "先建一个备份仓库", "A repository comes first"},
		{"/points", 200, "还没有恢复点", "No points yet"},
		{"/drills", 200, "没有演练记录", "No drills"},
		{"/repositories", 200, "还没有备份仓库", "No repositories yet"},
		{"/tickets", 200, "还没有工单", "No tickets yet"},
	}
	t.Run("admin", func(t *testing.T) {
		h.look(t, "admin", append(empty, looked{"/plans/new", 200, "先建立备份仓库", "Make a repository first"}))
	})
	t.Run("guest", func(t *testing.T) { h.look(t, "guest", empty) })
	v := h.visitor(t).signIn("guest")
	for path, word := range map[string]string{"/": "/plans/new", "/plans": "/repositories/new", "/tickets": "/tickets/new"} {
		if a := v.get(path); strings.Contains(a.body, word) {
			t.Errorf("%s offers a viewer %s", path, word)
		}
	}
	if _, err := h.box.Runner.Repositories().Create(t.Context(), plan.Place{Name: "local", Location: filepath.Join(h.box.Dir, "r")}); err != nil {
		t.Fatal(err)
	}
	expect(t, "plans with a repository", h.visitor(t).signIn("admin").get("/plans"), 200, "还没有备份计划")
}

// TestWingRoutes: what a viewer may not do is refused, what he may look at is
// not.
func TestWingRoutes(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	viewer := identity.User{ID: 1, Roles: []identity.Role{identity.Viewer}}
	stranger, guest := h.visitor(t), h.visitor(t).signIn("guest")
	for _, r := range append(backupRoutes(h.areas.wings), serviceRoutes(h.areas.wings)...) {
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			path := regexp.MustCompile(`:[a-z]+`).ReplaceAllString(r.Path, "1")
			if a := stranger.send(stranger.request(r.Method, path, nil)); a.status < 300 || a.status == http.StatusNotFound {
				t.Errorf("a stranger gets %d", a.status)
			}
			a := guest.send(guest.request(r.Method, path, nil))
			if refused := a.status == http.StatusForbidden; refused == viewer.May(r.Permission) {
				t.Errorf("a viewer gets %d, and the permission is %s", a.status, r.Permission)
			}
		})
	}
}

// TestOverviewOverDays: after two days the growth of the storage is drawn, with
// its table, and the days of the calendar lead to their points.
func TestOverviewOverDays(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	h.box.Write("more", "emr", "more.xml")
	h.box.Backup("emr")
	// A source takes its moment from the machine's clock, so the first point is
	// moved back in the book.
	yesterday := store.Stamp(time.Now().Add(-24 * time.Hour))
	err := h.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE point SET as_of = ?, began = ?, ended = ? WHERE id = 1`, yesterday, yesterday, yesterday)
		if err == nil {
			_, err = tx.Exec(`UPDATE run SET began = ? WHERE id = 1`, yesterday)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a := h.visitor(t).signIn("admin").get("/")
	expect(t, "overview", a, 200, `data-plot="growth"`, "逐日数字", "成功率 100%")
	days := hrefs(a.body, `/points\?day=[0-9-]+`)
	if len(days) != 2 {
		t.Fatalf("%d days lead to points, want 2", len(days))
	}
	expect(t, "a day", h.visitor(t).signIn("admin").get(days[0]), 200, "/points/1")
}
