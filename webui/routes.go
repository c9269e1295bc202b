package webui

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"emrvault/appliance/identity"
)

// Route is one address of the site.
type Route struct {
	Method     string
	Path       string
	Permission identity.Permission // who may, or Public, or SignedIn
	Handler    gin.HandlerFunc
}

const (
	// Public is for everybody: sign-in, first start, language.
	Public identity.Permission = "-"
	// SignedIn is for everybody who is signed in, whatever his roles.
	SignedIn identity.Permission = "+"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// Routes is the whole site in one list. Static files lie outside of it, below
// /static/.
func (s *Server) Routes() []Route {
	a := s.areas
	list := []Route{
		{get, "/sign-in", Public, a.security.SignInForm},
		{post, "/sign-in", Public, a.security.SignIn},
		{post, "/sign-out", SignedIn, a.security.SignOut},
		{get, "/account", SignedIn, a.security.AccountForm},
		{post, "/account", SignedIn, a.security.ChangePassword},
		{post, "/language", Public, a.preferences.Language},
		{post, "/theme", Public, a.preferences.Theme},

		{get, "/setup/:token", Public, a.setup.Link},
		{post, "/setup/:token", Public, a.setup.Administrator},
		{get, "/first-steps", identity.SettingsWrite, a.setup.Steps},
		{post, "/first-steps/storage", identity.SettingsWrite, a.setup.Place},
		{post, "/first-steps/sheet/new", identity.SettingsWrite, a.setup.Make},
		{post, "/first-steps/sheet", identity.SettingsWrite, a.setup.Confirm},

		{get, "/", identity.OverviewRead, a.overview.Show},
		{get, "/overview/live", identity.OverviewRead, a.overview.Live},

		{get, "/settings", identity.SettingsRead, a.settings.Show},
		{post, "/settings", identity.SettingsWrite, a.settings.Save},
		{get, "/about", SignedIn, a.settings.About},
		{get, "/users", identity.UserRead, a.users.List},
		{get, "/users/new", identity.UserWrite, a.users.NewForm},
		{post, "/users/new", identity.UserWrite, a.users.Add},
		{get, "/users/:id", identity.UserRead, a.users.Show},
		{post, "/users/:id", identity.UserWrite, a.users.Change},
		{post, "/users/:id/password", identity.UserWrite, a.users.ResetPassword},
	}
	if s.parts.Certificate != nil {
		list = append(list, Route{get, "/certificate/ca.crt", Public, a.settings.CA})
	}
	if a.jobs != nil {
		list = append(list,
			Route{get, "/jobs/:id", identity.PlanRead, a.jobs.Show},
			Route{get, "/jobs/:id/events", identity.PlanRead, s.watched(identity.PlanRead, a.jobs.Events)},
			Route{get, "/jobs/:id/live", identity.PlanRead, a.jobs.Live},
			Route{post, "/jobs/:id/cancel", identity.PlanRun, a.jobs.Cancel},
		)
	}
	list = append(list, backupRoutes(a.wings)...)
	return append(list, serviceRoutes(a.wings)...)
}
