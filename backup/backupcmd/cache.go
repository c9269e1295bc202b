package backupcmd

import (
	"math"
	"path/filepath"
	"runtime"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"emrvault/backup/repository"
)

// cacheFlags say what this machine may remember of a repository.
type cacheFlags struct {
	off  bool
	size string
}

// usualCache holds the index of 40 million blobs, or the trees of as many files.
const usualCache = "2GiB"

func (f *cacheFlags) add(cmd *cobra.Command, env *Env) {
	flags := cmd.PersistentFlags()
	flags.BoolVar(&f.off, "no-cache", false, env.t("cli.flag.no-cache"))
	flags.StringVar(&f.size, "cache-size", usualCache, env.t("cli.flag.cache-size"))
}

// options open a repository with the cache, if there is a place for one.
func (f *cacheFlags) options(env *Env) ([]repository.Option, error) {
	if f.size == "" { // a verb without the flag
		f.size = usualCache
	}
	size, err := humanize.ParseBytes(f.size)
	if err != nil || size > math.MaxInt64 {
		return nil, usage("cli.usage.cache-size", "value", f.size)
	}
	dir := env.cacheDir()
	if f.off || dir == "" || size == 0 {
		return env.options, nil
	}
	return append([]repository.Option{repository.WithCache(dir, int64(size))}, env.options...), nil
}

// cacheDir is the folder named by EMRVAULT_CACHE_DIR, else ours where the
// platform keeps caches, else none.
func (e *Env) cacheDir() string {
	if dir := e.getenv("EMRVAULT_CACHE_DIR"); dir != "" {
		return e.path(dir)
	}
	home := e.getenv("HOME")
	var dir string
	switch xdg := e.getenv("XDG_CACHE_HOME"); {
	case runtime.GOOS == "windows":
		dir = e.getenv("LocalAppData")
	case filepath.IsAbs(xdg):
		dir = xdg
	case home != "" && runtime.GOOS == "darwin":
		dir = filepath.Join(home, "Library", "Caches")
	case home != "":
		dir = filepath.Join(home, ".cache")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "emrvault")
}
