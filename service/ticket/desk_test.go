package ticket_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
	"emrvault/service/contract"
	"emrvault/service/sla"
	"emrvault/service/ticket"
)

// office is a desk over a fresh database with a clock of its own.
type office struct {
	*ticket.Desk
	t   testing.TB
	st  *store.Store
	mu  sync.Mutex
	now time.Time
}

func newOffice(t testing.TB) *office {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	o.st, err = store.Open(context.Background(), filepath.Join(t.TempDir(), "box.db"), o.clock)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := o.st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	o.Desk = ticket.NewDesk(o.st, zone)
	return o
}

func (o *office) clock() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *office) pass(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

func draft(item int) ticket.Draft {
	return ticket.Draft{
		Item: item, Module: "M01", Title: "病程记录打不开", Description: "保存后再打开为空白",
		Reporter: "王敏", Department: "心内科", Phone: "8012", Channel: contract.Phone,
	}
}

func (o *office) new(d ticket.Draft) ticket.Ticket {
	o.t.Helper()
	t, err := o.New(context.Background(), "wangmin", d)
	if err != nil {
		o.t.Fatalf("new ticket: %v", err)
	}
	return t
}

func answer() ticket.Answer {
	return ticket.Answer{Engineer: "李强", Channel: contract.Remote, Proof: "08:20 通话，已远程查看"}
}

func (o *office) lines(number string) []string {
	o.t.Helper()
	list, err := o.Timeline(context.Background(), number)
	if err != nil {
		o.t.Fatalf("timeline of %s: %v", number, err)
	}
	var out []string
	for i, e := range list {
		if e.Seq != int64(i+1) {
			o.t.Errorf("line %d has number %d", i+1, e.Seq)
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.By, e.Type, e.Text)))
	}
	return out
}

func key(err error) string {
	var told *errs.Error
	if errors.As(err, &told) {
		return told.Key
	}
	return fmt.Sprint(err)
}

func TestLifeOfATicket(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	n := o.new(draft(2)).Number
	o.pass(20 * time.Minute)
	if _, err := o.Respond(ctx, "wangmin", n, answer()); err != nil {
		t.Fatalf("respond: %v", err)
	}
	if _, err := o.Note(ctx, "liqiang", strings.ToLower(n), " 缓存未刷新 "); err != nil {
		t.Fatalf("note: %v", err)
	}
	solved, err := o.Solve(ctx, "liqiang", n, "已修复缓存")
	if err != nil || solved.State != ticket.Solved {
		t.Fatalf("solve: %s, %v", solved.State, err)
	}
	o.pass(time.Hour)
	if _, err := o.Close(ctx, "wangmin", n, ""); err != nil {
		t.Fatalf("close: %v", err)
	}
	got, err := o.Get(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != "GD-2026-0001" || got.State != ticket.Closed || got.Result != "已修复缓存" || got.ClosedBy != "wangmin" {
		t.Errorf("closed ticket = %+v", got)
	}
	clock := got.Clock(o.clock())
	if clock.State != sla.Answered || clock.Took != 20*time.Minute || !got.Due.Equal(got.Reported.Add(2*time.Hour)) || got.Rule == "" {
		t.Errorf("clock = %+v, due %v by %q", clock, got.Due, got.Rule)
	}
	want := []string{
		"wangmin opened", "wangmin responded 李强 · 08:20 通话，已远程查看", "liqiang note 缓存未刷新",
		"liqiang solved 已修复缓存", "wangmin closed",
	}
	if lines := o.lines(n); !slices.Equal(lines, want) {
		t.Errorf("timeline = %q, want %q", lines, want)
	}
	for name, err := range map[string]error{
		"note": second(o.Note(ctx, "x", n, "late")), "respond": second(o.Respond(ctx, "x", n, answer())),
		"close": second(o.Close(ctx, "x", n, "again")),
	} {
		if key(err) != "ticket.is_closed" || errs.KindOf(err) != errs.Conflict {
			t.Errorf("%s after the end: %v, want refused", name, err)
		}
	}
}

func second(_ ticket.Ticket, err error) error { return err }

func TestBadDrafts(t *testing.T) {
	o := newOffice(t)
	for _, c := range []struct {
		name   string
		change func(*ticket.Draft)
		want   string
	}{
		{"item 0", func(d *ticket.Draft) { d.Item = 0 }, "ticket.item_wrong"},
		{"item 15", func(d *ticket.Draft) { d.Item = 15 }, "ticket.item_wrong"},
		{"module", func(d *ticket.Draft) { d.Module = "M22" }, "ticket.module_wrong"},
		{"blank title", func(d *ticket.Draft) { d.Title = " \n" }, "ticket.title_missing"},
		{"long title", func(d *ticket.Draft) { d.Title = strings.Repeat("长", 201) }, "ticket.too_long"},
		{"long description", func(d *ticket.Draft) { d.Description = strings.Repeat("长", 10_001) }, "ticket.too_long"},
		{"broken text", func(d *ticket.Draft) { d.Title = "a\xff" }, "ticket.no_text"},
		{"no reporter", func(d *ticket.Draft) { d.Reporter = "" }, "ticket.reporter_missing"},
		{"no channel", func(d *ticket.Draft) { d.Channel = "" }, "ticket.channel_wrong"},
		{"unknown channel", func(d *ticket.Draft) { d.Channel = "fax" }, "ticket.channel_wrong"},
		{"from the future", func(d *ticket.Draft) { d.Reported = o.clock().Add(2 * time.Minute) }, "ticket.from_future"},
		{"older without a reason", func(d *ticket.Draft) { d.Reported = o.clock().Add(-2 * time.Minute) }, "ticket.reason_missing"},
	} {
		d := draft(2)
		c.change(&d)
		if _, err := o.New(t.Context(), "wangmin", d); key(err) != c.want || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		} else if text := locale.Chinese.Error(err); strings.Contains(text, "{") || strings.HasPrefix(text, "ticket.") {
			t.Errorf("%s: told as %q", c.name, text)
		}
	}
	if _, err := o.New(t.Context(), " ", draft(2)); key(err) != "ticket.by_missing" {
		t.Errorf("nobody acts: %v, want refused", err)
	}
	if got := o.new(draft(2)).Number; got != "GD-2026-0001" {
		t.Errorf("first number after refusals = %s, want GD-2026-0001", got)
	}
}

func TestBackdatedReport(t *testing.T) {
	o := newOffice(t)
	d := draft(1)
	d.Reported, d.Reason = o.clock().Add(-90*time.Minute), "电话接听后补录"
	got := o.new(d)
	if !got.Reported.Equal(d.Reported) || got.Backdated != d.Reason || got.Clock(o.clock()).State != sla.Overdue {
		t.Errorf("ticket = %+v, want the clock of the call", got)
	}
	if lines := o.lines(got.Number); !slices.Equal(lines, []string{"wangmin opened 电话接听后补录"}) {
		t.Errorf("timeline = %q, want the reason on it", lines)
	}
	d.Reported = o.clock().Add(30 * time.Second) // another machine's clock is a little ahead
	if got := o.new(d); !got.Reported.Equal(o.clock()) || got.Backdated != "" {
		t.Errorf("reported %v (%q), want now and no reason", got.Reported, got.Backdated)
	}
}

func TestChannelOutsideTheContract(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	d := draft(2)
	d.Channel = contract.Onsite
	got := o.new(d)
	if !got.OffContract {
		t.Error("a fault reported on site is not marked, want 合同外渠道")
	}
	a := answer()
	a.Channel = contract.Onsite
	if got, err := o.Respond(ctx, "wangmin", got.Number, a); err != nil || !got.Response.OffContract {
		t.Errorf("answer on site = %+v, %v; want marked", got.Response, err)
	}
	d = draft(6)
	d.Channel = contract.Onsite
	if o.new(d).OffContract {
		t.Error("a data recovery on site is marked, want it inside the contract")
	}
}

func TestOnlyTheFirstAnswerCounts(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	n := o.new(draft(2)).Number
	o.pass(10 * time.Minute)
	for _, c := range []struct {
		name   string
		change func(*ticket.Answer)
		want   string
	}{
		{"nobody", func(a *ticket.Answer) { a.Engineer = "" }, "ticket.engineer_missing"},
		{"no proof", func(a *ticket.Answer) { a.Proof = " " }, "ticket.proof_missing"},
		{"no channel", func(a *ticket.Answer) { a.Channel = "" }, "ticket.channel_wrong"},
		{"before the report", func(a *ticket.Answer) { a.At = o.clock().Add(-time.Hour) }, "ticket.before_report"},
		{"in the future", func(a *ticket.Answer) { a.At = o.clock().Add(time.Hour) }, "ticket.from_future"},
	} {
		a := answer()
		c.change(&a)
		if _, err := o.Respond(ctx, "wangmin", n, a); key(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var refused []error
	for i := range 6 {
		wait.Go(func() {
			a := answer()
			a.Engineer = fmt.Sprint("工程师", i)
			if _, err := o.Respond(context.Background(), "wangmin", n, a); err != nil {
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, err)
			}
		})
	}
	wait.Wait()
	got, err := o.Get(ctx, n)
	if err != nil || len(refused) != 5 {
		t.Fatalf("%d answers were refused (%v), want 5", len(refused), err)
	}
	for _, err := range refused {
		if key(err) != "ticket.is_answered" || !strings.Contains(locale.Chinese.Error(err), got.Response.Engineer) {
			t.Errorf("second answer: %v, want the first one named", err)
		}
	}
	if len(o.lines(n)) != 2 || got.State != ticket.Working {
		t.Errorf("timeline %q in state %s, want one answer", o.lines(n), got.State)
	}
}

func TestAnswerTypedToTheMinute(t *testing.T) {
	o := newOffice(t)
	o.pass(40 * time.Second)
	n := o.new(draft(2))
	o.pass(10 * time.Second)
	a := answer()
	a.At = n.Reported.Truncate(time.Minute)
	got, err := o.Respond(t.Context(), "wangmin", n.Number, a)
	if err != nil || !got.Response.At.Equal(n.Reported) {
		t.Errorf("answer in the minute of the report: %v, %v; want at the report", got.Response.At, err)
	}
}

func TestClosingIsNoWayRoundTheClock(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	n := o.new(draft(2)).Number
	if _, err := o.Close(ctx, "wangmin", n, "好了"); key(err) != "ticket.unanswered" {
		t.Errorf("close unanswered: %v, want refused", err)
	}
	if _, err := o.Solve(ctx, "wangmin", n, "好了"); key(err) != "ticket.unanswered" {
		t.Errorf("solve unanswered: %v, want refused", err)
	}
	if _, err := o.Respond(ctx, "wangmin", n, answer()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Close(ctx, "wangmin", n, ""); key(err) != "ticket.result_missing" {
		t.Errorf("close without a result: %v, want refused", err)
	}
	if got, err := o.Close(ctx, "wangmin", n, "已处理"); err != nil || got.Solved.IsZero() {
		t.Errorf("close: %+v, %v", got, err)
	}
}

func trouble() ticket.Trouble {
	return ticket.Trouble{Dedup: "plan/3/backup", Item: 5, Module: "M11", Title: "备份失败：电子病历", Description: "磁盘已满"}
}

func TestSystemTicket(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	first, opened, err := o.OpenSystem(ctx, trouble())
	if err != nil || !opened {
		t.Fatalf("open: %v, opened %v", err, opened)
	}
	o.pass(48 * time.Hour)
	if s := first.Clock(o.clock()).State; s != sla.NotStarted || !first.Due.IsZero() {
		t.Errorf("clock of a ticket of the box = %s due %v, want none", s, first.Due)
	}
	if again, opened, err := o.OpenSystem(ctx, trouble()); err != nil || opened || again.Number != first.Number {
		t.Errorf("same trouble: %s, opened %v, %v; want a line on %s", again.Number, opened, err, first.Number)
	}
	if _, err := o.Respond(ctx, "wangmin", first.Number, answer()); key(err) != "ticket.not_reported" {
		t.Errorf("answer before the report: %v, want refused", err)
	}
	reported, err := o.ReportToVendor(ctx, "wangmin", first.Number, ticket.Report{Channel: contract.Phone})
	if err != nil || !reported.Reported.Equal(o.clock()) || reported.Reporter != "wangmin" {
		t.Fatalf("report: %+v, %v", reported, err)
	}
	if got := reported.Due.Sub(reported.Reported); got != 2*time.Hour {
		t.Errorf("due %v after the report, want 2 h", got)
	}
	if _, err := o.ReportToVendor(ctx, "wangmin", first.Number, ticket.Report{Channel: contract.Phone}); key(err) != "ticket.is_reported" {
		t.Errorf("second report: %v, want refused", err)
	}
	if _, err := o.Respond(ctx, "wangmin", first.Number, answer()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Close(ctx, "wangmin", first.Number, "已扩容"); err != nil {
		t.Fatal(err)
	}
	next, opened, err := o.OpenSystem(ctx, trouble())
	if err != nil || !opened || next.Number != "GD-2026-0002" {
		t.Errorf("after the end: %s, opened %v, %v; want a new ticket", next.Number, opened, err)
	}
	if _, err := o.Close(ctx, "wangmin", next.Number, "误报"); err != nil {
		t.Errorf("close a ticket that was never reported: %v", err)
	}
	want := []string{"opened", "repeated 备份失败：电子病历\n磁盘已满", "wangmin reported wangmin",
		"wangmin responded 李强 · 08:20 通话，已远程查看", "wangmin closed 已扩容"}
	if lines := o.lines(first.Number); !slices.Equal(lines, want) {
		t.Errorf("timeline = %q, want %q", lines, want)
	}
}

func TestTroubleIsNeverTooLong(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	bad := trouble()
	bad.Title, bad.Description = strings.Repeat("长", 5000), strings.Repeat("\xff", 50_000)
	got, opened, err := o.OpenSystem(ctx, bad)
	if err != nil || !opened || len([]rune(got.Title)) != 200 {
		t.Fatalf("open: %v, title of %d characters", err, len([]rune(got.Title)))
	}
	for range 250 {
		if _, _, err := o.OpenSystem(ctx, trouble()); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := o.OpenSystem(ctx, bad); err != nil {
		t.Fatal(err)
	}
	if n := len(o.lines(got.Number)); n != 201 {
		t.Errorf("%d lines, want 201", n)
	}
	bad.Dedup = ""
	if _, _, err := o.OpenSystem(ctx, bad); key(err) != "ticket.dedup_missing" {
		t.Errorf("trouble about nothing: %v, want refused", err)
	}
}

func TestOneTicketForOneTroubleAtOnce(t *testing.T) {
	o := newOffice(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 8 {
		wait.Go(func() {
			_, opened, err := o.OpenSystem(context.Background(), trouble())
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("open: %v", err)
			}
			if opened {
				made++
			}
		})
	}
	wait.Wait()
	if made != 1 {
		t.Errorf("%d tickets were opened, want 1", made)
	}
}

func TestNumbers(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	var wait sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 20 {
		wait.Go(func() {
			n, err := o.New(context.Background(), "wangmin", draft(1))
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[n.Number] {
				t.Errorf("number %s was given twice (%v)", n.Number, err)
			}
			seen[n.Number] = true
		})
	}
	wait.Wait()
	// A ticket that vanished leaves its number spent.
	err := o.st.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM tickets WHERE number = 'GD-2026-0020'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.new(draft(1)).Number; got != "GD-2026-0021" {
		t.Errorf("number after a deleted one = %s, want GD-2026-0021", got)
	}
	o.mu.Lock()
	o.now = time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC) // midnight in Shanghai
	o.mu.Unlock()
	if got := o.new(draft(1)).Number; got != "GD-2027-0001" {
		t.Errorf("first number of the hospital's new year = %s, want GD-2027-0001", got)
	}
	if _, err := o.Get(ctx, "GD-2027-0002"); errs.KindOf(err) != errs.NotFound {
		t.Errorf("a number not given: %v, want not found", err)
	}
}

func TestListAndStats(t *testing.T) {
	o, ctx := newOffice(t), t.Context()
	for i := range 4 { // answered after 10, 20, 30, 180 minutes
		n := o.new(draft(2)).Number
		wait := []time.Duration{10, 20, 30, 180}[i] * time.Minute
		o.pass(wait)
		if _, err := o.Respond(ctx, "wangmin", n, answer()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Close(ctx, "wangmin", "GD-2026-0001", "好了"); err != nil {
		t.Fatal(err)
	}
	d := draft(1)
	d.Title, d.Department, d.Module = "100%_完成的统计报表", "病案科𬭳", "M13"
	o.new(d)
	o.pass(61 * time.Minute)
	o.new(draft(12))
	if _, _, err := o.OpenSystem(ctx, trouble()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		filter ticket.Filter
		want   []string
	}{
		{"all", ticket.Filter{}, []string{"0007", "0006", "0005", "0004", "0003", "0002", "0001"}},
		{"open", ticket.Filter{Open: true, Limit: 2}, []string{"0007", "0006"}},
		{"second page", ticket.Filter{Limit: 2, Offset: 2}, []string{"0005", "0004"}},
		{"states", ticket.Filter{States: []ticket.State{ticket.Working, ticket.Closed}}, []string{"0004", "0003", "0002", "0001"}},
		{"item", ticket.Filter{Item: 12}, []string{"0006"}},
		{"module", ticket.Filter{Module: "M13"}, []string{"0005"}},
		{"source", ticket.Filter{Source: ticket.System}, []string{"0007"}},
		{"overdue", ticket.Filter{Overdue: true}, []string{"0005"}},
		{"numbers", ticket.Filter{Numbers: []string{"GD-2026-0002", "GD-2026-0009"}}, []string{"0002"}},
		{"two characters", ticket.Filter{Text: "报表"}, []string{"0005"}},
		{"a rare character", ticket.Filter{Text: "𬭳"}, []string{"0005"}},
		{"signs as they stand", ticket.Filter{Text: "0%_"}, []string{"0005"}},
		{"nothing", ticket.Filter{Text: "%%"}, nil},
	} {
		list, total, err := o.List(ctx, c.filter)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var got []string
		for _, l := range list {
			got = append(got, strings.TrimPrefix(l.Number, "GD-2026-"))
		}
		if !slices.Equal(got, c.want) || c.filter.Limit == 0 && total != len(c.want) {
			t.Errorf("%s: %q of %d, want %q", c.name, got, total, c.want)
		}
	}
	got, err := o.Stats(ctx, time.Time{})
	want := ticket.Stats{Open: 6, Waiting: 2, Overdue: 1, Unsent: 1, Answered: 4, Late: 1, Median: 25 * time.Minute}
	if err != nil || got != want {
		t.Errorf("stats = %+v (%v), want %+v", got, err, want)
	}
	if got, err = o.Stats(ctx, o.clock()); err != nil || got.Answered != 0 || got.Median != 0 {
		t.Errorf("stats of an empty period = %+v (%v)", got, err)
	}
}
