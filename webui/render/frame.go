package render

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
)

// Context is what a handler is given.
type Context = *gin.Context

// Frame is what surrounds every page. The middleware makes one for each
// request; handlers read it, and only sign-in changes it.
type Frame struct {
	Lang       locale.Lang
	Theme      string // light, dark, or auto
	Site       string // name of the hospital, as set by the administrator
	Version    string
	Uptime     time.Duration
	Now        time.Time      // in the site's zone
	Path       string         // path of the request, to mark the menu
	Back       string         // where the switches of language and theme lead back to
	Request    string         // number of the request, as the log names it
	Person     *identity.User // nil while nobody is signed in
	Menu       []Section
	OpenTicket int  // tickets that are not closed; 0 shows no badge
	Unfinished bool // the first start waits for its last steps, and this person can do them
	Message    *Message
}

// Message is told once, on the page after an action.
type Message struct {
	Kind string // ok, warn, bad, info
	Text string
}

// Section is a group of the menu.
type Section struct {
	Key   string // text key of its heading
	Items []Item
}

// Item is one line of the menu.
type Item struct {
	Key     string // text key
	Href    string
	Icon    string
	Current bool
	Badge   int // 0 shows none
}

// May says whether the person on this page holds a permission; templates hide
// with it what would be refused.
func (f *Frame) May(permission identity.Permission) bool {
	return f.Person != nil && f.Person.May(permission)
}

// Initial is the letter or character in the round badge of the person.
func (f *Frame) Initial() string {
	for _, r := range f.Person.Title() {
		return string(r)
	}
	return "?"
}

// HTMLLang is the language as HTML writes it.
func (f *Frame) HTMLLang() string {
	if f.Lang == locale.English {
		return "en"
	}
	return "zh-CN"
}

// Other is the language the switch leads to.
func (f *Frame) Other() locale.Lang {
	if f.Lang == locale.English {
		return locale.Chinese
	}
	return locale.English
}

// OtherTheme is the theme the switch leads to without a script; the server
// does not know what the system of an "auto" visitor prefers.
func (f *Frame) OtherTheme() string {
	if f.Theme == "dark" {
		return "light"
	}
	return "dark"
}

const frameKey = "frame"

// SetFrame puts the frame where FrameOf finds it.
func SetFrame(c Context, f *Frame) { c.Set(frameKey, f) }

// FrameOf is the frame of a request. A request without one, as in a test of
// a single handler, gets a plain Chinese one.
func FrameOf(c Context) *Frame {
	if f, ok := c.Get(frameKey); ok {
		return f.(*Frame)
	}
	f := &Frame{Lang: locale.Chinese, Theme: "auto", Path: c.Request.URL.Path}
	SetFrame(c, f)
	return f
}

// PersonOf is who is signed in; nil when nobody is.
func PersonOf(c Context) *identity.User { return FrameOf(c).Person }

// NameOf is the sign-in name for records ("by whom"); empty when nobody is
// signed in.
func NameOf(c Context) string {
	if p := PersonOf(c); p != nil {
		return p.Name
	}
	return ""
}

// Ctx is the context of the request: it ends when the visitor hangs up.
func Ctx(c Context) context.Context { return c.Request.Context() }
