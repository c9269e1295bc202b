package system

import (
	"net/http"

	"emrvault/appliance/locale"
	"emrvault/webui/render"
)

// Preferences keeps what a visitor chose in cookies of his own browser; no
// session is needed, so it works on the sign-in page too.
type Preferences struct {
	render *render.Renderer
	secure bool // cookies over TLS only
}

// NewPreferences makes the handlers.
func NewPreferences(r *render.Renderer, secure bool) *Preferences {
	return &Preferences{r, secure}
}

// Language is POST /language.
func (p *Preferences) Language(c render.Context) {
	if lang, ok := locale.Parse(c.PostForm("language")); ok {
		p.remember(c, "language", string(lang))
	}
	p.render.Redirect(c, c.PostForm("back"))
}

// Theme is POST /theme, for visitors without script.
func (p *Preferences) Theme(c render.Context) {
	if theme := c.PostForm("theme"); theme == "light" || theme == "dark" {
		p.remember(c, "theme", theme)
	}
	p.render.Redirect(c, c.PostForm("back"))
}

const year = 365 * 24 * 60 * 60

// remember sets a cookie that scripts may read: the theme switch does.
func (p *Preferences) remember(c render.Context, name, value string) {
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // holds a word like "dark" and no secret
		Name: name, Value: value, Path: "/", MaxAge: year, SameSite: http.SameSiteLaxMode, Secure: p.secure,
	})
}
