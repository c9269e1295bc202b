// Package overview holds the first page: are we safe tonight?
package overview

import "emrvault/webui/render"

// Pages is the overview.
type Pages struct{ render *render.Renderer }

// New makes the page.
func New(r *render.Renderer) *Pages { return &Pages{r} }

// Show is GET /.
func (p *Pages) Show(c render.Context) { p.render.Page(c, "overview/overview", nil) }
