package webui

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/certificate"
	"emrvault/appliance/config"
	"emrvault/appliance/secret"
)

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
	// Browsers would take it for the whole machine and its other pages, and would
	// let nobody in any more once the box has a new address and so a new authority.
	if got := resp.Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("Strict-Transport-Security: %s, want none", got)
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
