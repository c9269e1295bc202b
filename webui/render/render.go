// Package render turns data into pages.
//
// A page is a template file assets/templates/<area>/<name>.html. It defines a
// "title" and a "main" and names its layout in the last line:
//
//	{{define "title"}}{{T "tickets.title"}}{{end}}
//	{{define "main"}} … {{end}}
//	{{template "page" .}}
//
// Layouts (assets/templates/layout) are "page" with the menu, "gate" for
// sign-in, "alone" for what is shown before anybody is known. Parts
// (assets/templates/parts) are blocks that several pages use.
//
// Everything is parsed once at the start, for each language, with functions
// that speak that language; a missing part or an unknown function stops the
// start, not the visitor. What surrounds a page (who is here, menu, language,
// theme, site) is the Frame; the middleware makes it, templates reach it as
// fields of the dot, and the handler's own data as .Data.
//
// A page is written into memory first: a template that fails half way becomes
// an error page, never half a page.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"emrvault/appliance/locale"
	"emrvault/webui/assets"
)

// Flasher keeps one message for the next page of the same visitor.
type Flasher interface {
	Flash(c Context, kind, text string)
}

// Options are what a Renderer needs.
type Options struct {
	Static *assets.Static
	Now    func() time.Time
	Zone   func() *time.Location // the site's zone; may change while we run
	Flash  Flasher               // nil: messages for the next page are dropped
	Log    *slog.Logger
}

// Renderer holds every parsed page. It is safe for many goroutines.
type Renderer struct {
	Options
	pages map[locale.Lang]map[string]*template.Template // area/name
}

// New parses all templates below files in all languages.
func New(files fs.FS, o Options) (*Renderer, error) {
	if o.Static == nil || o.Now == nil || o.Zone == nil || o.Log == nil {
		return nil, errors.New("render: static files, clock, zone and log are needed")
	}
	r := &Renderer{Options: o, pages: map[locale.Lang]map[string]*template.Template{}}
	for _, lang := range locale.Languages() {
		pages, err := r.parse(files, lang)
		if err != nil {
			return nil, err
		}
		r.pages[lang] = pages
	}
	return r, nil
}

func (r *Renderer) parse(files fs.FS, lang locale.Lang) (map[string]*template.Template, error) {
	base := template.New("base").Funcs(r.functions(lang))
	base, err := base.ParseFS(files, "layout/*.html", "parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse layouts and parts: %w", err)
	}
	names, err := fs.Glob(files, "*/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range names {
		area := path.Dir(file)
		if area == "layout" || area == "parts" {
			continue
		}
		page, err := parsePage(files, base, file)
		if err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(file, ".html")] = page
	}
	return pages, nil
}

func parsePage(files fs.FS, base *template.Template, file string) (*template.Template, error) {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, err
	}
	set, err := base.Clone()
	if err != nil {
		return nil, err
	}
	page, err := set.New(file).Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return page, nil
}

// Pages lists the names of all pages, for tests that walk them.
func (r *Renderer) Pages() []string {
	var names []string
	for name := range r.pages[locale.Chinese] {
		names = append(names, name)
	}
	return names
}

// View is the dot of a page: the frame's fields, and the handler's data.
type View struct {
	*Frame
	Data any
}

// Text writes a page, or only one block of it when block is not empty.
func (r *Renderer) Text(frame *Frame, name, block string, data any) ([]byte, error) {
	page, ok := r.pages[frame.Lang][name]
	if !ok {
		return nil, fmt.Errorf("no page %q", name)
	}
	if block == "" {
		block = page.Name()
	}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, block, View{frame, data}); err != nil {
		return nil, fmt.Errorf("write page %s: %w", name, err)
	}
	return bytes.TrimLeft(b.Bytes(), " \n"), nil // what stands between definitions
}
