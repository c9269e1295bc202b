package webui

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"

	"emrvault/webui/desk"
	"emrvault/webui/overview"
	"emrvault/webui/protection"
	"emrvault/webui/recovery"
	"emrvault/webui/security"
	"emrvault/webui/system"
)

// Parts is everything the pages need from the rest of the house; main.go hands
// it in. The first group must be there. A nil part of the second group is not
// in this version: neither its routes nor its menu lines exist.
type Parts struct {
	Version  string
	Now      func() time.Time
	Log      *slog.Logger
	Site     func() Site // as set now
	TLS      *tls.Config // nil: plain HTTP, on loopback only
	Sessions scs.Store
	Users    security.Users
	Start    security.Start
	Settings system.Settings

	Tickets     func(context.Context) (int, error) // how many are open, for the badge
	Jobs        protection.Jobs
	Certificate system.Certificate

	Book         Book                    // *plan.Book: plans, points, runs
	Runner       Runner                  // *run.Runner: carries plans out, reads inside points
	Repositories protection.Repositories // *run.Repositories
	Drills       recovery.Drills         // *drill.Drills
	Desk         desk.Tickets            // *ticket.Desk
}

func (p Parts) check() error {
	switch {
	case p.Now == nil, p.Log == nil, p.Site == nil:
		return errors.New("webui: clock, log and site are needed")
	case p.Sessions == nil, p.Users == nil, p.Start.Link == nil, p.Start.Storage == nil, p.Start.Places == nil, p.Settings == nil:
		return errors.New("webui: sessions, users, first start, storage and settings are needed")
	}
	return nil
}

func (p Parts) openTickets(ctx context.Context) (int, error) {
	if p.Tickets == nil {
		return 0, nil
	}
	return p.Tickets(ctx)
}

// areas are the handlers, one value for each folder of pages.
type areas struct {
	security    *security.Pages
	setup       *security.Setup
	users       *security.UserPages
	settings    *system.Pages
	preferences *system.Preferences
	jobs        *protection.JobPages
	overview    *overview.Pages
	wings
}

func (s *Server) build() areas {
	p := s.parts
	a := areas{
		security:    security.New(s.render, s.sessions, p.Users),
		users:       security.NewUserPages(s.render, p.Users),
		settings:    system.New(s.render, p.Settings, p.Certificate, s.static),
		preferences: system.NewPreferences(s.render, p.TLS != nil),
	}
	a.setup = security.NewSetup(s.render, a.security, p.Start)
	if p.Jobs != nil {
		a.jobs = protection.NewJobPages(s.render, p.Jobs, s.done)
	}
	a.overview = overview.New(s.render, p.Book, p.Desk, p.Jobs)
	a.wings = s.wings()
	return a
}

func escape(path string) string { return url.QueryEscape(path) }
