// Package contract is the catalogue the service contract was made on: fourteen
// items, each with its clauses, its response rule and the channels it is
// offered over, and the twenty-one modules they are offered for.
//
// The catalogue is fixed in this version. It holds codes and numbers; names
// stand in the texts under item.* and module.*.
package contract

import (
	"fmt"
	"slices"
	"time"

	"emrvault/appliance/locale"
)

// Part is one of the three parts of the service.
type Part string

// The parts.
const (
	Application Part = "application" // 功能应用维护, items 1-5
	Data        Part = "data"        // 数据维护, items 6-8
	Other       Part = "other"       // 其他服务, items 9-14
)

// Title names the part for people.
func (p Part) Title(lang locale.Lang) string { return lang.T("item.part." + string(p)) }

// Rule says how the time of a first response is reckoned.
type Rule string

// The rules.
const (
	Within      Rule = "within"      // so many hours after the report, round the clock
	Immediate   Rule = "immediate"   // at once; the target is ours, the contract names none
	WorkingDay  Rule = "working-day" // on a statutory working day, no hour named
	Appointment Rule = "appointment" // by appointment on a statutory working day
	OnDemand    Rule = "on-demand"   // on a statutory working day, or when needed
)

// Response is the promised first response.
type Response struct {
	Rule   Rule
	Target time.Duration // 0: the contract names no hours
}

// Title tells the response rule for people.
func (r Response) Title(lang locale.Lang) string {
	return lang.T("item.response."+string(r.Rule), "target", r.Target)
}

// Channel is a way to reach the vendor, or the place where a service is given.
type Channel string

// The channels.
const (
	Phone  Channel = "phone"  // 电话
	Mail   Channel = "mail"   // 电子邮箱
	Remote Channel = "remote" // 网络远程
	QQ     Channel = "qq"     // QQ
	Onsite Channel = "onsite" // 现场: at the hospital
	Vendor Channel = "vendor" // 乙方指定地点: at the vendor's place
)

// Channels lists every channel.
func Channels() []Channel { return []Channel{Phone, Mail, Remote, QQ, Onsite, Vendor} }

// Title names the channel for people.
func (c Channel) Title(lang locale.Lang) string { return lang.T("channel." + string(c)) }

// Known says whether the word is a channel.
func (c Channel) Known() bool { return slices.Contains(Channels(), c) }

// Item is one service item of the contract.
type Item struct {
	No       int    // 1..14, as in the contract's table
	Key      string // stable word for code and texts
	Part     Part
	Response Response
	Channels []Channel // allowed; anything else is outside the contract
	Clauses  []string
}

// Title names the item for people.
func (i Item) Title(lang locale.Lang) string { return lang.T("item." + i.Key) }

// Allows says whether the contract offers the item over the channel.
func (i Item) Allows(c Channel) bool { return slices.Contains(i.Channels, c) }

// Items gives the catalogue in the order of its numbers.
func Items() []Item {
	far := []Channel{Phone, Mail, Remote, QQ}
	near := []Channel{Phone, Mail, Remote, QQ, Onsite}
	places := []Channel{Vendor, Onsite}
	hours := func(n int) Response { return Response{Within, time.Duration(n) * time.Hour} }
	return []Item{
		{1, "consultation", Application, hours(1), far, []string{"1.1"}},
		{2, "fault", Application, hours(2), far, []string{"1.2"}},
		{3, "report", Application, hours(2), far, []string{"1.3", "1.4"}},
		{4, "change", Application, hours(2), far, []string{"1.5"}},
		{5, "daily", Application, hours(2), far, []string{"1.6"}},
		{6, "recovery", Data, hours(2), near, []string{"2.1"}},
		{7, "adjustment", Data, hours(2), near, []string{"2.2"}},
		{8, "disaster", Data, Response{Immediate, ImmediateTarget}, near, []string{"2.3"}},
		{9, "management_training", Other, Response{Rule: Appointment}, places, []string{"3.1"}},
		{10, "maintenance_training", Other, Response{Rule: Appointment}, places, []string{"3.2"}},
		{11, "inspection", Other, Response{Rule: Appointment}, []Channel{Onsite}, []string{"3.3"}},
		{12, "hotline", Other, Response{Rule: WorkingDay}, far, []string{"3.4", "3.5"}},
		{13, "question", Other, Response{Rule: WorkingDay}, far, []string{"3.6"}},
		{14, "upgrade", Other, Response{Rule: OnDemand}, []Channel{Remote, QQ, Onsite}, []string{"3.7"}},
	}
}

// ImmediateTarget is how fast "at once" is: ten minutes to the first human
// answer. The contract names no figure; this one is the hospital's own aim.
const ImmediateTarget = 10 * time.Minute

// ItemOf finds an item by its number.
func ItemOf(no int) (Item, bool) {
	items := Items()
	if no < 1 || no > len(items) {
		return Item{}, false
	}
	return items[no-1], true
}

// Module is one module of the record system that the contract covers.
type Module struct {
	Code string // M01..M21
}

// Title names the module for people.
func (m Module) Title(lang locale.Lang) string { return lang.T("module." + m.Code) }

// moduleCount is how many modules the contract lists.
const moduleCount = 21

// Modules gives all modules in the contract's order.
func Modules() []Module {
	list := make([]Module, moduleCount)
	for i := range list {
		list[i].Code = fmt.Sprintf("M%02d", i+1)
	}
	return list
}

// ModuleOf finds a module by its code.
func ModuleOf(code string) (Module, bool) {
	m := Module{Code: code}
	return m, slices.Contains(Modules(), m)
}
