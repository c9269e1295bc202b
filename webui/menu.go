package webui

import (
	"strings"

	"emrvault/appliance/identity"
	"emrvault/webui/render"
)

// entry is one line of the menu; it appears when its route exists and the
// person may open it.
type entry struct {
	section, key, href, icon string
	permission               identity.Permission
}

// entries is the menu in its order. A page that is not in this version has no
// route, and so no line.
var entries = []entry{
	{"web.menu.overview", "overview.title", "/", "layout-dashboard", identity.OverviewRead},
	{"web.menu.backup", "plans.title", "/plans", "calendar-time", identity.PlanRead},
	{"web.menu.backup", "points.title", "/points", "history", identity.PointRead},
	{"web.menu.backup", "drills.title", "/drills", "test-pipe", identity.DrillRead},
	{"web.menu.backup", "repositories.title", "/repositories", "database", identity.PlanRead},
	{"web.menu.service", "tickets.title", "/tickets", "ticket", identity.TicketRead},
	{"web.menu.system", "web.users.title", "/users", "users-group", identity.UserRead},
	{"web.menu.system", "web.settings.title", "/settings", "settings", identity.SettingsRead},
}

// menu is what this person sees, the line of this page marked.
func (s *Server) menu(f *render.Frame) []render.Section {
	var list []render.Section
	for _, e := range entries {
		if !s.known[e.href] || !f.May(e.permission) {
			continue
		}
		if n := len(list); n == 0 || list[n-1].Key != e.section {
			list = append(list, render.Section{Key: e.section})
		}
		item := render.Item{Key: e.key, Href: e.href, Icon: e.icon, Current: within(f.Path, e.href)}
		if e.href == "/tickets" {
			item.Badge = f.OpenTicket
		}
		last := &list[len(list)-1]
		last.Items = append(last.Items, item)
	}
	return list
}

// within says whether a path is the page of a menu line or lies below it.
func within(path, href string) bool {
	return path == href || (href != "/" && strings.HasPrefix(path, href+"/"))
}
