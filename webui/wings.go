package webui

import (
	"emrvault/appliance/identity"
	"emrvault/webui/desk"
	"emrvault/webui/overview"
	"emrvault/webui/protection"
	"emrvault/webui/recovery"
)

// Book is what the pages ask of what is written down; *plan.Book is it.
type Book interface {
	overview.Book
	protection.Book
	recovery.Book
}

// Runner is what the pages ask of who carries plans out; *run.Runner is it.
type Runner interface {
	protection.Runner
	protection.Checker
	recovery.Store
}

// wings are the pages of the two wings.
type wings struct {
	plans        *protection.PlanPages
	repositories *protection.RepositoryPages
	points       *recovery.PointPages
	drills       *recovery.DrillPages
	desk         *desk.Pages
}

// wings makes the pages of whatever was handed in.
func (s *Server) wings() wings {
	p, w := s.parts, wings{}
	if p.Book != nil && p.Runner != nil {
		w.plans = protection.NewPlanPages(s.render, p.Book, p.Runner, p.Jobs, s.render.Zone)
		w.points = recovery.NewPointPages(s.render, p.Book, p.Runner)
	}
	if p.Book != nil && p.Runner != nil && p.Repositories != nil {
		w.repositories = protection.NewRepositoryPages(s.render, p.Book, p.Repositories, p.Runner)
	}
	if p.Book != nil && p.Drills != nil {
		w.drills = recovery.NewDrillPages(s.render, p.Book, p.Drills)
	}
	if p.Desk != nil {
		w.desk = desk.New(s.render, p.Desk)
	}
	return w
}

// backupRoutes are the pages of the backup wing.
func backupRoutes(w wings) (list []Route) {
	if p := w.plans; p != nil {
		list = append(list,
			Route{get, "/plans", identity.PlanRead, p.List},
			Route{get, "/plans/new", identity.PlanWrite, p.NewForm},
			Route{post, "/plans/new", identity.PlanWrite, p.Add},
			Route{get, "/plans/schedule", identity.PlanWrite, p.Schedule},
			Route{get, "/plans/:id", identity.PlanRead, p.Show},
			Route{get, "/plans/:id/live", identity.PlanRead, p.Live},
			Route{get, "/plans/:id/edit", identity.PlanWrite, p.EditForm},
			Route{post, "/plans/:id/edit", identity.PlanWrite, p.Edit},
			Route{post, "/plans/:id/run", identity.PlanRun, p.Run},
			Route{post, "/plans/:id/copy", identity.PlanRun, p.Copy},
			Route{post, "/plans/:id/test", identity.PlanRun, p.Test},
			Route{post, "/plans/:id/keep", identity.PlanWrite, p.SaveKeep},
			Route{post, "/plans/:id/enable", identity.PlanWrite, p.Enable},
			Route{get, "/plans/:id/remove", identity.PlanWrite, p.RemoveForm},
			Route{post, "/plans/:id/remove", identity.PlanWrite, p.Remove},
		)
	}
	if p := w.repositories; p != nil {
		list = append(list,
			Route{get, "/repositories", identity.PlanRead, p.List},
			Route{get, "/repositories/new", identity.PlanWrite, p.NewForm},
			Route{post, "/repositories/new", identity.PlanWrite, p.Add},
			Route{get, "/repositories/bandwidth", identity.PlanWrite, p.Bandwidth},
			Route{get, "/repositories/:id", identity.PlanRead, p.Show},
			Route{get, "/repositories/:id/edit", identity.PlanWrite, p.EditForm},
			Route{post, "/repositories/:id/edit", identity.PlanWrite, p.Edit},
			Route{post, "/repositories/:id/probe", identity.PlanRun, p.Probe},
			Route{post, "/repositories/:id/care", identity.PlanRun, p.Care},
			Route{post, "/repositories/:id/check", identity.PlanRun, p.Check},
			Route{post, "/repositories/:id/space", identity.PlanRun, p.Space},
			Route{post, "/repositories/:id/sheet", identity.SettingsWrite, p.Sheet},
			Route{post, "/repositories/:id/sheet/confirm", identity.SettingsWrite, p.Confirm},
		)
	}
	return append(list, recoveryRoutes(w)...)
}

// recoveryRoutes are the pages of points and drills. A download takes what is
// in a point out of the box, so it needs the right to restore.
func recoveryRoutes(w wings) (list []Route) {
	if p := w.points; p != nil {
		list = append(list,
			Route{get, "/points", identity.PointRead, p.List},
			Route{get, "/points/:id", identity.PointRead, p.Show},
			Route{get, "/points/:id/file", identity.PointRestore, p.File},
			Route{get, "/points/:id/zip", identity.PointRestore, p.Zip},
			Route{post, "/points/:id/restore", identity.PointRestore, p.Restore},
		)
	}
	if p := w.drills; p != nil {
		list = append(list,
			Route{get, "/drills", identity.DrillRead, p.List},
			Route{post, "/drills", identity.DrillRun, p.Start},
			Route{get, "/drills/of-job/:job", identity.DrillRead, p.OfJob},
			Route{get, "/drills/:number", identity.DrillRead, p.Show},
		)
	}
	return list
}

// serviceRoutes are the pages of the service wing.
func serviceRoutes(w wings) []Route {
	p := w.desk
	if p == nil {
		return nil
	}
	return []Route{
		{get, "/tickets", identity.TicketRead, p.List},
		{get, "/tickets/channels", identity.TicketWrite, p.Channels},
		{post, "/tickets/new", identity.TicketWrite, p.Open},
		{get, "/tickets/:number", identity.TicketRead, p.Show},
		{post, "/tickets/:number/report", identity.TicketWrite, p.Report},
		{post, "/tickets/:number/respond", identity.TicketWrite, p.Respond},
		{post, "/tickets/:number/note", identity.TicketWrite, p.Note},
		{post, "/tickets/:number/solve", identity.TicketWrite, p.Solve},
		{post, "/tickets/:number/close", identity.TicketWrite, p.Close},
		{get, "/catalogue", identity.TicketRead, p.Catalogue},
	}
}
