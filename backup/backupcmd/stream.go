package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"emrvault/backup/source"
)

// streamFlags make a point of what a program writes, with nothing on disk in
// between.
type streamFlags struct {
	stdin, command bool
	name           string
}

func (s *streamFlags) add(cmd *cobra.Command, env *Env) {
	cmd.Flags().BoolVar(&s.stdin, "stdin", false, env.t("cli.flag.stdin"))
	cmd.Flags().BoolVar(&s.command, "stdin-from-command", false, env.t("cli.flag.stdin-from-command"))
	cmd.Flags().StringVar(&s.name, "stdin-filename", "stdin", env.t("cli.flag.stdin-filename"))
}

// asked says whether a stream is to be stored, and checks the words around it.
func (s *streamFlags) asked(args []string) (bool, error) {
	switch {
	case s.command && len(args) == 0:
		return false, usage("cli.usage.command")
	case s.stdin && !s.command && len(args) > 0:
		return false, usage("cli.usage.stdin")
	}
	return s.stdin || s.command, nil
}

// capture stores the stream as one file. An empty one is most likely the trace
// of a program that failed before it wrote anything, so it makes no point; nor
// does a program that ends with an error.
func (s *streamFlags) capture(env *Env, args []string) func(context.Context, source.Sink) error {
	name := "/" + strings.TrimPrefix(path.Clean("/"+s.name), "/")
	put := func(ctx context.Context, sink source.Sink, r io.Reader) error {
		c := &counter{r: r}
		if err := sink.Put(ctx, source.Entry{Path: name, Size: -1, Pieces: source.PiecesChanging}, c); err != nil {
			return err
		}
		if c.n == 0 {
			return fmt.Errorf("standard input for %s was empty, no point was made; did the program before it fail?", name)
		}
		return nil
	}
	if !s.command {
		return func(ctx context.Context, sink source.Sink) error { return put(ctx, sink, env.In) }
	}
	return func(ctx context.Context, sink source.Sink) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stderr, cmd.Dir = env.Err, env.Dir
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return fmt.Errorf("start %s: %w", args[0], err)
		}
		putErr := put(ctx, sink, out)
		// What is left of its words is read, or it would wait for ever.
		_, drainErr := io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s failed, no point was made: %w", args[0], err)
		}
		return errors.Join(putErr, drainErr)
	}
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

// Read reads on.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
