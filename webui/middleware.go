package webui

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
	"emrvault/webui/assets"
	"emrvault/webui/render"
)

// policy is the content policy of every answer: everything from ourselves,
// nothing inline, no frames, no forms to elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func isStatic(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, assets.Prefix) }

// headers sets what every answer carries, static files and errors included.
func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

// streaming gives the session layer's writer back the ability to send what is
// there, which streams need and the layer hides.
func streaming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(streamWriter{w}, r)
	})
}

type streamWriter struct{ http.ResponseWriter }

// Flush sends what is there. A connection that cannot is a test's.
func (w streamWriter) Flush() {
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap leads a http.ResponseController to the connection.
func (w streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// reads says that a request asks for a page, or for its head alone.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// isPassive says that nobody need sit before it: a page asks by itself, to show
// what has changed, or a program looks whether a page is there. Such a request
// must not keep a session from running out, nor use its message up.
func isPassive(r *http.Request) bool {
	return r.Method == http.MethodHead || r.Method == http.MethodGet && (r.Header.Get("HX-Request") != "" || strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream"))
}

// peek reads the session of a passive request and leaves it as it is.
func (s *Server) peek(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := ""
		if cookie, err := r.Cookie(s.sessions.Cookie.Name); err == nil {
			token = cookie.Value
		}
		ctx, err := s.sessions.Load(r.Context(), token)
		if err != nil {
			s.sessions.ErrorFunc(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// sessionManager keeps sessions in the store; the cookie holds only a random
// token and cannot be read by scripts.
func (s *Server) sessionManager() *scs.SessionManager {
	m := scs.New()
	m.Store = s.parts.Sessions
	site := s.parts.Site()
	m.IdleTimeout, m.Lifetime = site.SessionIdle, site.SessionLife
	m.Cookie.Name, m.Cookie.Persist = "emrvault", false
	if s.parts.TLS != nil {
		// The prefix makes browsers refuse the cookie from anybody but this host over TLS.
		m.Cookie.Name, m.Cookie.Secure = "__Host-emrvault", true
	}
	m.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		s.parts.Log.Error("session could not be read or kept", "error", err)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(s.parts.Site().Lang.T("error.internal")))
	}
	return m
}

// number names the request, so that a person can tell it and the log knows it.
func (s *Server) number(c *gin.Context) {
	c.Set("request", rand.Text()[:10])
	c.Next()
}

// log writes one line a request: the route's pattern and never the address
// itself, because addresses hold setup tokens and names of files.
func (s *Server) log(c *gin.Context) {
	began := time.Now()
	c.Next()
	level, status := slog.LevelDebug, c.Writer.Status()
	attrs := []any{
		"request", c.GetString("request"), "method", c.Request.Method, "route", c.FullPath(), "status", status,
		"took", time.Since(began).Round(time.Microsecond), "address", c.RemoteIP(), "user", render.NameOf(c),
	}
	if !reads(c.Request) {
		level = slog.LevelInfo
	}
	if len(c.Errors) > 0 {
		attrs = append(attrs, "error", errors.Join(errorsOf(c)...))
	}
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.parts.Log.Log(c.Request.Context(), level, "page served", attrs...)
}

func errorsOf(c *gin.Context) []error {
	list := make([]error, 0, len(c.Errors))
	for _, e := range c.Errors {
		list = append(list, e.Err)
	}
	return list
}

// rescue turns a panic into the page for faults of ours. An answer that was
// cut off on purpose goes on its way.
func (s *Server) rescue(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		s.parts.Log.Error("page panicked", "request", c.GetString("request"), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		s.render.Status(c, http.StatusInternalServerError)
	}()
	c.Next()
}

// knownHost refuses requests under a name that is not ours: a foreign page
// could point its own name at this box and then read it (DNS rebinding). An
// address is fine when the visitor really reached us there.
func (s *Server) knownHost(c *gin.Context) {
	if !s.isOurs(c.Request) {
		s.render.Status(c, http.StatusMisdirectedRequest)
	}
}

func (s *Server) isOurs(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || slices.ContainsFunc(s.parts.Site().Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	return address.IsLoopback() || address.Unmap() == localAddress(r)
}

// localAddress is the address of ours that the visitor connected to.
func localAddress(r *http.Request) netip.Addr {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// sameOrigin refuses forms that another site sends in a visitor's name.
func (s *Server) sameOrigin(c *gin.Context) {
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		s.render.Status(c, http.StatusForbidden)
	}
}

// formLimit is more than any form of ours needs.
const formLimit = 1 << 20

func (s *Server) limitBody(c *gin.Context) {
	if c.Request.ContentLength > formLimit {
		s.render.Status(c, http.StatusRequestEntityTooLarge)
		return
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, formLimit)
}

// frame puts around the request what every page shows.
func (s *Server) frame(c *gin.Context) {
	site, ctx := s.parts.Site(), c.Request.Context()
	f := &render.Frame{
		Theme: themeOf(c), Site: site.Name, Version: s.parts.Version, Uptime: s.parts.Now().Sub(s.started),
		Now: s.parts.Now().In(site.Zone), Path: c.Request.URL.Path, Request: c.GetString("request"),
	}
	f.Lang, f.Back = languageOf(c, site.Lang), backOf(c.Request)
	render.SetFrame(c, f)
	person, err := s.areas.security.Person(ctx)
	if err != nil {
		s.render.Error(c, fmt.Errorf("find who is signed in: %w", err))
		return
	}
	f.Person = person
	if isPassive(c.Request) {
		return // no menu and no message: only a part of the page is asked for
	}
	if kind := s.sessions.PopString(ctx, flashKind); kind != "" {
		f.Message = &render.Message{Kind: kind, Text: s.sessions.PopString(ctx, flashText)}
	}
	if person == nil {
		return
	}
	if f.OpenTicket, err = s.parts.openTickets(ctx); err != nil {
		_ = c.Error(err) // the badge stays away; the page is worth more than its badge
	}
	if f.Unfinished, err = s.unfinished(ctx, f); err != nil {
		_ = c.Error(err)
	}
	f.Menu = s.menu(f)
}

// unfinished says whether somebody who could finish the first start should be
// reminded of it: a box without its recovery sheet in a safe is not done.
func (s *Server) unfinished(ctx context.Context, f *render.Frame) (bool, error) {
	if !f.May(identity.SettingsWrite) || f.Path == "/first-steps" {
		return false, nil
	}
	return s.areas.setup.Pending(ctx)
}

// languageOf is what the visitor chose, else what his browser asks for when we
// speak it, else the site's language.
func languageOf(c *gin.Context, site locale.Lang) locale.Lang {
	if word, err := c.Cookie(languageCookie); err == nil {
		if lang, ok := locale.Parse(word); ok {
			return lang
		}
	}
	for _, word := range strings.Split(c.GetHeader("Accept-Language"), ",") {
		word, _, _ = strings.Cut(word, ";")
		if lang, ok := locale.Parse(word); ok {
			return lang
		}
	}
	return site
}

// backOf is the page a visitor stands on: of a form shown again it is where the
// form came from, because its own address takes no GET.
func backOf(r *http.Request) string {
	if reads(r) {
		return r.URL.RequestURI()
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return from.RequestURI()
}

const languageCookie, themeCookie = "language", "theme"

func themeOf(c *gin.Context) string {
	theme, err := c.Cookie(themeCookie)
	if err != nil || (theme != "light" && theme != "dark") {
		return "auto"
	}
	return theme
}

const flashKind, flashText = "message-kind", "message-text"

// flasher keeps the message for the next page in the session.
type flasher struct{ sessions *scs.SessionManager }

// Flash implements render.Flasher.
func (f flasher) Flash(c render.Context, kind, text string) {
	ctx := c.Request.Context()
	f.sessions.Put(ctx, flashKind, kind)
	f.sessions.Put(ctx, flashText, text)
}

// guard lets a visitor pass who holds the permission of the route. Who is not
// signed in is led to the sign-in page and back afterwards.
func (s *Server) guard(r Route) gin.HandlerFunc {
	return func(c *gin.Context) {
		person := render.PersonOf(c)
		switch {
		case r.Permission == Public:
		case person == nil:
			s.turnAway(c)
		case r.Permission != SignedIn && !person.May(r.Permission):
			s.render.Status(c, http.StatusForbidden)
		}
	}
}

func (s *Server) turnAway(c *gin.Context) {
	if reads(c.Request) && !render.IsFragment(c) {
		c.Abort()
		c.Redirect(http.StatusSeeOther, "/sign-in?next="+escape(c.Request.URL.RequestURI()))
		return
	}
	if render.IsFragment(c) {
		c.Header("HX-Redirect", "/sign-in")
	}
	s.render.Status(c, http.StatusUnauthorized)
}
