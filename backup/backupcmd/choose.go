package backupcmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"emrvault/backup/archive"
)

// chooseFlags say which files go into a point.
type chooseFlags struct {
	exclude, fold            []string
	excludeFiles, foldFiles  []string
	caches                   bool
	marked                   []string
	larger                   string
	from, verbatim, fromNull []string
}

func (c *chooseFlags) add(cmd *cobra.Command, env *Env) {
	f := cmd.Flags()
	f.StringArrayVarP(&c.exclude, "exclude", "e", nil, env.t("cli.flag.exclude"))
	f.StringArrayVar(&c.fold, "iexclude", nil, env.t("cli.flag.iexclude"))
	f.StringArrayVar(&c.excludeFiles, "exclude-file", nil, env.t("cli.flag.exclude-file"))
	f.StringArrayVar(&c.foldFiles, "iexclude-file", nil, env.t("cli.flag.iexclude-file"))
	f.BoolVar(&c.caches, "exclude-caches", false, env.t("cli.flag.exclude-caches"))
	f.StringArrayVar(&c.marked, "exclude-if-present", nil, env.t("cli.flag.exclude-if-present"))
	f.StringVar(&c.larger, "exclude-larger-than", "", env.t("cli.flag.exclude-larger-than"))
	f.StringArrayVar(&c.from, "files-from", nil, env.t("cli.flag.files-from"))
	f.StringArrayVar(&c.verbatim, "files-from-verbatim", nil, env.t("cli.flag.files-from-verbatim"))
	f.StringArrayVar(&c.fromNull, "files-from-raw", nil, env.t("cli.flag.files-from-raw"))
}

// excludes puts into the options what is left out.
func (c *chooseFlags) excludes(env *Env, o *archive.Options) error {
	o.Excludes, o.ExcludesFold = c.exclude, c.fold
	for _, name := range c.excludeFiles {
		list, err := env.patterns(name)
		if err != nil {
			return err
		}
		o.Excludes = append(o.Excludes, list...)
	}
	for _, name := range c.foldFiles {
		list, err := env.patterns(name)
		if err != nil {
			return err
		}
		o.ExcludesFold = append(o.ExcludesFold, list...)
	}
	o.ExcludeMarked = c.marked
	if c.caches {
		o.ExcludeMarked = append(o.ExcludeMarked, archive.CacheMark)
	}
	if c.larger == "" {
		return nil
	}
	size, err := parseSize(c.larger)
	if err != nil {
		return usage("cli.usage.size", "value", c.larger)
	}
	o.ExcludeLarger = size
	return nil
}

// parseSize reads a size as restic's users write it: k, M, G and T are powers
// of 1024; "10 MB" and "10MiB" say themselves what they mean.
func parseSize(text string) (int64, error) {
	last := text[len(text)-1]
	if strings.ContainsRune("kKmMgGtT", rune(last)) {
		text += "iB"
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size == 0 || size > 1<<62 {
		return 0, fmt.Errorf("size %q: %w", text, ErrUsage)
	}
	return int64(size), nil
}

// patterns reads a file of patterns: one a line, # begins a remark, variables
// stand as $NAME or ${NAME}, and $$ is the sign itself.
func (e *Env) patterns(name string) ([]string, error) {
	text, err := os.ReadFile(e.path(name))
	if err != nil {
		return nil, fmt.Errorf("read patterns: %w", err)
	}
	var list []string
	for line := range strings.Lines(string(bytes.TrimPrefix(text, []byte("\ufeff")))) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		list = append(list, os.Expand(line, func(name string) string {
			if name == "$" {
				return "$"
			}
			return e.getenv(name)
		}))
	}
	return list, nil
}

// paths gathers what is to be backed up: the arguments and the lines of files.
func (c *chooseFlags) paths(env *Env, args []string) ([]string, error) {
	var list []string
	for _, name := range c.from {
		err := env.lines(name, '\n', func(line string) error {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				return nil
			}
			found, err := filepath.Glob(env.path(line))
			if err != nil || len(found) == 0 {
				return usage("cli.usage.files-from", "line", line, "name", name)
			}
			list = append(list, found...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	keep := func(line string) error {
		if line != "" {
			list = append(list, env.path(line))
		}
		return nil
	}
	for _, name := range c.verbatim {
		if err := env.lines(name, '\n', keep); err != nil {
			return nil, err
		}
	}
	for _, name := range c.fromNull {
		if err := env.lines(name, 0, keep); err != nil {
			return nil, err
		}
	}
	for _, arg := range args {
		list = append(list, env.path(arg))
	}
	return list, nil
}

// lines hands over the parts of a file, or of standard input for "-".
func (e *Env) lines(name string, end byte, fn func(string) error) error {
	in := e.In
	if name != "-" {
		f, err := os.Open(e.path(name))
		if err != nil {
			return fmt.Errorf("read paths: %w", err)
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadString(end)
		line = strings.TrimSuffix(line, string(rune(end)))
		if end == '\n' {
			line = strings.TrimSuffix(line, "\r")
		}
		if fnErr := fn(line); fnErr != nil {
			return fnErr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read paths from %s: %w", name, err)
		}
	}
}

// moment reads the time that a point is given.
func (e *Env) moment(text string) (time.Time, error) {
	if text == "" || text == "now" {
		return e.now(), nil
	}
	for _, layout := range []string{time.DateTime, time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("cli.usage.time", "value", text)
}
