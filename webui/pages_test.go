package webui

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
)

// TestRoutes walks the list of routes: who is not signed in is turned away,
// who lacks the permission is refused, and every word is one identity knows.
func TestRoutes(t *testing.T) {
	h := newHouse(t)
	stranger, guest := h.visitor(t), h.visitor(t).signIn("guest")
	viewer := identity.User{ID: 1, Roles: []identity.Role{identity.Viewer}}
	param := regexp.MustCompile(`[:*][a-z]+`)
	for _, r := range h.Routes() {
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			path := param.ReplaceAllString(r.Path, "7")
			known := slices.Contains(identity.Permissions(), r.Permission)
			if r.Permission != Public && r.Permission != SignedIn && !known {
				t.Errorf("identity does not know the permission %q", r.Permission)
			}
			if r.Permission == Public {
				return
			}
			a := stranger.send(stranger.request(r.Method, path, nil))
			switch {
			case r.Method == http.MethodGet && (a.status != http.StatusSeeOther || !strings.HasPrefix(a.to, "/sign-in?next=")):
				t.Errorf("a stranger gets %d to %q, want 303 to the sign-in page", a.status, a.to)
			case r.Method != http.MethodGet && a.status != http.StatusUnauthorized && a.status != http.StatusForbidden:
				t.Errorf("a stranger gets %d, want 401 or 403", a.status)
			}
			if known && !viewer.May(r.Permission) {
				if a := guest.send(guest.request(r.Method, path, nil)); a.status != http.StatusForbidden {
					t.Errorf("a viewer gets %d, want 403", a.status)
				}
			}
		})
	}
}

// TestPages asks for every page in both languages and looks at its bones.
func TestPages(t *testing.T) {
	h := newHouse(t)
	cases := []struct {
		path   string
		status int
		zh, en string
	}{
		{"/", 200, "运行总览", "Overview"},
		{"/account", 200, "修改密码", "Change password"},
		{"/settings", 200, "系统设置", "Settings"},
		{"/about", 200, "版本与许可", "Version and licences"},
		{"/users", 200, "用户", "Users"},
		{"/users/new", 200, "添加用户", "Add a user"},
		{"/users/2", 200, "李工", "李工"},
		{"/users/99", 404, "没有用户", "no user"},
		{"/users/x", 404, "没有这个用户", "no such user"},
		{"/jobs/1", 200, "取消任务", "Cancel the job"},
		{"/jobs/2", 200, "没有这个用户", "no such user"}, // the drill fails with this text
		{"/jobs/x", 404, "没有这个任务", "no such job"},
		{"/jobs/99", 404, "没有这个页面", "no such page"},
		{"/nothing", 404, "没有这个页面", "no such page"},
	}
	for _, lang := range locale.Languages() {
		v := h.visitor(t).signIn("admin")
		v.lang = lang
		for _, c := range cases {
			t.Run(string(lang)+" "+c.path, func(t *testing.T) {
				a, want := v.get(c.path), c.zh
				if lang == locale.English {
					want = c.en
				}
				if a.status != c.status || !strings.Contains(a.body, want) {
					t.Fatalf("status %d, want %d, with %q in it:\n%s", a.status, c.status, want, a.body)
				}
				bones(t, a, lang)
			})
		}
	}
}

var (
	keyShown  = regexp.MustCompile(`>\s*((?:web|job|role|stage|plans?|overview|config|secret|identity|drills?|points?|tickets?)\.[a-z0-9_.-]+)\s*<`)
	heading   = regexp.MustCompile(`<h1[ >]`)
	inputs    = regexp.MustCompile(`<(?:input|select|textarea)\b[^>]*>`)
	idOfInput = regexp.MustCompile(`\bid="([^"]+)"`)
)

// bones are what every page must have, whatever it shows.
func bones(t *testing.T, a answer, lang locale.Lang) {
	t.Helper()
	if n := len(heading.FindAllString(a.body, -1)); n != 1 {
		t.Errorf("%d headings of the first order, want 1", n)
	}
	if !strings.Contains(a.body, `<a class="skip" href="#main">`) || !strings.Contains(a.body, `id="main"`) {
		t.Error("no way to skip to the content")
	}
	if want := map[locale.Lang]string{"zh": `lang="zh-CN"`, "en": `lang="en"`}[lang]; !strings.Contains(a.body, want) {
		t.Errorf("the page does not say %s", want)
	}
	if m := keyShown.FindStringSubmatch(a.body); m != nil {
		t.Errorf("the page shows the key %q instead of a text", m[1])
	}
	if strings.Contains(a.body, "&lt;no value&gt;") || strings.Contains(a.body, "<no value>") || strings.Contains(a.body, "ZgotmplZ") {
		t.Error("the page shows a value that is not there")
	}
	for _, tag := range inputs.FindAllString(a.body, -1) {
		labelled(t, a.body, tag)
	}
	if got := a.header.Get("Content-Security-Policy"); got != policy {
		t.Errorf("content policy %q, want %q", got, policy)
	}
}

func labelled(t *testing.T, body, tag string) {
	t.Helper()
	if strings.Contains(tag, `type="hidden"`) || strings.Contains(tag, "aria-label") || strings.Contains(tag, `type="radio"`) || strings.Contains(tag, `type="checkbox"`) {
		return // radio buttons and ticks stand inside their labels
	}
	m := idOfInput.FindStringSubmatch(tag)
	if m == nil || !strings.Contains(body, `for="`+m[1]+`"`) {
		t.Errorf("no label for %s", tag)
	}
}
