package webui

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/retention"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

// bucketForm is a bucket as the form sends it.
func bucketForm(s s3.Settings) url.Values {
	return url.Values{
		"kind": {"s3"}, "adopt": {"0"}, "name": {"vault"}, "endpoint": {s.Endpoint}, "bucket": {s.Bucket}, "prefix": {s.Prefix},
		"access_key": {s.AccessKey}, "secret_key": {s.SecretKey}, "region": {s.Region}, "style": {string(s.Style)},
		"lock_days": {"0"}, "verify_days": {"30"}, "do": {"add"},
	}
}

// TestPlaceForm: what is wrong stands beside its field, and a secret never
// comes back.
func TestPlaceForm(t *testing.T) {
	h := newHospital(t)
	v := h.visitor(t).signIn("admin")
	expect(t, "a folder", v.get("/repositories/new"), 200, `name="location"`, "本机或挂载的文件夹")
	expect(t, "a bucket", v.get("/repositories/new?kind=s3"), 200, `name="endpoint"`, "防删除锁定", "不能撤回")
	good := s3.Settings{Endpoint: "http://127.0.0.1:1", Bucket: "emr", AccessKey: "key", SecretKey: "hunter2-hunter2"}
	wrong := []struct{ name, field, value, words string }{
		{"no name", "name", "", "不能用作名称"},
		{"no scheme", "endpoint", "s3.hospital.local", "https://"},
		{"no bucket", "bucket", "", "必须填写"},
		{"no access key", "access_key", " ", "必须填写"},
		{"no secret", "secret_key", "", "必须填写"},
		{"a lock that is no number", "lock_days", "viele", "不是数量"},
		{"a lock for longer than anybody means", "lock_days", "99999", "99999"},
		{"a bandwidth that nobody understands", "bandwidth", "09:00-18:00 10x", "Mon-Fri"},
		{"a span that is too long", "verify_days", "4000", "4000"},
	}
	for _, c := range wrong {
		t.Run(c.name, func(t *testing.T) {
			form := bucketForm(good)
			form.Set(c.field, c.value)
			a := v.form("/repositories/new", form)
			expect(t, c.name, a, http.StatusUnprocessableEntity, c.words, `class="f err"`)
			if strings.Contains(a.body, good.SecretKey) {
				t.Error("the page sends the secret back")
			}
		})
	}
	form := bucketForm(good)
	form.Set("do", "test")
	form.Del("name")
	a := v.form("/repositories/new", form)
	expect(t, "test where nobody listens", a, 200, "还不能使用", "连不上服务器")
	if strings.Contains(a.body, good.SecretKey) {
		t.Error("the report sends the secret back")
	}
	expect(t, "bandwidth told back", v.get("/repositories/bandwidth?bandwidth="+url.QueryEscape("20MiB")), 200, "每秒 20.0 MB")
	expect(t, "bandwidth refused", v.get("/repositories/bandwidth?bandwidth=fast"), 200, "t-bad", "no rate")
	folder := url.Values{"kind": {"folder"}, "location": {h.box.Path("nowhere", "yet")}, "do": {"test"}}
	expect(t, "test a folder that is not there", v.form("/repositories/new", folder), 200, "可以使用")
	if _, err := os.Stat(h.box.Path("nowhere")); err == nil {
		t.Error("the test leaves a folder behind")
	}
	folder.Set("location", h.box.Write("x", "there", "data", "x")[:len(h.box.Path("there"))])
	expect(t, "test a folder", v.form("/repositories/new", folder), 200, "可以使用", "首次备份 1 TB")
}

// TestBucket adds a bucket, looks what it can do, changes its settings and
// looks after it.
func TestBucket(t *testing.T) {
	server := s3test.Start(t)
	settings := server.Settings(t)
	h := newHospital(t)
	h.emr(t)
	v := h.visitor(t).signIn("admin")
	form := bucketForm(settings)
	form.Set("do", "test")
	expect(t, "test", v.form("/repositories/new", form), 200, "可以使用", "没有防删除锁定", "首次备份 1 TB")
	part := v.request("POST", "/repositories/new", form)
	part.Header.Set("HX-Request", "true")
	if a := v.send(part); a.status != 200 || strings.Contains(a.body, "<form") || !strings.Contains(a.body, "可以使用") {
		t.Errorf("the test for a script: status %d, %s, want the report alone", a.status, a.body)
	}
	form.Set("do", "add")
	form.Set("lock_days", "30")
	expect(t, "a lock that the bucket cannot keep", v.form("/repositories/new", form), http.StatusUnprocessableEntity, "锁定 30 天")
	form.Set("lock_days", "0")
	a := v.form("/repositories/new", form)
	expect(t, "add", a, http.StatusSeeOther)
	page := a.to
	expect(t, "its page", v.get(page), 200, settings.Location(), "没有防删除锁定", "重新测试", "还没有维护过")
	expect(t, "test again", v.post(page+"/probe"), http.StatusSeeOther)
	edit := url.Values{"access_key": {settings.AccessKey}, "region": {settings.Region}, "style": {string(settings.Style)}, "verify_days": {"7"}, "lock_days": {"0"}, "bandwidth": {"50MiB"}}
	expect(t, "change", v.form(page+"/edit", edit), http.StatusSeeOther)
	expect(t, "changed", v.get(page), 200, "每 7 天全部核验一遍", "50MiB")
	edit.Set("secret_key", "not the secret")
	expect(t, "a wrong secret", v.form(page+"/edit", edit), http.StatusUnprocessableEntity, "notice-bad")
	expect(t, "the form again", v.get(page+"/edit"), 200, "留空则沿用", settings.AccessKey)

	plans := filesForm(h.box.Path("emr"))
	plans.Set("name", "emr")
	plans.Set("repository", "main")
	plans.Set("second", "vault")
	expect(t, "a second copy", v.form("/plans/1/edit", plans), http.StatusSeeOther)
	expect(t, "not copied yet", v.get("/plans/1"), 200, "还没有副本", "main</a> → ")
	a = v.post("/plans/1/copy")
	expect(t, "copy", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "the copying", v.get(a.to), 200, "1 个恢复点", "复制到", "vault")
	expect(t, "copied", v.get("/plans/1"), 200, "两处都有")
	expect(t, "the point says so", v.get("/points/1"), 200, "副本：vault")
	a = v.post(page + "/care")
	expect(t, "care", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "the care", v.get(a.to), 200, "本次核验")
	expect(t, "cared for", v.get(page), 200, "最久没有读过的数据", "第二副本")
}

// TestLostAndOverdue: what care has found is told in words, and on the first
// page.
func TestLostAndOverdue(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	care := plan.Care{
		Percent: 61, Oldest: moment.AddDate(0, 0, -45), Overdue: 12, Damaged: 2, Healed: 3, LockedTo: moment.Add(240 * time.Hour),
		Lost: []plan.Note{plan.Say("plans.unknown")}, Left: []plan.Note{plan.Say("repositories.unknown")},
	}
	if err := h.store.Write(t.Context(), func(tx *store.Tx) error { return plan.SetCare(tx, 1, care) }); err != nil {
		t.Fatal(err)
	}
	v := h.visitor(t).signIn("admin")
	expect(t, "its page", v.get("/repositories/1"), 200, "61%", "12 个数据包超过 30 天没有核验", "2 个数据包损坏", "修好了 3 个", "丢失的内容", "没有这个备份计划", "留到下次的工作")
	expect(t, "the list", v.get("/repositories"), 200, "12 个数据包核验逾期")
	expect(t, "the overview", v.get("/"), 200, "核验逾期", "内容丢失", "核验 61%")
}

// TestClassOfRecords: the floor of the law is told at the field of the years,
// and kept where the form says nothing of it.
func TestClassOfRecords(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	v := h.visitor(t).signIn("admin")
	expect(t, "the form", v.get("/plans/1/edit"), 200, "住院病历：不少于 30 年")
	form := filesForm(h.box.Path("emr"))
	form.Set("name", "emr")
	form.Set("repository", "main")
	form.Set("class", string(retention.Inpatient))
	form.Set("yearly", "5")
	expect(t, "below the floor", v.form("/plans/1/edit", form), http.StatusUnprocessableEntity, `id="yearly-h"`, "法定保存期 30 年")
	form.Set("yearly", "30")
	expect(t, "at the floor", v.form("/plans/1/edit", form), http.StatusSeeOther)
	expect(t, "the plan", v.get("/plans/1"), 200, "30 年内每年必留")
	expect(t, "preview below the floor", v.get("/plans/1?preview=1&class=outpatient&yearly=3&last=1"), 200, "法定保存期 15 年")
	expect(t, "the law keeps what the numbers do not", v.get("/plans/1?preview=1&class=outpatient&hourly=0&daily=1"), 200, "保留 1 个")
	expect(t, "save", v.post("/plans/1/keep", "class", "outpatient", "last", "2", "hourly", "24"), http.StatusSeeOther)
	want := plan.Keep{Class: retention.Outpatient, Last: 2, Hourly: 24}
	if p, err := h.box.Book.Plan(t.Context(), "emr"); err != nil || p.Keep != want {
		t.Errorf("keep = %+v, %v, want %+v", p.Keep, err, want)
	}
	expect(t, "one repository is no second", v.form("/plans/1/edit", second(form, "main")), http.StatusUnprocessableEntity, "second-h")
}

func second(form url.Values, name string) url.Values {
	form.Set("second", name)
	return form
}
