package identity_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/store"
)

const password = "春江潮水连海平海上明月"

// house is a directory over a fresh database with a clock of its own.
type house struct {
	*identity.Directory
	t   testing.TB
	st  *store.Store
	mu  sync.Mutex
	now time.Time
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)}
	st, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "box.db"), h.clock)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	h.st = st
	h.Directory = identity.New(st, identity.Options{Cost: identity.Cost{Memory: 64, Passes: 1, Threads: 1}})
	return h
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) add(name string, role identity.Role) identity.User {
	h.t.Helper()
	u, err := h.Add(context.Background(), identity.NewUser{Name: name, Roles: []identity.Role{role}, Password: password})
	if err != nil {
		h.t.Fatalf("add %s: %v", name, err)
	}
	return u
}

func key(err error) string {
	var told *errs.Error
	if errors.As(err, &told) {
		return told.Key
	}
	return fmt.Sprint(err)
}

func TestSetup(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	old, _, err := h.SetupToken(ctx)
	if err != nil {
		t.Fatalf("first token: %v", err)
	}
	token, expires, err := h.SetupToken(ctx)
	if err != nil || !expires.Equal(h.clock().Add(24*time.Hour)) {
		t.Fatalf("second token until %v, %v; want a day from now", expires, err)
	}
	for _, wrong := range []string{"", old, token + "x", strings.ToUpper(token)} {
		if err := h.CheckSetup(ctx, wrong); key(err) != "identity.setup_link" {
			t.Errorf("token %q: %v, want it refused", wrong, err)
		}
	}
	ask := identity.NewUser{Name: "wangmin", Password: "short"}
	if _, err := h.CreateFirst(ctx, token, ask); key(err) != "identity.password_short" {
		t.Errorf("short password: %v, want it refused", err)
	}
	ask.Password = password
	first, err := h.CreateFirst(ctx, token, ask)
	if err != nil || !first.May(identity.UserWrite) {
		t.Fatalf("first user %+v: %v, want an administrator", first, err)
	}
	if _, err := h.CreateFirst(ctx, token, identity.NewUser{Name: "other", Password: password}); key(err) != "identity.setup_over" {
		t.Errorf("second first user: %v, want setup over", err)
	}
	if _, _, err := h.SetupToken(ctx); errs.KindOf(err) != errs.Conflict {
		t.Errorf("token after setup: %v, want conflict", err)
	}
}

func TestSetupLinkGoesWithTheFirstUser(t *testing.T) {
	h, ctx, file := newHouse(t), t.Context(), filepath.Join(t.TempDir(), "setup-link")
	link := identity.NewLink(h.Directory, file)
	words, err := link.Renew(ctx, "https://box")
	kept, _ := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(words, "https://box/setup/") || string(kept) != words+"\n" {
		t.Fatalf("link = %q, kept %q, %v", words, kept, err)
	}
	h.add("admin", identity.Admin)
	if words, err := link.Renew(ctx, "https://box"); words != "" || err != nil {
		t.Errorf("with a user: link = %q, %v, want none", words, err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link still lies there (%v)", err)
	}
}

func TestSetupLinkExpires(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	token, _, err := h.SetupToken(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h.pass(24*time.Hour - time.Second)
	if err := h.CheckSetup(ctx, token); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	h.pass(time.Second)
	if err := h.CheckSetup(ctx, token); key(err) != "identity.setup_link" {
		t.Errorf("at its end: %v, want it refused", err)
	}
}

func TestOnlyOneFirst(t *testing.T) {
	h := newHouse(t)
	token, _, err := h.SetupToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 8 {
		wait.Go(func() {
			_, err := h.CreateFirst(context.Background(), token, identity.NewUser{Name: fmt.Sprint("user", i), Password: password})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			}
		})
	}
	wait.Wait()
	if made != 1 {
		t.Errorf("%d first users were made, want 1", made)
	}
}

func TestPasswordRules(t *testing.T) {
	for _, c := range []struct{ name, password, user, want string }{
		{"good", "correct horse battery", "wangmin", ""},
		{"good Chinese", password, "王敏", ""},
		{"nine characters", "七个字不够长度呀", "wangmin", "identity.password_short"},
		{"too long", strings.Repeat("a long one ", 100), "wangmin", "identity.password_long"},
		{"the name", "WangMin-2026", "wangmin-2026", "identity.password_name"},
		{"the name with digits", "wangmin20261122", "wangmin", "identity.password_name"},
		{"one key", "aaaaaaaaaaaa", "wangmin", "identity.password_common"},
		{"digits in a row", "1234567890", "wangmin", "identity.password_common"},
		{"a word with a year", "Password2026!", "wangmin", "identity.password_common"},
		{"the house", "emrvault@2026", "wangmin", "identity.password_common"},
		{"only digits, long", "83119204756", "wangmin", ""},
	} {
		err := identity.CheckPassword(c.password, c.user)
		if got := key(err); got != c.want && (c.want != "" || err != nil) {
			t.Errorf("%s: %q gives %q, want %q", c.name, c.password, got, c.want)
		}
	}
}

func TestNewUserRules(t *testing.T) {
	h := newHouse(t)
	viewer := []identity.Role{identity.Viewer}
	first := identity.NewUser{Name: "zhaolei", Roles: viewer, Password: password}
	if _, err := h.Add(t.Context(), first); key(err) != "identity.first_admin" {
		t.Errorf("a first user who may only look: %v, want identity.first_admin", err)
	}
	h.add("Chief", identity.Admin)
	h.add("WangMin", identity.Viewer)
	for _, c := range []struct {
		name string
		ask  identity.NewUser
		want string
	}{
		{"taken in other letters", identity.NewUser{Name: "wangmin", Roles: viewer, Password: password}, "identity.name_taken"},
		{"with a space", identity.NewUser{Name: "wang min", Roles: viewer, Password: password}, "identity.name_wrong"},
		{"with a line break", identity.NewUser{Name: "wang\nmin", Roles: viewer, Password: password}, "identity.name_wrong"},
		{"one letter", identity.NewUser{Name: "w", Roles: viewer, Password: password}, "identity.name_wrong"},
		{"no role", identity.NewUser{Name: "liqiang", Password: password}, "identity.no_role"},
		{"unknown role", identity.NewUser{Name: "liqiang", Roles: []identity.Role{"root"}, Password: password}, "identity.unknown_role"},
		{"rare characters", identity.NewUser{Name: "王𬭳", Roles: viewer, Password: password}, "<nil>"},
	} {
		if _, err := h.Add(t.Context(), c.ask); key(err) != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestSignIn(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.add("Chief", identity.Admin)
	u := h.add("WangMin", identity.Operator)
	got, err := h.SignIn(ctx, " wangmin ", password, "10.0.0.5")
	if err != nil || got.ID != u.ID || !got.LastSignIn.IsZero() {
		t.Fatalf("first sign-in = %+v, %v; want no earlier one", got, err)
	}
	at := h.clock()
	h.pass(time.Hour)
	if got, err = h.SignIn(ctx, "WANGMIN", password, "10.0.0.6"); err != nil || !got.LastSignIn.Equal(at) || got.LastAddress != "10.0.0.5" {
		t.Errorf("second sign-in = %+v, %v; want the earlier one at %v", got, err, at)
	}
	off := true
	h.add("boss", identity.Admin)
	if _, err := h.Change(ctx, u.ID, identity.Change{Disabled: &off}); err != nil {
		t.Fatalf("disable: %v", err)
	}
	for _, c := range []struct{ name, user, password string }{
		{"wrong password", "boss", "something else"},
		{"unknown name", "nobody", password},
		{"disabled", "wangmin", password},
		{"endless password", "boss", strings.Repeat("x", 1<<20)},
	} {
		if _, err := h.SignIn(ctx, c.user, c.password, "10.0.0.7"); key(err) != "identity.wrong" || errs.KindOf(err) != errs.Denied {
			t.Errorf("%s: %v, want the one answer", c.name, err)
		}
	}
}

func TestSignInIsSlowedDown(t *testing.T) {
	for _, c := range []struct {
		name, user string
	}{{"known name", "wangmin"}, {"unknown name", "nobody"}} {
		t.Run(c.name, func(t *testing.T) {
			h, ctx := newHouse(t), t.Context()
			h.add("wangmin", identity.Admin)
			if _, err := h.SignIn(ctx, "wangmin", password, "10.0.0.5"); err != nil {
				t.Fatal(err)
			}
			tried, refused := 0, 0
			for range 120 { // two minutes of one attempt a second from many addresses
				_, err := h.SignIn(ctx, c.user, "guess number one", fmt.Sprint("10.9.0.", tried+refused))
				switch key(err) {
				case "identity.wrong":
					tried++
				case "identity.slow_down":
					refused++
				default:
					t.Fatal(err)
				}
				h.pass(time.Second)
			}
			if tried > 14 || refused < 100 {
				t.Errorf("%d guesses were looked at and %d refused, want at most 14", tried, refused)
			}
			if _, err := h.SignIn(ctx, "wangmin", password, "10.0.0.5"); err != nil {
				t.Errorf("the owner from the usual place: %v, want in", err)
			}
		})
	}
}

func TestAddressIsSlowedDown(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.add("wangmin", identity.Admin)
	tried := 0
	for i := range 300 {
		if _, err := h.SignIn(ctx, fmt.Sprint("name", i), "guess number one", "10.0.0.66"); key(err) == "identity.wrong" {
			tried++
		}
		h.pass(time.Second)
	}
	if tried > 32 {
		t.Errorf("%d guesses of one address in five minutes were looked at, want at most 32", tried)
	}
	if _, err := h.SignIn(ctx, "wangmin", password, "10.0.0.7"); err != nil {
		t.Errorf("another address: %v, want in", err)
	}
	h.pass(16 * time.Minute)
	if _, err := h.SignIn(ctx, "wangmin", password, "10.0.0.66"); err != nil {
		t.Errorf("after a quiet quarter of an hour: %v, want in", err)
	}
}

func TestManyAtOnceAreSlowedDown(t *testing.T) {
	h := newHouse(t)
	h.add("wangmin", identity.Admin)
	var wait sync.WaitGroup
	var mu sync.Mutex
	tried := 0
	for range 30 {
		wait.Go(func() {
			_, err := h.SignIn(context.Background(), "wangmin", "guess number one", "10.0.0.66")
			mu.Lock()
			defer mu.Unlock()
			if key(err) == "identity.wrong" {
				tried++
			}
		})
	}
	wait.Wait()
	if tried > 6 {
		t.Errorf("%d guesses at once were looked at, want at most 6", tried)
	}
}

func TestClockSetBackLocksNobodyOut(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.add("wangmin", identity.Admin)
	for range 6 {
		_, _ = h.SignIn(ctx, "wangmin", "guess number one", "10.0.0.66")
	}
	h.pass(-48 * time.Hour)
	if _, err := h.SignIn(ctx, "wangmin", password, "10.0.0.66"); err != nil {
		t.Errorf("two days earlier: %v, want in", err)
	}
}

func TestCostIsRaisedAtSignIn(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	h.add("wangmin", identity.Admin)
	dear := identity.New(h.st, identity.Options{Cost: identity.Cost{Memory: 128, Passes: 2, Threads: 1}})
	for range 2 {
		if _, err := dear.SignIn(ctx, "wangmin", password, "10.0.0.5"); err != nil {
			t.Fatalf("sign in: %v", err)
		}
	}
	var text string
	err := h.st.Read(ctx, func(tx *store.Tx) error { return tx.QueryRow(`SELECT password FROM users`).Scan(&text) })
	if err != nil || !strings.HasPrefix(text, "$argon2id$v=19$m=128,t=2,p=1$") {
		t.Errorf("kept password = %q (%v), want the new cost", text, err)
	}
}

func TestPasswordChangeEndsOtherSessions(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	u, other := h.add("wangmin", identity.Admin), h.add("liqiang", identity.Viewer)
	sessions := identity.NewSessions(h.st)
	data := func(id int64) []byte {
		b, err := scs.GobCodec{}.Encode(h.clock().Add(time.Hour), map[string]any{identity.SessionUser: id})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for token, id := range map[string]int64{"mine": u.ID, "elsewhere": u.ID, "other": other.ID} {
		if err := sessions.Commit(token, data(id), h.clock().Add(time.Hour)); err != nil {
			t.Fatalf("commit %s: %v", token, err)
		}
	}
	if err := h.ChangePassword(ctx, u.ID, "not the old one", "a brand new secret", "mine"); key(err) != "identity.wrong" {
		t.Errorf("wrong old password: %v, want refused", err)
	}
	if err := h.ChangePassword(ctx, u.ID, password, "a brand new secret", "mine"); err != nil {
		t.Fatalf("change: %v", err)
	}
	// A request that was under way writes its session once more.
	if err := sessions.Commit("elsewhere", data(u.ID), h.clock().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]bool{"mine": true, "elsewhere": false, "other": true, "never": false} {
		if _, found, err := sessions.Find(token); err != nil || found != want {
			t.Errorf("session %s: found %v (%v), want %v", token, found, err, want)
		}
	}
	if _, err := h.SignIn(ctx, "wangmin", password, "10.0.0.5"); key(err) != "identity.wrong" {
		t.Errorf("old password: %v, want refused", err)
	}
	if _, err := h.SignIn(ctx, "wangmin", "a brand new secret", "10.0.0.5"); err != nil {
		t.Errorf("new password: %v", err)
	}
}

func TestSessionsExpireAndHideTheirToken(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	m := scs.New()
	m.Store = identity.NewSessions(h.st)
	s, err := m.Load(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	m.Put(s, "seen", "yes")
	token, _, err := m.Commit(s)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := m.Load(ctx, token); err != nil || m.GetString(again, "seen") != "yes" {
		t.Errorf("session read back: %v", err)
	}
	var rows int
	count := func(where string, args ...any) int {
		err := h.st.Read(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT count(*) FROM sessions `+where, args...).Scan(&rows)
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if n := count(`WHERE hash = ?`, token); n != 0 {
		t.Error("the token itself is in the database")
	}
	if err := m.Destroy(s); err != nil {
		t.Fatal(err)
	}
	if again, err := m.Load(ctx, token); err != nil || m.GetString(again, "seen") != "" {
		t.Errorf("ended session is alive (%v)", err)
	}
	// The test's clock stands far before the real one the session was made by.
	h.pass(100 * 365 * 24 * time.Hour)
	if err := identity.NewSessions(h.st).Clean(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(``); n != 0 {
		t.Errorf("%d rows are left after a century, want 0", n)
	}
}

func TestLastAdministratorStays(t *testing.T) {
	h, ctx := newHouse(t), t.Context()
	boss := h.add("boss", identity.Admin)
	off := true
	for name, change := range map[string]identity.Change{
		"disabled": {Disabled: &off},
		"demoted":  {Roles: []identity.Role{identity.Operator}},
	} {
		if _, err := h.Change(ctx, boss.ID, change); key(err) != "identity.last_admin" {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	h.add("second", identity.Admin)
	if u, err := h.Change(ctx, boss.ID, identity.Change{Disabled: &off}); err != nil || u.May(identity.OverviewRead) {
		t.Errorf("with a second one: %+v, %v; want disabled", u, err)
	}
}

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		role      identity.Role
		may, mayn []identity.Permission
	}{
		{identity.Admin, identity.Permissions(), nil},
		{identity.Operator, []identity.Permission{identity.PlanRun, identity.PointRestore, identity.TicketWrite},
			[]identity.Permission{identity.PlanWrite, identity.SettingsWrite, identity.UserWrite, identity.UserRead}},
		{identity.Viewer, []identity.Permission{identity.OverviewRead, identity.TicketRead},
			[]identity.Permission{identity.PlanRun, identity.PointRestore, identity.TicketWrite, identity.SettingsRead}},
		{"nobody", nil, identity.Permissions()},
	} {
		u := identity.User{ID: 1, Roles: []identity.Role{c.role}}
		for _, p := range c.may {
			if !u.May(p) {
				t.Errorf("%s may not %s, want may", c.role, p)
			}
		}
		for _, p := range c.mayn {
			if u.May(p) {
				t.Errorf("%s may %s, want may not", c.role, p)
			}
		}
	}
	if (identity.User{Roles: []identity.Role{identity.Admin}}).May(identity.OverviewRead) {
		t.Error("a user without an id may something, want nothing")
	}
}

// TestEndlessNamesAreNotKept: what a stranger types as a name is counted, but
// it must not fill the disk.
func TestEndlessNamesAreNotKept(t *testing.T) {
	h := newHouse(t)
	long := strings.Repeat("长", 300_000)
	for range 7 {
		if _, err := h.SignIn(t.Context(), long, password, "192.0.2.9"); errs.KindOf(err) != errs.Denied {
			t.Fatalf("sign-in: %v, want denied", err)
		}
	}
	_, err := h.SignIn(t.Context(), long, password, "192.0.2.10")
	if got := key(err); got != "identity.slow_down" {
		t.Errorf("after many tries: %s, want it slowed down like any name", got)
	}
	var longest int
	err = h.st.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT max(length(CAST(subject AS BLOB))) FROM sign_in_failure`).Scan(&longest)
	})
	if err != nil || longest > 300 {
		t.Errorf("a failed attempt keeps %d bytes (%v), want a name's length", longest, err)
	}
}
