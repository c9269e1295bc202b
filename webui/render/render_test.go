package render

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/webui/assets"
)

var noon = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC) // 12:00 in Shanghai

func shanghai() *time.Location { return time.FixedZone("CST", 8*3600) }

func options(t *testing.T) Options {
	t.Helper()
	static, err := assets.NewStatic()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Static: static, Now: func() time.Time { return noon }, Zone: shanghai,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// site is the real layouts and parts with pages of the test.
func site(t *testing.T, pages map[string]string) *Renderer {
	t.Helper()
	files := fstest.MapFS{
		"layout/bare.html":  {Data: []byte(`{{define "bare"}}<h1>{{template "title" .}}</h1>{{template "main" .}}{{end}}`)},
		"parts/word.html":   {Data: []byte(`{{define "word"}}[{{.}}]{{end}}`)},
		"error/error.html":  {Data: []byte(`{{define "title"}}{{T .Data.Title}}{{end}}{{define "main"}}{{.Data.Reason}}|{{T .Data.Advice}}{{end}}{{template "bare" .}}`)},
		"broken/panic.html": {Data: []byte(`before {{.Data.Nothing}}`)},
	}
	for name, text := range pages {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	r, err := New(files, options(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask runs one handler for one request.
func ask(t *testing.T, header http.Header, handle func(Context)) *httptest.ResponseRecorder {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	w := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(w)
	c.Request = httptest.NewRequest(http.MethodGet, "/page", nil)
	for name, values := range header {
		c.Request.Header[name] = values
	}
	handle(c)
	c.Writer.WriteHeaderNow()
	return w
}

// TestRealTemplates parses every template of the product in both languages.
func TestRealTemplates(t *testing.T) {
	files, err := assets.Templates()
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(files, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Pages()) < 5 {
		t.Errorf("only %d pages found", len(r.Pages()))
	}
}

func TestFunctions(t *testing.T) {
	when := noon.Add(-90 * time.Minute)
	cases := []struct {
		name, text, zh, en string
	}{
		{"text", `{{T "web.save"}}`, "保存", "Save"},
		{"text with value", `{{T "web.version" "version" "1.2"}}`, "版本 1.2", "Version 1.2"},
		{"bytes", `{{bytes 1536}} {{number 1234567}}`, "1.50 KB 1,234,567", "1.50 KB 1,234,567"},
		{"time in the site's zone", `{{clock .Data}} {{time .Data}}`, "10:30:00 2026 年 11 月 22 日 10:30", "10:30:00 22 Nov 2026 10:30"},
		{"ago", `{{ago .Data}}`, "1 小时前", "1 hour ago"},
		{"stamp", `{{stamp .Data}}`, "2026-11-22T10:30:00&#43;08:00", "2026-11-22T10:30:00&#43;08:00"},
		{"part", `{{template "word" (dict "a" 1)}}`, "[map[a:1]]", "[map[a:1]]"},
		{"escaped", `{{.Lang}}{{"<b>"}}`, "zh&lt;b&gt;", "en&lt;b&gt;"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := site(t, map[string]string{"a/page.html": c.text})
			for lang, want := range map[locale.Lang]string{locale.Chinese: c.zh, locale.English: c.en} {
				got, err := r.Text(&Frame{Lang: lang, Now: noon}, "a/page", "", when)
				if err != nil || string(got) != want {
					t.Errorf("%s: got %q, %v; want %q", lang, got, err, want)
				}
			}
		})
	}
}

func TestMistakesStopTheStart(t *testing.T) {
	for name, text := range map[string]string{
		"unknown function": `{{nothing 1}}`,
		"syntax":           `{{if}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(fstest.MapFS{
				"layout/a.html": {Data: []byte("x")}, "parts/b.html": {Data: []byte("x")}, "c/d.html": {Data: []byte(text)},
			}, options(t)); err == nil {
				t.Error("a wrong template was accepted")
			}
		})
	}
}

func TestMistakesOfPages(t *testing.T) {
	for name, text := range map[string]string{
		"unknown icon": `{{icon "no-such-icon"}}`,
		"unknown file": `{{static "no.css"}}`,
		"odd dict":     `{{template "word" (dict "a")}}`,
		"no number":    `{{bytes "x"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := site(t, map[string]string{"a/page.html": text})
			if got, err := r.Text(&Frame{Lang: locale.Chinese}, "a/page", "", nil); err == nil {
				t.Errorf("got %q, want an error", got)
			}
		})
	}
}

func TestErrorsBecomePages(t *testing.T) {
	r := site(t, nil)
	cases := []struct {
		name   string
		handle func(Context)
		status int
		want   string
	}{
		{"not found", func(c Context) { r.Error(c, errs.New(errs.NotFound, "web.users.unknown")) }, 404, "没有这个用户"},
		{"denied", func(c Context) { r.Error(c, errs.New(errs.Denied, "web.users.unknown")) }, 403, "没有权限"},
		{"invalid", func(c Context) { r.Error(c, errs.New(errs.Invalid, "web.password.twice")) }, 422, "不一样"},
		{"conflict", func(c Context) { r.Error(c, errs.New(errs.Conflict, "web.password.twice")) }, 409, "现在不能这样做"},
		{"busy", func(c Context) { r.Error(c, errs.New(errs.Busy, "web.password.twice")) }, 503, "正忙"},
		{"internal", func(c Context) { r.Error(c, errors.New("secret detail")) }, 500, "详情已写入日志"},
		{"status", func(c Context) { r.Status(c, http.StatusMethodNotAllowed) }, 405, "不能这样访问"},
		{"page that fails half way", func(c Context) { r.Page(c, "broken/panic", struct{}{}) }, 500, "程序内部出错"},
		{"page nobody wrote", func(c Context) { r.Page(c, "no/page", nil) }, 500, "程序内部出错"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := ask(t, nil, c.handle)
			body := w.Body.String()
			if w.Code != c.status || !strings.Contains(body, c.want) {
				t.Errorf("status %d, want %d; body %q, want %q in it", w.Code, c.status, body, c.want)
			}
			if strings.Contains(body, "secret detail") || strings.Contains(body, "before") {
				t.Errorf("the page tells too much: %q", body)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q, want no-store", got)
			}
		})
	}
}

func TestLocalPath(t *testing.T) {
	for to, want := range map[string]string{
		"/plans/3?a=b": "/plans/3?a=b", "": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/",
		"plans": "/", "/a\r\nSet-Cookie: x": "/", "/\t/evil.example": "/",
	} {
		if got := LocalPath(to); got != want {
			t.Errorf("LocalPath(%q) = %q, want %q", to, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	f.Add("/plans")
	f.Add("//evil")
	f.Fuzz(func(t *testing.T, to string) {
		got := LocalPath(to)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(got, "/\\") {
			t.Errorf("LocalPath(%q) = %q leads away", to, got)
		}
	})
}

func TestRedirect(t *testing.T) {
	r := site(t, nil)
	plain := ask(t, nil, func(c Context) { r.Done(c, "/users", "web.users.added") })
	if plain.Code != http.StatusSeeOther || plain.Header().Get("Location") != "/users" {
		t.Errorf("status %d to %q, want 303 to /users", plain.Code, plain.Header().Get("Location"))
	}
	htmx := ask(t, http.Header{"Hx-Request": {"true"}}, func(c Context) { r.Redirect(c, "/users") })
	if htmx.Code != http.StatusNoContent || htmx.Header().Get("HX-Redirect") != "/users" {
		t.Errorf("status %d with HX-Redirect %q, want 204 to /users", htmx.Code, htmx.Header().Get("HX-Redirect"))
	}
}
