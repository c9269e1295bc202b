// Package system holds the pages about the box itself: settings, certificate,
// version and licences, and what a visitor chooses for himself.
package system

import (
	"context"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"emrvault/appliance/config"
	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/webui/render"
)

// Settings is what the box was told.
type Settings interface {
	// Current is what holds now. It is not changed by its readers.
	Current() *config.Settings
	// Change checks and keeps new values by their keys; all or none.
	Change(ctx context.Context, by string, values map[string]string) error
	// Protection says how the box key lies on disk.
	Protection() secret.Protection
}

// Certificate is the box's own authority.
type Certificate interface {
	CAPEM() []byte
	Fingerprint() string
}

// Licences gives the text of a vendored file.
type Licences interface {
	Text(name string) (string, error)
}

// Pages shows and changes settings.
type Pages struct {
	render      *render.Renderer
	settings    Settings
	certificate Certificate // nil over plain HTTP
	licences    Licences
}

// New makes the pages; certificate may be nil.
func New(r *render.Renderer, s Settings, certificate Certificate, l Licences) *Pages {
	return &Pages{r, s, certificate, l}
}

// editable are the settings this page changes; the others need a restart of
// the service and stay with `config set`.
var editable = []string{"site.name", "site.language", "site.time_zone", "session.idle", "session.life"}

// row is one setting as the page shows it.
type row struct {
	Key, Value, Comment string
	Locked              bool // set by the environment: it would win over the file
	Restart             bool // what runs keeps its old value
	Choices             []choice
}

type choice struct{ Value, Text string }

// page is the data of settings.html.
type page struct {
	Rows        []row
	Fixed       []row
	Problem     string
	Protection  string // key of the plain words
	Fingerprint string
	HasCA       bool
}

// Show is GET /settings.
func (p *Pages) Show(c render.Context) {
	p.render.Page(c, "system/settings", p.page(c, nil, nil))
}

// page fills the form from what holds, or from what was typed.
func (p *Pages) page(c render.Context, typed map[string]string, problem error) page {
	lang, now := render.FrameOf(c).Lang, p.settings.Current()
	d := page{Protection: p.settings.Protection().Key(), HasCA: p.certificate != nil}
	if problem != nil {
		d.Problem = lang.Error(problem)
	}
	if p.certificate != nil {
		d.Fingerprint = p.certificate.Fingerprint()
	}
	for _, key := range editable {
		r := settingRow(lang, now, key)
		if v, ok := typed[key]; ok {
			r.Value = v
		}
		d.Rows = append(d.Rows, r)
	}
	for _, key := range config.Keys() {
		if !slices.Contains(editable, key) {
			d.Fixed = append(d.Fixed, settingRow(lang, now, key))
		}
	}
	return d
}

func settingRow(lang locale.Lang, s *config.Settings, key string) row {
	value, _ := s.Get(key)
	r := row{Key: key, Value: value, Comment: config.Comment(lang, key), Locked: s.Origin(key) == config.FromEnvironment}
	r.Restart = key == "site.time_zone" || strings.HasPrefix(key, "session.")
	if key == "site.language" {
		for _, l := range locale.Languages() {
			r.Choices = append(r.Choices, choice{string(l), l.T("web.language.self")})
		}
	}
	return r
}

// Save is POST /settings.
func (p *Pages) Save(c render.Context) {
	values, now := map[string]string{}, p.settings.Current()
	for _, key := range editable {
		typed, sent := c.GetPostForm(key)
		old, _ := now.Get(key)
		if sent && typed != old && now.Origin(key) != config.FromEnvironment {
			values[key] = typed
		}
	}
	err := p.settings.Change(render.Ctx(c), render.NameOf(c), values)
	switch {
	case errs.KindOf(err) == errs.Invalid:
		p.render.PageStatus(c, http.StatusUnprocessableEntity, "system/settings", p.page(c, values, err))
	case err != nil:
		p.render.Error(c, err)
	default:
		p.render.Done(c, "/settings", "web.settings.saved")
	}
}

// CA is GET /certificate/ca.crt: what a browser must know to trust this box.
func (p *Pages) CA(c render.Context) {
	c.Header("Content-Disposition", `attachment; filename="emrvault-ca.crt"`)
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "application/x-x509-ca-cert", p.certificate.CAPEM())
}

// vendored lists the files of others that the pages bring along.
var vendored = []struct{ Name, Version, Licence, file string }{
	{"htmx", "2.0.11", "0BSD", "vendor/LICENSE-htmx.txt"},
	{"htmx-ext-sse", "2.2.4", "0BSD", "vendor/LICENSE-sse.txt"},
	{"uPlot", "1.6.32", "MIT", "vendor/LICENSE-uplot.txt"},
	{"Tabler Icons", "3.51.0", "MIT", "vendor/LICENSE-tabler.txt"},
}

type vendoredPart struct{ Name, Version, Licence, Text string }

type module struct{ Path, Version string }

// About is GET /about: version, and the work of others inside.
func (p *Pages) About(c render.Context) {
	var d struct {
		Parts   []vendoredPart
		Modules []module
		Go      string
	}
	for _, v := range vendored {
		text, err := p.licences.Text(v.file)
		if err != nil {
			p.render.Error(c, err)
			return
		}
		d.Parts = append(d.Parts, vendoredPart{v.Name, v.Version, v.Licence, text})
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		d.Go = info.GoVersion
		for _, m := range info.Deps {
			d.Modules = append(d.Modules, module{m.Path, m.Version})
		}
	}
	p.render.Page(c, "system/about", d)
}
