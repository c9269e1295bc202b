package identity

import (
	"slices"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
)

// Permission is a word for something a person may do. Routes and verbs name
// the word they need.
type Permission string

// The permission words.
const (
	OverviewRead  Permission = "overview.read"
	PlanRead      Permission = "plan.read"
	PlanWrite     Permission = "plan.write"
	PlanRun       Permission = "plan.run"
	PointRead     Permission = "point.read"
	PointRestore  Permission = "point.restore" // also downloads: what is in a point leaves the box
	DrillRead     Permission = "drill.read"
	DrillRun      Permission = "drill.run"
	TicketRead    Permission = "ticket.read"
	TicketWrite   Permission = "ticket.write"
	SettingsRead  Permission = "settings.read"
	SettingsWrite Permission = "settings.write"
	UserRead      Permission = "user.read"
	UserWrite     Permission = "user.write"
)

// Permissions lists every word.
func Permissions() []Permission {
	return []Permission{
		OverviewRead, PlanRead, PlanWrite, PlanRun, PointRead, PointRestore, DrillRead, DrillRun,
		TicketRead, TicketWrite, SettingsRead, SettingsWrite, UserRead, UserWrite,
	}
}

// Role is a named set of permission words.
type Role string

// The roles.
const (
	Admin    Role = "admin"    // everything
	Operator Role = "operator" // the daily work, including restores
	Viewer   Role = "viewer"   // looks, changes nothing and takes nothing out
)

// Roles lists every role, the mightiest first.
func Roles() []Role { return []Role{Admin, Operator, Viewer} }

// Permissions lists what the role may do; an unknown role nothing.
func (r Role) Permissions() []Permission {
	switch r {
	case Admin:
		return Permissions()
	case Operator:
		return []Permission{
			OverviewRead, PlanRead, PlanRun, PointRead, PointRestore, DrillRead, DrillRun,
			TicketRead, TicketWrite, SettingsRead,
		}
	case Viewer:
		return []Permission{OverviewRead, PlanRead, PointRead, DrillRead, TicketRead}
	}
	return nil
}

// Title names the role for people.
func (r Role) Title(lang locale.Lang) string { return lang.T("role." + string(r)) }

func (r Role) holds(p Permission) bool { return slices.Contains(r.Permissions(), p) }

// ParseRole reads a role word.
func ParseRole(word string) (Role, error) {
	if !slices.Contains(Roles(), Role(word)) {
		return "", errs.New(errs.Invalid, "identity.unknown_role", "role", word)
	}
	return Role(word), nil
}
