package webui

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"emrvault/appliance/locale"
	"emrvault/backup/repository"
	"emrvault/backup/storage/local"
)

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
