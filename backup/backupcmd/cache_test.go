package backupcmd

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestCacheDir(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the table is Linux's; other systems differ in one line")
	}
	for _, tt := range []struct {
		name      string
		variables map[string]string
		want      string
	}{
		{"told", map[string]string{"EMRVAULT_CACHE_DIR": "/c", "HOME": "/h"}, "/c"},
		{"told from here", map[string]string{"EMRVAULT_CACHE_DIR": "c"}, "/here/c"},
		{"the platform's", map[string]string{"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/emrvault"},
		{"a relative one does not count", map[string]string{"XDG_CACHE_HOME": "x", "HOME": "/h"}, "/h/.cache/emrvault"},
		{"nowhere", nil, ""},
	} {
		env := &Env{Dir: "/here", Getenv: func(name string) string { return tt.variables[name] }}
		if got := filepath.ToSlash(env.cacheDir()); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCacheFlags(t *testing.T) {
	env := &Env{Getenv: func(string) string { return "/c" }}
	for _, tt := range []struct {
		flags cacheFlags
		want  int
		wrong bool
	}{
		{cacheFlags{size: usualCache}, 1, false}, {cacheFlags{size: "0"}, 0, false},
		{cacheFlags{size: usualCache, off: true}, 0, false}, {cacheFlags{size: "much"}, 0, true},
	} {
		opts, err := tt.flags.options(env)
		if len(opts) != tt.want || (err != nil) != tt.wrong {
			t.Errorf("%+v: got %d options, %v; want %d, error %v", tt.flags, len(opts), err, tt.want, tt.wrong)
		}
	}
}
