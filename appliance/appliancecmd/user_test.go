package appliancecmd

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
	"emrvault/appliance/store"
)

const goodPassword = "春江潮水连海平海上明月"

// withUsers gives a console a fresh directory of users.
func withUsers(t *testing.T, c *console) *identity.Directory {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "box.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	people := identity.New(st, identity.Options{Cost: identity.Cost{Memory: 64, Passes: 1, Threads: 1}})
	c.People = func(context.Context) (*identity.Directory, func() error, error) {
		return people, func() error { return nil }, nil
	}
	return people
}

func TestUsersAreMadeListedAndGivenPasswords(t *testing.T) {
	c := newConsole(t, locale.Chinese)
	people := withUsers(t, c)
	if out, err := c.run(t, "user", "list"); err != nil || !strings.Contains(out, "还没有用户") {
		t.Errorf("empty list = %q, %v", out, err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("\ufeff"+goodPassword+"\r\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := c.run(t, "user", "add", "wangmin", "--name", "王敏", "--role", "admin", "--role", "operator", "--password-file", file)
	if err != nil || out != "已新建用户 wangmin（管理员, 操作员）。\n" {
		t.Fatalf("add = %q, %v", out, err)
	}
	if _, err := people.SignIn(t.Context(), "wangmin", goodPassword, "10.0.0.5"); err != nil {
		t.Errorf("sign in with the password of the file: %v", err)
	}
	c.In = strings.NewReader("a brand new secret\n")
	if out, err = c.run(t, "user", "passwd", "WangMin", "--password-file", "-"); err != nil || !strings.Contains(out, "wangmin") {
		t.Errorf("passwd = %q, %v", out, err)
	}
	if _, err := people.SignIn(t.Context(), "wangmin", "a brand new secret", "10.0.0.5"); err != nil {
		t.Errorf("sign in with the new password: %v", err)
	}
	if out, err = c.run(t, "user", "list"); err != nil || !strings.Contains(out, "王敏  管理员, 操作员  启用  20") {
		t.Errorf("list = %q, %v", out, err)
	}
	out, err = c.run(t, "user", "list", "--json")
	var user map[string]any
	if err != nil || json.Unmarshal([]byte(out), &user) != nil || user["name"] != "wangmin" || strings.Contains(out, "argon2") {
		t.Errorf("list as JSON = %q, %v", out, err)
	}
}

// TestPasswordTravelsAsInput holds that the file is read where the person is,
// and that neither its name nor the password becomes an argument.
func TestPasswordTravelsAsInput(t *testing.T) {
	c := newConsole(t, locale.Chinese)
	withUsers(t, c)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(goodPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	var carried string
	c.Carry = func(in io.Reader, flags ...string) {
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		carried = string(text) + strings.Join(flags, " ")
	}
	if _, err := c.run(t, "user", "add", "wangmin", "--role", "admin", "--password-file", file); err != nil {
		t.Fatal(err)
	}
	if want := goodPassword + "\n--password-file=-"; carried != want {
		t.Errorf("carried %q, want %q", carried, want)
	}
}

func TestUserRefusals(t *testing.T) {
	c := newConsole(t, locale.Chinese)
	withUsers(t, c)
	for _, v := range []struct {
		name, in string
		args     []string
		kind     errs.Kind
		want     string
	}{
		{"no terminal", "", []string{"add", "wangmin"}, errs.Invalid, "--password-file"},
		{"no file", "", []string{"add", "wangmin", "--password-file", "/no/such/file"}, errs.Invalid, "/no/such/file"},
		{"short password", "short\n", []string{"add", "wangmin", "--password-file", "-"}, errs.Invalid, "至少 10"},
		{"no password", "", []string{"add", "wangmin", "--password-file", "-"}, errs.Invalid, "至少 10"},
		{"unknown role", goodPassword, []string{"add", "wangmin", "--role", "root", "--password-file", "-"}, errs.Invalid, "root"},
		{"unknown user", goodPassword, []string{"passwd", "nobody", "--password-file", "-"}, errs.NotFound, "nobody"},
	} {
		c.In = strings.NewReader(v.in)
		_, err := c.run(t, append([]string{"user"}, v.args...)...)
		if errs.KindOf(err) != v.kind || !strings.Contains(locale.Chinese.Error(err), v.want) {
			t.Errorf("%s: %v, want %s naming %q", v.name, err, v.kind, v.want)
		}
	}
}
