package webui

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emrvault/backup/plan"
)

// TestDownload: what comes out of a point is byte for byte what went in, under
// its own name.
func TestDownload(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	v := h.visitor(t).signIn("night")
	page := v.get("/points/1?path=" + url.QueryEscape(h.box.Path("emr", "2026")))
	files := hrefs(page.body, `/points/1/file\?path=[^"]+`)
	if len(files) != 2 {
		t.Fatalf("%d files to download, want 2:\n%s", len(files), page.body)
	}
	a := v.get(files[0])
	want := "<文书>入院记录</文书>"
	if a.status != 200 || a.body != want || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("status %d, %s, %q, want %q", a.status, a.header.Get("Content-Type"), a.body, want)
	}
	if got := a.header.Get("Content-Disposition"); !strings.Contains(got, "filename*=UTF-8''%E5%85%A5%E9%99%A2%E8%AE%B0%E5%BD%95.xml") {
		t.Errorf("the download is called %s", got)
	}
	a = v.get("/points/1/zip?path=" + url.QueryEscape(h.box.Path("emr")))
	expect(t, "zip", a, 200)
	packed(t, a.body, 3)
	expect(t, "a file that is not there", v.get("/points/1/file?path=/none"), http.StatusNotFound, "/none")
	expect(t, "a folder is no file", v.get("/points/1/file?path="+url.QueryEscape(h.box.Path("emr"))), http.StatusUnprocessableEntity)
	expect(t, "a folder that is not there", v.get("/points/1/zip?path=/none"), http.StatusNotFound, "/none")
	expect(t, "a viewer takes nothing out", h.visitor(t).signIn("guest").get(files[0]), http.StatusForbidden)
}

// packed reads a zip file whole and counts its files.
func packed(t *testing.T, body string, want int) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader([]byte(body)), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		files++
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if files != want {
		t.Errorf("%d files in the zip, want %d", files, want)
	}
}

// TestDownloadCut: a pack that is damaged ends the download with a cut
// connection, never with a file that looks whole.
func TestDownloadCut(t *testing.T) {
	h := newHospital(t)
	h.box.Write(strings.Repeat("病历 ", 400_000), "emr", "large.xml")
	h.box.Plan(plan.Plan{Name: "emr", Source: h.box.Files("emr")})
	h.box.Backup("emr")
	v := h.visitor(t).signIn("admin")
	files := hrefs(v.get("/points/1").body, `/points/1/file\?path=[^"]+`)
	if len(files) != 1 {
		t.Fatalf("%d files, want 1", len(files))
	}
	packs, err := filepath.Glob(h.box.Path("repository", "data", "*", "*"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("%d packs, %v", len(packs), err)
	}
	for _, pack := range packs {
		damage(t, pack)
	}
	resp, err := v.client.Do(v.request("GET", files[0], nil))
	if err != nil {
		return // cut before the head
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusOK {
		t.Errorf("a damaged file came as %d bytes with a proper end", len(body))
	}
}

// damage flips a bit in the middle of a file that is write-protected.
func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data[len(data)/3] ^= 1
		if err = os.Chmod(path, 0o600); err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestHostileNames: names from the protected system are shown, never obeyed,
// and still lead to their files.
func TestHostileNames(t *testing.T) {
	h := newHospital(t)
	names := []string{
		`<img src=x onerror=alert(1)>.xml`, `"onmouseover="x.txt`, "报告\u202egnp.exe", "两\n行.txt", "x[1]*?.txt", "a&b=c#d%20.txt", "broken\xff\xfe.txt", "-rf", "'; DROP TABLE patients;--",
	}
	for _, name := range names {
		h.box.Write("inhalt "+name, "emr", name)
	}
	h.box.Plan(plan.Plan{Name: "emr", Source: h.box.Files("emr")})
	h.box.Backup("emr")
	v := h.visitor(t).signIn("admin")
	page := v.get("/points/1")
	for _, raw := range []string{"<img src=x", `"onmouseover=`, "\u202e", "broken\xff"} {
		if strings.Contains(page.body, raw) {
			t.Errorf("the page contains %q as it is", raw)
		}
	}
	expect(t, "folder", page, 200, `报告\u{202e}gnp.exe`, `两\u{a}行.txt`, `broken\xff\xfe.txt`, "&lt;img src=x onerror=alert(1)&gt;.xml")
	got := map[string]bool{}
	for _, file := range hrefs(page.body, `/points/1/file\?path=[^"]+`) {
		a := v.get(file)
		got[strings.TrimPrefix(a.body, "inhalt ")] = a.status == 200
		if cd := a.header.Get("Content-Disposition"); strings.ContainsAny(cd, "\n\r") || strings.Count(cd, `"`) != 2 {
			t.Errorf("the download is called %q", cd)
		}
	}
	for _, name := range names {
		if !got[name] {
			t.Errorf("%q cannot be downloaded", name)
		}
	}
	// Only the one with the signs of a pattern is wanted.
	target := h.box.Path("restored")
	picks := url.Values{"what": {"picked"}, "target": {target}, "verify": {"1"}, "path": {url.QueryEscape(h.box.Path("emr"))}, "pick": {url.QueryEscape(h.box.Path("emr", "x[1]*?.txt"))}}
	expect(t, "restore", v.form("/points/1/restore", picks), http.StatusSeeOther)
	h.box.WaitAll()
	entries, err := os.ReadDir(target + h.box.Path("emr"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "x[1]*?.txt" {
		t.Errorf("restored %v, %v; want the one file", entries, err)
	}
}

// TestRestoreForm: mistakes are told beside the form, the result stays on the
// page of the job.
func TestRestoreForm(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	h.box.Write("in use", "taken", "file")
	v := h.visitor(t).signIn("night")
	for _, c := range []struct {
		name, what, target string
		status             int
		words              string
	}{
		{"no target", "all", "", 422, "恢复到哪个文件夹"},
		{"a relative target", "all", "restore", 422, "不是完整路径"},
		{"nothing picked", "picked", h.box.Path("out"), 422, "没有选中"},
		{"the live system", "all", h.box.Path("emr"), 422, "正在使用"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, c.name, v.post("/points/1/restore", "what", c.what, "target", c.target, "path", "%2F"), c.status, c.words, "开始恢复")
		})
	}
	a := v.post("/points/1/restore", "what", "all", "target", h.box.Path("taken"), "path", "%2F")
	expect(t, "a folder that is not empty", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "its job", v.get(a.to), 200, "不是空的")
	a = v.post("/points/1/restore", "what", "folder", "target", h.box.Path("out"), "verify", "1", "path", url.QueryEscape(h.box.Path("emr", "2026")))
	expect(t, "restore a folder", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "the result", v.get(a.to), 200, h.box.Path("out"), "一致", "2 个文件")
	if got, err := os.ReadFile(h.box.Path("out") + h.box.Path("emr", "2026", "入院记录.xml")); err != nil || string(got) != "<文书>入院记录</文书>" {
		t.Errorf("restored %q, %v", got, err)
	}
}

// TestFolder: a folder can be searched and turned over, and tells what changed.
func TestFolder(t *testing.T) {
	h := newHospital(t)
	for i := range 130 {
		h.box.Write("x", "emr", string(rune('a'+i/26))+string(rune('a'+i%26))+".xml")
	}
	h.box.Plan(plan.Plan{Name: "emr", Source: h.box.Files("emr")})
	h.box.Backup("emr")
	h.box.Write("changed", "emr", "aa.xml")
	h.box.Write("new", "emr", "zz.xml")
	h.box.Backup("emr")
	v := h.visitor(t).signIn("admin")
	page := v.get("/points/2")
	expect(t, "first part", page, 200, "第 1–100 项，共 131 项", "有改动")
	next := hrefs(page.body, `/points/2\?offset=100[^"]*`)
	if len(next) == 0 {
		t.Fatal("nothing leads to the next part")
	}
	expect(t, "second part", v.get(next[0]), 200, "第 101–131 项", "zz.xml", "新增")
	where := url.QueryEscape(h.box.Path("emr"))
	expect(t, "search", v.get("/points/2?q=zz&path="+where), 200, "共 1 项", "zz.xml")
	expect(t, "search for nothing", v.get("/points/2?q=nope&path="+where), 200, "没有名称包含“nope”的条目")
}

// TestDrillPages: a drill is started by hand and leaves its sheet.
func TestDrillPages(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	v := h.visitor(t).signIn("night")
	a := v.post("/drills", "plan", "1", "point", "1")
	expect(t, "start", a, http.StatusSeeOther)
	h.box.WaitAll()
	expect(t, "its job leads to the sheet", v.get(a.to), 200, "/drills/of-job/")
	sheets := hrefs(v.get(a.to).body, `/drills/of-job/[0-9]+`)
	a = v.get(sheets[0])
	expect(t, "of job", a, http.StatusSeeOther)
	expect(t, "sheet", v.get(a.to), 200, "电子病历系统恢复演练记录", "文书齐全", "未证明的内容", "已清除", "快照")
	expect(t, "no plan", v.post("/drills"), http.StatusSeeOther)
	expect(t, "a job without a sheet", v.get("/drills/of-job/99"), http.StatusSeeOther)
}
