package webui

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/webui/security"
)

// goodPassword is what everybody in these tests signs in with.
const goodPassword = "correct horse 42"

// settings keeps what the box was told in memory.
type settings struct {
	mu  sync.Mutex
	now *config.Settings
}

func (s *settings) Current() *config.Settings { s.mu.Lock(); defer s.mu.Unlock(); return s.now }

func (s *settings) Change(_ context.Context, _ string, values map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.now
	for key, v := range values {
		if err := next.Set(key, v); err != nil {
			return err
		}
	}
	s.now = &next
	return nil
}

func (s *settings) Protection() secret.Protection { return secret.ByFile }

type authority struct{}

func (authority) CAPEM() []byte       { return []byte("-----BEGIN CERTIFICATE-----\n") }
func (authority) Fingerprint() string { return "3F:A1:9C:" + strings.Repeat("5B:", 28) + "E0" }

// moment is the time of the tests: of today, because browsers and sessions have
// clocks of their own.
var moment = time.Now().UTC().Truncate(time.Minute)

// house is a site with everything around it. People and sessions are those of
// the product, in a database of their own.
type house struct {
	*Server
	people *identity.Directory
	folder string // offered for the first repository
	store  *store.Store
	jobs   *worklist
	log    *strings.Builder
}

// newHouse builds a site where "admin" (an administrator, the first user) and
// "guest" (a viewer) may sign in.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := newEmptyHouse(t)
	for _, u := range []identity.NewUser{{Name: "admin", Roles: []identity.Role{identity.Admin}}, {Name: "guest", Roles: []identity.Role{identity.Viewer}}} {
		u.FullName, u.Password = "李工", goodPassword
		_, err := h.people.Add(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
	}
	err := h.store.Write(t.Context(), func(tx *store.Tx) error {
		id, err := plan.InsertRepository(tx, plan.Repository{Name: "local", Location: h.folder})
		if err != nil {
			return err
		}
		return plan.ConfirmSheet(tx, id, "")
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// newEmptyHouse builds a site before its first start: nobody is there yet.
func newEmptyHouse(t *testing.T) *house {
	t.Helper()
	now := func() time.Time { return moment }
	layout := config.NewLayout(filepath.Join(t.TempDir(), "data"))
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), layout.Database(), now)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.Open(layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	people := identity.New(st, identity.Options{Cost: identity.Cost{Memory: 64, Passes: 1, Threads: 1}})
	h := &house{people: people, folder: filepath.Join(t.TempDir(), "repository"), store: st, jobs: newWorklist(t, st), log: &strings.Builder{}}
	book := plan.NewBook(st, time.UTC)
	repositories := run.NewRepositories(run.Parts{Store: st, Book: book, Box: box, Layout: layout, Host: "box", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	set := &settings{now: config.Defaults()}
	if err := set.now.Set("site.name", "示例市第一人民医院"); err != nil {
		t.Fatal(err)
	}
	s, err := New(Parts{
		Version: "1.0.0", Now: now,
		Log:      slog.New(slog.NewTextHandler(lockedWriter{&sync.Mutex{}, h.log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Site:     func() Site { return siteOf(set.Current()) },
		Sessions: identity.NewSessions(st), Users: h.people, Settings: set, Certificate: authority{}, Jobs: h.jobs,
		Start: security.Start{Link: h.people, Storage: repositories, Places: book, Folder: h.folder},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Server = s
	return h
}

func siteOf(s *config.Settings) Site {
	return Site{Name: s.SiteName, Lang: s.Language, Zone: s.Zone, Hosts: append([]string{"example.com"}, s.Hosts...), SessionIdle: s.SessionIdle, SessionLife: s.SessionLife}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// visitor is a browser without scripts: it keeps cookies and does not follow
// redirects by itself.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
	lang   locale.Lang
}

func (h *house) visitor(t *testing.T) *visitor {
	t.Helper()
	srv := httptest.NewServer(h.Handler())
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: srv.URL, lang: locale.Chinese, client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back.
type answer struct {
	status int
	to     string // where a redirect leads
	body   string
	header http.Header
}

func (v *visitor) send(req *http.Request) answer {
	v.t.Helper()
	if req.Header.Get("Accept-Language") == "" {
		req.Header.Set("Accept-Language", string(v.lang))
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Location"), string(body), resp.Header}
}

func (v *visitor) request(method, path string, form url.Values) *http.Request {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req
}

func (v *visitor) get(path string) answer { v.t.Helper(); return v.send(v.request("GET", path, nil)) }

func (v *visitor) post(path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.send(v.request("POST", path, form))
}

func (v *visitor) signIn(name string) *visitor {
	v.t.Helper()
	if a := v.post("/sign-in", "user", name, "password", goodPassword, "next", "/"); a.status != http.StatusSeeOther {
		v.t.Fatalf("sign-in of %s: status %d, want 303: %s", name, a.status, a.body)
	}
	return v
}

// worklist is the product's list of jobs with two jobs that do what a test says.
type worklist struct {
	*jobs.Manager
	steps         chan func(*jobs.Run) error // for the running job, until one gives an error or errDone
	running, lost int64
}

var errDone = errors.New("the running job has done its work")

// newWorklist runs a backup that is at 63 percent and a drill that has failed.
func newWorklist(t *testing.T, st *store.Store) *worklist {
	t.Helper()
	w := &worklist{Manager: jobs.New(st, jobs.Options{Frame: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}), steps: make(chan func(*jobs.Run) error)}
	w.Register(jobs.Kind{Name: "backup", Run: w.backup})
	w.Register(jobs.Kind{Name: "drill", Run: func(_ context.Context, r *jobs.Run) error {
		r.Stage("restore")
		r.Stage("verify")
		r.Problem("a.xml", errors.New("hash differs"))
		return errs.New(errs.Conflict, "web.users.unknown")
	}})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	w.running, w.lost = w.submit(t, "backup"), w.submit(t, "drill")
	if _, err := w.Wait(t.Context(), w.lost); err != nil {
		t.Fatal(err)
	}
	w.step(t, func(r *jobs.Run) error {
		r.Stage("check")
		r.Stage("read")
		r.Total(2000, 100<<20)
		r.Add(1200, 63<<20)
		r.Current("emrdoc/2026/11/首次病程记录.xml")
		return nil
	})
	return w
}

func (w *worklist) submit(t *testing.T, kind string) int64 {
	t.Helper()
	job, err := w.Submit(t.Context(), jobs.Request{Kind: kind, Key: kind, Trigger: jobs.Manual, By: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	return job.ID
}

func (w *worklist) backup(ctx context.Context, r *jobs.Run) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case step := <-w.steps:
			if err := step(r); errors.Is(err, errDone) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// step lets the running job do something.
func (w *worklist) step(t *testing.T, do func(*jobs.Run) error) {
	t.Helper()
	select {
	case w.steps <- do:
	case <-time.After(5 * time.Second):
		t.Fatal("the job does not run")
	}
}

// read lets the running job read some megabytes more.
func (w *worklist) read(t *testing.T, megabytes int64) {
	t.Helper()
	w.step(t, func(r *jobs.Run) error { r.Add(10, megabytes<<20); return nil })
}

// finish lets the running job come to its end.
func (w *worklist) finish(t *testing.T) {
	t.Helper()
	w.step(t, func(*jobs.Run) error { return errDone })
}
