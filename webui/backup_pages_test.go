package webui

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"emrvault/backup/plan"
)

// form posts a form with repeated values.
func (v *visitor) form(path string, values url.Values) answer {
	v.t.Helper()
	return v.send(v.request("POST", path, values))
}

// filesForm is a plan over a folder as the form sends it.
func filesForm(folder string) url.Values {
	return url.Values{
		"do": {"save"}, "kind": {"files"}, "name": {"病历文书"}, "set.paths": {folder}, "repository": {"local"}, "schedule": {"0 22 * * *"},
		"last": {"3"}, "daily": {"14"}, "rto": {"1h"}, "rpo": {"24h"}, "after_backup": {"1"}, "enabled": {"1"}, "assertions": {"0"},
	}
}

// TestPlanForm makes a plan without any script: what is wrong stands beside
// its field, questions are added and removed by buttons, nothing typed is lost.
func TestPlanForm(t *testing.T) {
	h := newHospital(t)
	folder := h.box.Write("x", "emr", "a.xml")[:len(h.box.Path("emr"))]
	if _, err := h.box.Runner.Repositories().Create(t.Context(), plan.Place{Name: "local", Location: h.box.Path("repository")}); err != nil {
		t.Fatal(err)
	}
	v := h.visitor(t).signIn("admin")
	wrong := []struct{ name, field, value, words string }{
		{"no name", "name", "", "不能用作名称"},
		{"a name with a slash", "name", "a/b", "不能用作名称"},
		{"no path", "set.paths", " ", "必须填写"},
		{"a wrong cron word", "schedule", "0 25 * * *", "第 2 个词"},
		{"a wrong drill time", "drill_schedule", "@soon", "@soon"},
		{"an unknown zone", "zone", "Mars/Base", "Mars/Base"},
		{"a keep number that is none", "daily", "viele", "不是数量"},
		{"a keep policy that keeps nothing", "last", "0", "一个恢复点也留不下"},
		{"a wrong target", "rto", "soon", "不是时长"},
		{"an unknown repository", "repository", "other", "other"},
	}
	for _, c := range wrong {
		t.Run(c.name, func(t *testing.T) {
			form := filesForm(folder)
			form.Set(c.field, c.value)
			if c.field == "last" {
				form.Set("daily", "")
			}
			expect(t, c.name, v.form("/plans/new", form), http.StatusUnprocessableEntity, c.words, "需要改正")
		})
	}
	form := filesForm(folder)
	form.Set("do", "add-count")
	expect(t, "add a question", v.form("/plans/new", form), 200, `name="a0.min"`, "病历文书", folder)
	form.Set("assertions", "2")
	form.Set("a0.kind", "count")
	form.Set("a0.min", "1")
	form.Set("a1.kind", "sql")
	form.Set("a1.query", "DELETE FROM patients")
	form.Set("a1.expect", "0")
	form.Set("do", "save")
	expect(t, "a question that writes", v.form("/plans/new", form), http.StatusUnprocessableEntity, "只读语句")
	form.Set("do", "remove-1")
	a := v.form("/plans/new", form)
	expect(t, "remove a question", a, 200, `name="a0.min"`)
	if strings.Contains(a.body, "a1.kind") {
		t.Error("the second question is still there")
	}
	form.Set("do", "test")
	expect(t, "test", v.form("/plans/new", form), 200, "病历文书")
	form.Set("do", "preview")
	expect(t, "preview", v.form("/plans/new", form), 200, "还没有恢复点")
	form.Set("assertions", "1")
	form.Set("do", "save")
	a = v.form("/plans/new", form)
	expect(t, "save", a, http.StatusSeeOther)
	expect(t, "the saved plan", v.get(a.to), 200, "已保存备份计划", "每天 22:00", "3 个 · 14 日")
	p, err := h.box.Book.Plan(t.Context(), "病历文书")
	if err != nil || len(p.Drill.Assertions) != 1 || p.Drill.Assertions[0].Min != 1 || p.Keep != (plan.Keep{Last: 3, Daily: 14}) || !p.Drill.AfterBackup {
		t.Errorf("plan = %+v, %v", p, err)
	}
	expect(t, "the name is taken", v.form("/plans/new", form), http.StatusUnprocessableEntity, "已有名为")
}

// TestPlanLife runs, pauses, previews, edits and removes a plan.
func TestPlanLife(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	v := h.visitor(t).signIn("admin")
	a := v.post("/plans/1/run")
	expect(t, "run", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "its job", v.get(a.to), 200, "查看计划")
	expect(t, "test the source", v.post("/plans/1/test"), 200, "数据源")
	expect(t, "save a keep policy", v.post("/plans/1/keep", "last", "1", "daily", "2"), http.StatusSeeOther)
	expect(t, "refuse one that keeps nothing", v.post("/plans/1/keep", "last", "0"), http.StatusUnprocessableEntity, "一个恢复点也留不下")
	if p, err := h.box.Book.Plan(t.Context(), "emr"); err != nil || p.Keep != (plan.Keep{Last: 1, Daily: 2}) {
		t.Errorf("keep = %+v, %v, want the saved one", p.Keep, err)
	}
	expect(t, "pause", v.post("/plans/1/enable", "on", "0"), http.StatusSeeOther)
	expect(t, "paused", v.get("/plans/1"), 200, "启用计划", "停用")
	expect(t, "go on", v.post("/plans/1/enable", "on", "1"), http.StatusSeeOther)
	form := filesForm(h.box.Path("emr"))
	form.Set("repository", "main")
	form.Set("name", "documents")
	expect(t, "edit", v.form("/plans/1/edit", form), http.StatusSeeOther)
	if p, err := h.box.Book.Plan(t.Context(), "documents"); err != nil || p.Tag() != "emr" {
		t.Errorf("after a rename the tag is %q (%v), want that of the points before", p.Tag(), err)
	}
	expect(t, "remove", v.post("/plans/1/remove"), http.StatusSeeOther)
	expect(t, "removed", v.get("/plans/1"), http.StatusNotFound)
	expect(t, "the points stay", v.get("/points"), 200, "/points/1")
	expect(t, "and can be browsed", v.get("/points/1"), 200, "readme.txt")
}

// TestPlanFails: a source that vanished is told on every page that speaks of it.
func TestPlanFails(t *testing.T) {
	h := newHospital(t)
	h.box.Plan(plan.Plan{Name: "gone", Title: "消失的共享", Source: h.box.Files("nowhere"), Schedule: "0 22 * * *"})
	h.box.Backup("gone")
	v := h.visitor(t).signIn("admin")
	expect(t, "overview", v.get("/"), 200, "不能保证消失的共享今晚可以恢复", "v-bad")
	expect(t, "plan", v.get("/plans/1"), 200, "notice-bad", "找不到")
	expect(t, "plans", v.get("/plans"), 200, "chip-bad")
	expect(t, "drill without a point", v.post("/drills", "plan", "1"), http.StatusSeeOther)
	h.box.WaitAll()
}

// TestRepositorySheet: the sheet is shown once, and typed back.
func TestRepositorySheet(t *testing.T) {
	h := newHospital(t)
	v := h.visitor(t).signIn("admin")
	folder := h.box.Path("vault")
	expect(t, "a relative place", v.post("/repositories/new", "name", "vault", "location", "vault", "adopt", "0"), http.StatusUnprocessableEntity, "不是完整路径")
	a := v.post("/repositories/new", "name", "vault", "location", folder, "adopt", "0")
	expect(t, "make", a, http.StatusSeeOther)
	expect(t, "made", v.get(a.to), 200, "生成恢复单", folder)
	a = v.post("/repositories/1/sheet")
	groups, first, second := readSheet(t, a.body)
	expect(t, "the sheet", a, 200, "只显示这一次")
	expect(t, "shown once", v.get("/repositories/1"), 200, "恢复单未确认")
	if again := v.get("/repositories/1"); strings.Contains(again.body, groups[0]) {
		t.Error("the page shows the sheet a second time")
	}
	expect(t, "wrong groups", v.post("/repositories/1/sheet/confirm", "first", "AAAA", "second", "BBBB"), http.StatusUnprocessableEntity, "与恢复单不符")
	expect(t, "right groups", v.post("/repositories/1/sheet/confirm", "first", first, "second", second), http.StatusSeeOther)
	expect(t, "confirmed", v.get("/repositories/1"), 200, "恢复单已确认")
	opensWith(t, folder, strings.Join(groups, "-"))
	a = v.post("/repositories/1/check", "read", "1")
	expect(t, "check", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "the check", v.get(a.to), 200, "查看备份仓库")
	expect(t, "checked", v.get("/repositories/1"), 200, "通读正常", "没有发现问题")
	expect(t, "ask for the space", v.post("/repositories/1/space"), http.StatusSeeOther)
}
