package webui

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// TestHead: whoever only asks whether a page is there gets its head, promptly,
// and uses nothing up.
func TestHead(t *testing.T) {
	h := newHospital(t)
	h.emr(t)
	v := h.visitor(t).signIn("night")
	page := v.get("/points/1?path=" + url.QueryEscape(h.box.Path("emr", "2026")))
	files := hrefs(page.body, `/points/1/file\?path=[^"]+`)
	if len(files) == 0 {
		t.Fatal("no file to download")
	}
	for _, c := range []struct {
		name, path string
		want       int
	}{
		{"a page", "/", 200},
		{"a file", files[0], 200},
		{"a folder as zip", "/points/1/zip?path=/", 200},
		{"live events", "/jobs/1/events", 200},
		{"no such page", "/none", 404},
		{"not this person's business", "/users", 403},
		{"only for forms", "/sign-out", 405},
	} {
		began := time.Now()
		a := v.send(v.request(http.MethodHead, c.path, nil))
		if a.status != c.want || a.body != "" || time.Since(began) > 5*time.Second {
			t.Errorf("HEAD of %s: status %d after %s, want %d at once", c.name, a.status, time.Since(began), c.want)
		}
	}
	if a := h.visitor(t).send(v.request(http.MethodHead, "/plans", nil)); a.status != http.StatusSeeOther || a.to != "/sign-in?next=%2Fplans" {
		t.Errorf("HEAD by a stranger: status %d to %q, want the sign-in page", a.status, a.to)
	}
}

// TestHeadLeavesTheMessage: a message is for eyes; a look at the head alone
// must not use it up.
func TestHeadLeavesTheMessage(t *testing.T) {
	v := newHouse(t).visitor(t).signIn("admin")
	v.post("/settings", "site.name", "甲医院")
	v.send(v.request(http.MethodHead, "/settings", nil))
	expect(t, "settings after a look at the head", v.get("/settings"), 200, v.lang.T("web.settings.saved"))
}
