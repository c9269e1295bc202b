package webui

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/certificate"
	"emrvault/appliance/config"
	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/backup/repository"
	"emrvault/backup/storage/local"
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

func TestSignIn(t *testing.T) {
	v := newHouse(t).visitor(t)
	if a := v.get("/settings?a=1"); a.to != "/sign-in?next=%2Fsettings%3Fa%3D1" {
		t.Errorf("led to %q, want the sign-in page that leads back", a.to)
	}
	form := v.get("/sign-in?next=/settings")
	bones(t, form, locale.Chinese)
	wrongName := v.post("/sign-in", "user", "nobody", "password", "x", "next", "/settings")
	wrongWord := v.post("/sign-in", "user", "admin", "password", "x", "next", "/settings")
	if wrongName.status != http.StatusUnauthorized || wrongWord.status != http.StatusUnauthorized {
		t.Errorf("status %d and %d, want 401 for both", wrongName.status, wrongWord.status)
	}
	clean := func(s string) string {
		return strings.NewReplacer("nobody", "", "admin", "").Replace(regexp.MustCompile(`(?s)<p class="hint num">.*?</p>`).ReplaceAllString(s, ""))
	}
	if clean(wrongName.body) != clean(wrongWord.body) {
		t.Error("a wrong name and a wrong password get different pages")
	}
	if strings.Contains(wrongWord.body, `value="x"`) {
		t.Error("the password typed comes back in the page")
	}
	before := v.cookies("emrvault")
	a := v.post("/sign-in", "user", "admin", "password", goodPassword, "next", "/settings")
	if a.status != http.StatusSeeOther || a.to != "/settings" {
		t.Fatalf("status %d to %q, want 303 to /settings", a.status, a.to)
	}
	if cookie := a.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("session cookie %q is open to scripts or other sites", cookie)
	}
	if after := v.cookies("emrvault"); after == before || after == "" {
		t.Error("the session did not get a new token at sign-in")
	}
	if a := v.get("/sign-in?next=//evil.example"); a.to != "/" {
		t.Errorf("who is signed in is led to %q, want /", a.to)
	}
	if a := v.post("/sign-out"); a.to != "/sign-in" {
		t.Errorf("sign-out leads to %q, want /sign-in", a.to)
	}
	if a := v.get("/settings"); a.status != http.StatusSeeOther {
		t.Errorf("after sign-out /settings answers %d, want 303", a.status)
	}
}

func (v *visitor) cookies(name string) string {
	req := v.request("GET", "/", nil)
	for _, c := range v.client.Jar.Cookies(req.URL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// link is the path of the setup link.
func (h *house) link(t *testing.T) string {
	t.Helper()
	token, _, err := h.people.SetupToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return "/setup/" + token
}

func TestSetup(t *testing.T) {
	h := newEmptyHouse(t)
	link := h.link(t)
	v := h.visitor(t)
	if a := v.get("/setup/wrong"); a.status != http.StatusForbidden || !strings.Contains(a.body, "emrvault status") {
		t.Errorf("wrong link: status %d, want 403 with the way to a new link", a.status)
	}
	form := v.get(link)
	bones(t, form, locale.Chinese)
	if a := v.post(link, "name", "li.gong", "full_name", "李工", "password", goodPassword, "again", "other"); a.status != 422 || !strings.Contains(a.body, "不一样") || !strings.Contains(a.body, "li.gong") {
		t.Errorf("two passwords: status %d, want 422 with the name kept", a.status)
	}
	if a := v.post(link, "name", "li.gong", "full_name", "李工", "password", "short", "again", "short"); a.status != 422 {
		t.Errorf("short password: status %d, want 422", a.status)
	}
	if a := v.post(link, "name", "li.gong", "full_name", "李工", "password", goodPassword, "again", goodPassword); a.to != "/first-steps" {
		t.Fatalf("administrator: status %d to %q, want /first-steps", a.status, a.to)
	}
	other := h.visitor(t) // somebody closes the page and comes back by the same link
	if a := other.get(link); a.to != "/sign-in?next=%2Ffirst-steps" {
		t.Errorf("the same link leads to %q, want sign-in and back", a.to)
	}
	if a := v.get("/settings"); !strings.Contains(a.body, `href="/first-steps"`) {
		t.Error("nothing reminds the administrator of the unfinished first start")
	}
	place := v.get("/first-steps")
	bones(t, place, locale.Chinese)
	if a := v.post("/first-steps/storage", "folder", "relative"); a.status != 422 {
		t.Errorf("relative folder: status %d, want 422", a.status)
	}
	v.post("/first-steps/storage", "folder", h.folder)
	offer := v.get("/first-steps")
	bones(t, offer, locale.Chinese)
	if strings.Contains(offer.body, "<ol class=\"words\"") {
		t.Error("the sheet is shown before anybody asked for it")
	}
	v.post("/first-steps/sheet/new")
	sheet, again := v.get("/first-steps"), v.get("/first-steps")
	bones(t, sheet, locale.Chinese)
	groups, first, second := readSheet(t, sheet.body)
	if same, _, _ := readSheet(t, again.body); !slices.Equal(groups, same) {
		t.Error("the page shows another sheet when loaded again")
	}
	if a := v.post("/first-steps/sheet", "first", "AAAA", "second", second, "kept", "yes"); a.status != 422 || !strings.Contains(a.body, groups[0]) {
		t.Errorf("wrong group: status %d, want 422", a.status)
	}
	if a := v.post("/first-steps/sheet", "first", first, "second", second); a.status != 422 {
		t.Errorf("without the tick: status %d, want 422", a.status)
	}
	if a := v.post("/first-steps/sheet", "first", strings.ToLower(first), "second", " "+second, "kept", "yes"); a.to != "/" {
		t.Fatalf("confirmed: status %d to %q, want /", a.status, a.to)
	}
	if a := v.get("/"); !strings.Contains(a.body, "首次安装已完成") || strings.Contains(a.body, groups[0]) {
		t.Error("the overview does not tell that the first start is done, or shows the sheet")
	}
	if a := v.get("/"); strings.Contains(a.body, "首次安装已完成") {
		t.Error("the message is told twice")
	}
	if a := v.get(link); a.to != "/" {
		t.Errorf("the used link leads to %q, want /", a.to)
	}
	opensWith(t, h.folder, strings.Join(groups, "-"))
	for _, secretWord := range append(groups, goodPassword, strings.TrimPrefix(link, "/setup/")) {
		if strings.Contains(h.log.String(), secretWord) {
			t.Errorf("the log holds %q", secretWord)
		}
	}
}

var (
	groupShown = regexp.MustCompile(`<li>([2-9A-Z]{4})</li>`)
	groupAsked = regexp.MustCompile(`第 (\d) 组`)
)

// readSheet reads the groups off the page, and the two that are asked for.
func readSheet(t *testing.T, body string) (groups []string, first, second string) {
	t.Helper()
	for _, m := range groupShown.FindAllStringSubmatch(body, 8) {
		groups = append(groups, m[1])
	}
	asked := groupAsked.FindAllStringSubmatch(body, -1)
	if len(groups) != 8 || len(asked) < 2 {
		t.Fatalf("the page shows %d groups and asks for %d", len(groups), len(asked))
	}
	group := func(m []string) string { return groups[m[1][0]-'1'] }
	return groups, group(asked[0]), group(asked[1])
}

// opensWith proves that the word on the paper opens the repository.
func opensWith(t *testing.T, folder, word string) {
	t.Helper()
	st, err := local.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := repository.Open(t.Context(), st, word)
	if err != nil {
		t.Fatalf("the sheet does not open the repository: %v", err)
	}
	if err := repo.Close(); err != nil {
		t.Error(err)
	}
}

func TestAccountAndUsers(t *testing.T) {
	h := newHouse(t)
	v := h.visitor(t).signIn("admin")
	if a := v.post("/account", "old", "wrong", "password", "another word 1", "again", "another word 1"); a.status != 422 {
		t.Errorf("wrong old password: status %d, want 422", a.status)
	}
	if a := v.post("/account", "old", goodPassword, "password", "another word 1", "again", "another word 1"); a.to != "/account" {
		t.Errorf("status %d to %q, want /account", a.status, a.to)
	}
	if a := v.get("/account"); a.status != 200 || !strings.Contains(a.body, "密码已修改") {
		t.Errorf("status %d, want the page that tells it", a.status)
	}
	if a := v.post("/users/new", "name", "wang", "full_name", "王工", "role", "emperor", "password", goodPassword, "again", goodPassword); a.status != 422 {
		t.Errorf("unknown role: status %d, want 422", a.status)
	}
	if a := v.post("/users/new", "name", "wang", "full_name", "王<b>工", "role", "operator", "password", goodPassword, "again", goodPassword); a.to != "/users" {
		t.Errorf("status %d to %q, want /users", a.status, a.to)
	}
	if a := v.get("/users"); !strings.Contains(a.body, "王&lt;b&gt;工") {
		t.Error("the list does not show the new person, or not safely")
	}
	a := v.post("/users/3/password")
	word := regexp.MustCompile(`id="word">([^<]+)<`).FindStringSubmatch(a.body)
	if word == nil {
		t.Fatal("the new password is not shown")
	}
	if a := h.visitor(t).post("/sign-in", "user", "wang", "password", word[1], "next", "/"); a.to != "/" {
		t.Errorf("the new password does not sign in: status %d", a.status)
	}
	if a := v.post("/users/3", "role", "viewer", "disabled", "yes"); a.to != "/users/3" {
		t.Errorf("change: status %d to %q, want /users/3", a.status, a.to)
	}
	if a := h.visitor(t).post("/sign-in", "user", "wang", "password", word[1], "next", "/"); a.status != http.StatusUnauthorized {
		t.Errorf("a disabled person gets %d, want 401", a.status)
	}
	if a := v.post("/users/1", "role", "viewer"); a.to != "/users/1" || !strings.Contains(v.get("/users/1").body, "至少要留一位") {
		t.Error("the last administrator may go")
	}
}

func TestSettings(t *testing.T) {
	v := newHouse(t).visitor(t).signIn("admin")
	if a := v.post("/settings", "site.time_zone", "Mars/Olympus"); a.status != 422 || !strings.Contains(a.body, "Mars/Olympus") {
		t.Errorf("unknown zone: status %d, want 422 with what was typed", a.status)
	}
	if a := v.post("/settings", "site.name", "第二医院", "site.time_zone", "UTC"); a.to != "/settings" {
		t.Errorf("status %d to %q, want /settings", a.status, a.to)
	}
	if a := v.get("/settings"); !strings.Contains(a.body, "第二医院") || !strings.Contains(a.body, moment.Format("15:04")) {
		t.Error("the page does not show the new name and zone")
	}
	if a := v.get("/certificate/ca.crt"); a.header.Get("Content-Type") != "application/x-x509-ca-cert" || !strings.HasPrefix(a.body, "-----BEGIN") {
		t.Errorf("certificate comes as %q", a.header.Get("Content-Type"))
	}
}

func TestPreferences(t *testing.T) {
	v := newHouse(t).visitor(t)
	if a := v.get("/sign-in"); !strings.Contains(a.body, `data-theme="auto"`) {
		t.Error("without a choice the theme is not the system's")
	}
	if a := v.post("/theme", "theme", "dark", "back", "/sign-in?next=%2F"); a.to != "/sign-in?next=%2F" {
		t.Errorf("led to %q, want back", a.to)
	}
	v.post("/language", "language", "en", "back", "//evil.example")
	a := v.get("/sign-in")
	if !strings.Contains(a.body, `data-theme="dark"`) || !strings.Contains(a.body, `lang="en"`) {
		t.Error("the choice is not kept")
	}
	v.post("/theme", "theme", "<script>")
	if a := v.get("/sign-in"); strings.Contains(a.body, "<script>") {
		t.Error("a theme nobody knows was taken")
	}
}

func TestOutside(t *testing.T) {
	v := newHouse(t).visitor(t)
	cases := []struct {
		name   string
		change func(*http.Request)
		status int
		want   string
	}{
		{"name that is not ours", func(r *http.Request) { r.Host = "evil.example" }, 421, "不认识这个主机名"},
		{"our name", func(r *http.Request) { r.Host = "EXAMPLE.com:8443" }, 200, ""},
		{"loopback", func(r *http.Request) { r.Host = "127.0.0.1:1" }, 200, ""},
		{"loopback of version 6", func(r *http.Request) { r.Host = "[::1]:1" }, 200, ""},
		{"address we were not reached at", func(r *http.Request) { r.Host = "203.0.113.9" }, 421, ""},
		{"no name", func(r *http.Request) { r.Host = "a..b" }, 421, ""},
		{"form of another site", func(r *http.Request) { r.Method = "POST"; r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "没有权限"},
		{"form of another origin", func(r *http.Request) { r.Method = "POST"; r.Header.Set("Origin", "https://evil.example") }, 403, ""},
		{"wrong method", func(r *http.Request) { r.Method = "PUT" }, 405, "不能这样访问"},
		{"too much", func(r *http.Request) {
			r.Method = "POST"
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("a", formLimit+1))), formLimit+1
		}, 413, "太大"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := v.request("GET", "/sign-in", nil)
			c.change(req)
			if a := v.send(req); a.status != c.status || !strings.Contains(a.body, c.want) {
				t.Errorf("status %d, want %d with %q", a.status, c.status, c.want)
			}
		})
	}
}

func TestPanicBecomesPage(t *testing.T) {
	h := newHouse(t)
	h.parts.Tickets = func(context.Context) (int, error) { panic("boom: 患者姓名") }
	a := h.visitor(t).signIn("admin").get("/settings")
	if a.status != http.StatusInternalServerError || !strings.Contains(a.body, "程序内部出错") || strings.Contains(a.body, "boom") {
		t.Errorf("status %d, want the calm page of 500", a.status)
	}
	if !strings.Contains(h.log.String(), "boom") {
		t.Error("the log does not tell of the panic")
	}
}

// TestStream reads the live events of a job as a browser does.
func TestStream(t *testing.T) {
	h := newHouse(t)
	v := h.visitor(t).signIn("admin")
	resp, err := v.client.Do(v.request("GET", "/jobs/1/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Fatalf("Content-Type %q", got)
	}
	events := eventsOf(resp)
	shows(t, events, "63%")
	h.jobs.read(t, 17)
	shows(t, events, "80%")
	h.jobs.finish(t)
	if got := shows(t, events, "chip-ok"); strings.Contains(got, "hx-trigger") {
		t.Errorf("the picture of an ended job asks for more: %s", got)
	}
	next(t, events, "end")
	if a := v.get("/jobs/1/live"); a.header.Get("HX-Refresh") != "true" {
		t.Error("the way without streams does not ask for the whole page at the end")
	}
}

// eventsOf parses a stream into "name\ndata" texts.
func eventsOf(resp *http.Response) <-chan string {
	out := make(chan string, 100)
	go func() {
		defer close(out)
		var one []string
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if line := lines.Text(); line != "" {
				one = append(one, strings.TrimPrefix(strings.TrimPrefix(line, "event: "), "data: "))
				continue
			}
			out <- strings.Join(one, "\n")
			one = nil
		}
	}()
	return out
}

// next waits for an event of a name, passing others over.
func next(t *testing.T, events <-chan string, name string) string {
	t.Helper()
	late := time.After(5 * time.Second)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the stream ended before an event %q", name)
			}
			if strings.HasPrefix(e, name+"\n") || e == name {
				return e
			}
		case <-late:
			t.Fatalf("no event %q within five seconds", name)
		}
	}
}

// shows waits until the live part of the page contains a word.
func shows(t *testing.T, events <-chan string, word string) string {
	t.Helper()
	for {
		if got := next(t, events, "live"); strings.Contains(got, word) {
			return got
		}
	}
}

// TestPassive leaves a page open that asks by itself: the session runs out all
// the same, and the message for the next page is not used up.
func TestPassive(t *testing.T) {
	h := newHouse(t)
	v := h.visitor(t).signIn("admin")
	req := v.request("GET", "/jobs/1/live", nil)
	req.Header.Set("HX-Request", "true")
	if a := v.send(req); a.status != 200 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("status %d with cookie %q, want 200 without", a.status, a.header.Get("Set-Cookie"))
	}
	if a := v.get("/settings"); a.header.Get("Set-Cookie") == "" {
		t.Error("a page a person asked for does not prolong the session")
	}
	v.post("/settings", "site.name", "第二医院")
	v.send(req)
	if a := v.get("/settings"); !strings.Contains(a.body, "设置已保存") {
		t.Error("the message went to a part of a page")
	}
}

// TestThrottle types a wrong password again and again.
func TestThrottle(t *testing.T) {
	v := newHouse(t).visitor(t)
	for range 8 {
		v.post("/sign-in", "user", "admin", "password", "wrong")
	}
	if a := v.post("/sign-in", "user", "admin", "password", goodPassword); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "尝试次数过多") {
		t.Errorf("status %d, want 401 that says to wait", a.status)
	}
}

// TestTLS speaks to the site over its own certificate.
func TestTLS(t *testing.T) {
	h := newEmptyHouse(t)
	layout := config.NewLayout(t.TempDir())
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	box, err := secret.Open(layout)
	if err != nil {
		t.Fatal(err)
	}
	own, err := certificate.Ensure(t.Context(), layout.Secret(), box, []string{"127.0.0.1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	parts := h.parts
	parts.TLS = own.TLSConfig()
	s, err := New(parts)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(own.CAPEM())
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.PostForm("https://"+l.Addr().String()+"/theme", url.Values{"theme": {"dark"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Set-Cookie"); !strings.Contains(got, "Secure") {
		t.Errorf("cookie %q may travel without TLS", got)
	}
	if got := resp.Header.Get("Strict-Transport-Security"); got == "" {
		t.Error("the answer does not ask for TLS in future")
	}
	if resp.ProtoMajor != 2 {
		t.Errorf("protocol %s, want HTTP/2: one connection carries the streams of many pages", resp.Proto)
	}
	if s.sessions.Cookie.Name != "__Host-emrvault" || !s.sessions.Cookie.Secure {
		t.Errorf("session cookie %s may travel without TLS", s.sessions.Cookie.Name)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStop stops the server while a stream is open.
func TestStop(t *testing.T) {
	h := newHouse(t)
	v := h.visitor(t).signIn("admin")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, l) }()
	req := v.request("GET", "/jobs/1/events", nil)
	cookie := v.cookies("emrvault")
	req.URL.Host = l.Addr().String()
	req.AddCookie(&http.Cookie{Name: "emrvault", Value: cookie})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	next(t, eventsOf(resp), "live")
	began := time.Now()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("an open stream holds up the stop")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %s", took)
	}
}
