// Package webui is the face of the box: the pages for people.
//
// A request passes, in this order: security headers (and the static files,
// which need nothing more), the session, then gin's chain of middleware.go:
// number and log line, recovery from panic, known host name, cross-origin
// check, size of the body, the frame (who is here, language, theme, menu), the
// permission its route names, and last the handler.
//
// How a page is added:
//
//  1. Handler: a file in the folder of its area (webui/desk/tickets.go). The
//     file begins with the few methods it needs from below as an interface,
//     then a struct holding that and the *render.Renderer. A handler reads the
//     form, asks or acts, and ends in one of render's answers: Page, PageStatus
//     with 422 to show a form again, Done to lead on and tell what was done,
//     Error with whatever error came back (its kind becomes the status).
//  2. Template: assets/templates/<area>/<name>.html, see package render. Texts
//     through {{T "key"}}; sizes, times, icons through the functions listed in
//     render/funcs.go; parts in templates/parts. No style=, no inline script, no
//     hx-on, no "js:" values, no trigger filters: a test looks for them.
//  3. Route: one line in routes.go with the permission of package identity.
//     A page of the menu has one more line in menu.go.
//  4. Texts in both languages under appliance/locale.
//  5. Part: what the handler needs becomes a field of Parts, handed in by
//     main.go. A nil field means "not in this version": its routes and menu
//     lines do not exist then.
//  6. Test: a line in the list of pages_test.go (status, both languages).
//
// Live rows: <div hx-ext="sse" sse-connect="/jobs/7/events"> with sse-swap, or
// hx-trigger="every 3s" as the way without streams; see protection/job.go.
package webui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"emrvault/appliance/console"
	"emrvault/appliance/locale"
	"emrvault/webui/assets"
	"emrvault/webui/render"
)

// Site is what the administrator set and every page shows. It may change while
// the program runs.
type Site struct {
	Name  string
	Lang  locale.Lang // for visitors who chose none
	Zone  *time.Location
	Hosts []string // names and addresses under which the box may be called
	// SessionIdle ends a session nobody uses, SessionLife every session.
	SessionIdle, SessionLife time.Duration
}

// Server is the whole site. Make it with New, run it with Serve.
type Server struct {
	parts    Parts
	render   *render.Renderer
	static   *assets.Static
	sessions *scs.SessionManager
	areas    areas
	known    map[string]bool // paths that answer a GET, for the menu
	handler  http.Handler
	started  time.Time
	done     chan struct{} // closed when the server begins to stop: streams end
	watch    time.Duration // between two looks at the session of a stream
}

// New builds the site from its parts; templates and routes are checked here.
func New(p Parts) (*Server, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	s := &Server{parts: p, started: p.Now(), done: make(chan struct{}), watch: watchEvery}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("prepare pages: %w", err)
	}
	s.areas = s.build()
	s.handler = s.chain()
	return s, nil
}

// prepare reads templates and static files and makes the session manager.
func (s *Server) prepare() error {
	static, err := assets.NewStatic()
	if err != nil {
		return err
	}
	templates, err := assets.Templates()
	if err != nil {
		return err
	}
	s.static = static
	s.sessions = s.sessionManager()
	s.render, err = render.New(templates, render.Options{
		Static: static, Now: s.parts.Now, Log: s.parts.Log, Flash: flasher{s.sessions},
		Zone: func() *time.Location { return s.parts.Site().Zone },
	})
	return err
}

// Handler is the site as one handler, for tests and for Serve.
func (s *Server) Handler() http.Handler { return s.handler }

// chain puts the outer layers around gin.
func (s *Server) chain() http.Handler {
	engine := streaming(s.engine())
	active, passive := s.sessions.LoadAndSave(engine), s.peek(engine)
	return s.headers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStatic(r) {
			s.static.ServeHTTP(w, r)
			return
		}
		if isPassive(r) {
			passive.ServeHTTP(w, r)
			return
		}
		active.ServeHTTP(w, r)
	}))
}

func (s *Server) engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.HandleMethodNotAllowed = true
	e.ForwardedByClientIP = false // nobody in front of us is trusted to tell the address
	e.RedirectFixedPath = false
	e.Use(s.number, s.log, s.rescue, s.frame, s.knownHost, s.sameOrigin, s.limitBody)
	e.NoRoute(func(c *gin.Context) { s.render.Status(c, http.StatusNotFound) })
	e.NoMethod(func(c *gin.Context) { s.render.Status(c, http.StatusMethodNotAllowed) })
	s.known = map[string]bool{}
	for _, r := range s.Routes() {
		e.Handle(r.Method, r.Path, s.guard(r), r.Handler)
		if r.Method == http.MethodGet {
			s.known[r.Path] = true
			e.Handle(http.MethodHead, r.Path, s.guard(r), r.Handler)
		}
	}
	return e
}

const (
	headerTime = 10 * time.Second // a visitor who dawdles with the head of a request
	readTime   = 60 * time.Second // a form on a slow line
	writeTime  = 10 * time.Minute // a download; streams lift it for themselves
	idleTime   = 2 * time.Minute
	stopTime   = 8 * time.Second // the box promises to stop within ten
)

// Serve answers on the listener until ctx ends, then lets requests under way
// finish, for a few seconds. With a TLS configuration in the parts the listener
// speaks TLS, otherwise plain HTTP: main allows that on loopback only.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.parts.Log.Handler(), slog.LevelDebug),
	}
	srv.RegisterOnShutdown(func() { close(s.done) })
	failed := make(chan error, 1)
	go func() { failed <- s.listen(srv, l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve pages: %w", err)
	case <-ctx.Done():
	}
	return s.stop(ctx, srv, failed)
}

func (s *Server) listen(srv *http.Server, l net.Listener) error {
	if s.parts.TLS == nil {
		return srv.Serve(l)
	}
	srv.TLSConfig = s.parts.TLS
	return srv.ServeTLS(l, "", "") // the certificate comes from the configuration
}

func (s *Server) stop(ctx context.Context, srv *http.Server, failed <-chan error) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close() // a download that would not end
	}
	if ended := <-failed; err == nil && !errors.Is(ended, http.ErrServerClosed) {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("stop pages: %w", err)
	}
	return nil
}

// Address is the page's address as a person types it. A listener on all
// addresses is named by the machine.
func Address(l net.Listener, plain bool) string {
	scheme := "https"
	if plain {
		scheme = "http"
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = console.Host()
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
