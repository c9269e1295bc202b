package render

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"emrvault/appliance/errs"
)

const htmlType = "text/html; charset=utf-8"

// Page answers with a whole page.
func (r *Renderer) Page(c Context, name string, data any) {
	r.PageStatus(c, http.StatusOK, name, data)
}

// PageStatus answers with a whole page and a status, as for a form that is
// shown again with its messages (422).
func (r *Renderer) PageStatus(c Context, status int, name string, data any) {
	text, err := r.Text(FrameOf(c), name, "", data)
	if err != nil {
		r.Error(c, err)
		return
	}
	r.send(c, status, text)
}

// Fragment answers with one block of a page, for htmx.
func (r *Renderer) Fragment(c Context, name, block string, data any) {
	text, err := r.Text(FrameOf(c), name, block, data)
	if err != nil {
		r.Error(c, err)
		return
	}
	r.send(c, http.StatusOK, text)
}

// send writes a finished page. Pages show patients and passwords' traces: no
// browser and no proxy keeps them.
func (r *Renderer) send(c Context, status int, text []byte) {
	c.Header("Cache-Control", "no-store")
	c.Data(status, htmlType, text)
}

// Redirect leads to another page of ours after an action (303: the next
// request is a GET). htmx is told in its own way.
func (r *Renderer) Redirect(c Context, to string) {
	to = LocalPath(to)
	if c.GetHeader("HX-Request") != "" {
		c.Header("HX-Redirect", to)
		c.Status(http.StatusNoContent)
		return
	}
	c.Redirect(http.StatusSeeOther, to)
}

// Done leads on after an action and tells there, once, what was done.
func (r *Renderer) Done(c Context, to, key string, args ...any) {
	r.flash(c, "ok", FrameOf(c).Lang.T(key, args...))
	r.Redirect(c, to)
}

// Failed leads on after an action that did not succeed and tells why. For
// forms, PageStatus with the values typed is better.
func (r *Renderer) Failed(c Context, to string, err error) {
	if errs.KindOf(err) == errs.Internal {
		r.Error(c, err)
		return
	}
	r.flash(c, "bad", FrameOf(c).Lang.Error(err))
	r.Redirect(c, to)
}

func (r *Renderer) flash(c Context, kind, text string) {
	if r.Flash != nil {
		r.Flash.Flash(c, kind, text)
	}
}

// LocalPath makes sure that a path to lead to stays on this site; anything
// else becomes the first page. Browsers read a backslash as a slash.
func LocalPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// StatusOf is the HTTP status of a kind of failure.
func StatusOf(kind errs.Kind) int {
	switch kind {
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Denied:
		return http.StatusForbidden
	case errs.Invalid:
		return http.StatusUnprocessableEntity
	case errs.Conflict:
		return http.StatusConflict
	case errs.Busy:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Error answers with the error page that fits: the text the error brings, or
// the calm one for faults of ours, which go to the log in full.
func (r *Renderer) Error(c Context, err error) {
	kind := errs.KindOf(err)
	if kind == errs.Internal {
		_ = c.Error(err) // the request log writes it, once
	}
	r.oops(c, StatusOf(kind), FrameOf(c).Lang.Error(err))
}

// Status answers with the error page of a bare status (403, 404, 405, …).
func (r *Renderer) Status(c Context, status int) { r.oops(c, status, "") }

// Oops is the data of the error page.
type Oops struct {
	Status int
	Reason string // what the error says; may be empty
}

// Title and Advice are keys of texts.
func (o Oops) Title() string { return "web.error." + o.word() + ".title" }

// Advice is what the person can do next.
func (o Oops) Advice() string { return "web.error." + o.word() + ".advice" }

func (o Oops) word() string {
	switch o.Status {
	case http.StatusNotFound:
		return "missing"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "denied"
	case http.StatusMethodNotAllowed:
		return "method"
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return "invalid"
	case http.StatusRequestEntityTooLarge:
		return "large"
	case http.StatusConflict:
		return "conflict"
	case http.StatusServiceUnavailable:
		return "busy"
	case http.StatusMisdirectedRequest:
		return "host"
	}
	return "internal"
}

func (r *Renderer) oops(c Context, status int, reason string) {
	c.Abort()
	if c.Writer.Written() {
		return // the head is out: the visitor sees a broken answer, the log says why
	}
	text, err := r.Text(FrameOf(c), "error/error", "", Oops{status, reason})
	if err != nil {
		_ = c.Error(err)
		c.Header("Cache-Control", "no-store")
		c.Data(http.StatusInternalServerError, "text/plain; charset=utf-8", []byte(FrameOf(c).Lang.T("error.internal")))
		return
	}
	r.send(c, status, text)
}

// IsFragment says whether htmx asks for a part of the page.
func IsFragment(c *gin.Context) bool { return c.GetHeader("HX-Request") != "" }

// Begun leads to the page of a job that was handed in; when one of its kind is
// at work already, to that one, and otherwise back with the reason.
func (r *Renderer) Begun(c Context, job int64, err error, back string) {
	page := "/jobs/" + strconv.FormatInt(job, 10)
	switch {
	case err == nil:
		r.Redirect(c, page)
	case errs.KindOf(err) == errs.Busy && job != 0:
		r.Failed(c, page, err)
	default:
		r.Failed(c, back, err)
	}
}
