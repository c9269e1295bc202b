package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
	"emrvault/appliance/table"
	"emrvault/backup"
	"emrvault/backup/drill"
	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// Appliance is the opened box as the verbs on plans, points and drills need
// it. Its jobs are running, so a verb that hands one in may wait for it.
type Appliance struct {
	Book   *plan.Book
	Runner *run.Runner
	Drills *drill.Drills
	Jobs   *jobs.Manager
}

// applianceCommands lists the verbs that work on an opened box.
func applianceCommands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		planCommand(env), planBackupCommand(env), boxPointsCommand(env), boxRestoreCommand(env), drillCommand(env),
	}
}

// box wraps a verb that needs the opened box. A wrong word of the person is
// wrong usage, whoever found it.
func (e *Env) box(fn func(ctx context.Context, a *Appliance, args []string) error) func(*cobra.Command, []string) error {
	return e.verb(func(ctx context.Context, args []string) (err error) {
		if e.Appliance == nil {
			return errs.New(errs.Conflict, "plan.cli.nobox")
		}
		a, release, err := e.Appliance(ctx)
		if err != nil {
			return err
		}
		defer func() {
			if end := release(); !errors.Is(err, end) { // what ended the verb is told once
				err = errors.Join(err, end)
			}
		}()
		err = fn(ctx, a, args)
		if errs.KindOf(err) == errs.Invalid && !errors.Is(err, ErrUsage) {
			return wrongWord{err}
		}
		return err
	})
}

// wrongWord is an error about what was asked for.
type wrongWord struct{ error }

// Unwrap gives the words for people, and the exit code.
func (w wrongWord) Unwrap() []error { return []error{w.error, ErrUsage} }

// following are the flags of verbs that hand in a job.
type following struct {
	detach, progress, json bool
}

func (f *following) add(cmd *cobra.Command, env *Env) {
	cmd.Flags().BoolVar(&f.detach, "detach", false, env.t("plan.cli.flag.detach"))
	cmd.Flags().BoolVar(&f.progress, "progress", false, env.t("cli.flag.progress"))
	cmd.Flags().BoolVar(&f.json, "json", false, env.t("cli.flag.json"))
}

// follow waits for a job and shows how far it is. With --detach it only tells
// its number. An error says how the job ended, with the exit code of its cause.
func (f *following) follow(ctx context.Context, env *Env, a *Appliance, id int64) (jobs.Job, error) {
	if f.detach {
		job, err := a.Jobs.Get(ctx, id)
		if err != nil || f.json {
			return job, errors.Join(err, jsonUnless(err, env, job))
		}
		return job, env.say("plan.cli.detached", "job", id)
	}
	events, stop := a.Jobs.Subscribe(id)
	defer stop()
	bar := env.progress(f.progress)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(bar, events)
	}()
	job, err := a.Jobs.Wait(ctx, id)
	stop()
	<-watched
	bar.done()
	if err != nil {
		return job, err
	}
	return job, ended(env.Lang, job)
}

func jsonUnless(err error, env *Env, v any) error {
	if err != nil {
		return nil
	}
	return env.json(v)
}

// watch turns events into the bar's terms until the channel is closed.
func watch(b *bar, events <-chan jobs.Event) {
	for e := range events {
		switch e.Type {
		case jobs.StageBegan:
			b.Stage(e.Key)
		case jobs.Trouble:
			b.mu.Lock()
			b.wipe()
			fmt.Fprintln(b.env.Err, e.Tell(b.env.Lang))
			b.mu.Unlock()
		case jobs.Moved:
			b.set(e.Progress)
		case jobs.Line, jobs.StateChanged:
		}
	}
}

// set shows counts as a job keeps them.
func (b *bar) set(p jobs.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files, b.bytes, b.all, b.sum, b.current = p.Files, p.Bytes, p.TotalFiles, p.TotalBytes, p.Current
}

// ended is nil for a job that succeeded. A job keeps its failure as words; the
// sentinels among them still decide the exit code.
func ended(lang locale.Lang, job jobs.Job) error {
	switch job.State {
	case jobs.Succeeded:
		return nil
	case jobs.Cancelled:
		return errs.Wrap(errs.Conflict, context.Canceled, "plan.cli.stopped", "job", job.ID, "state", job.State.Title(lang))
	case jobs.Partial:
		return errs.Wrap(errs.Conflict, backup.ErrIncomplete, "plan.cli.gaps", "job", job.ID, "why", job.Failure.Tell(lang))
	case jobs.Failed:
		return errs.Wrap(errs.Conflict, causeOf(job.Failure), "plan.cli.failed", "job", job.ID, "why", job.Failure.Tell(lang))
	case jobs.Queued, jobs.Running, jobs.Interrupted:
	}
	return errs.New(errs.Conflict, "plan.cli.stopped", "job", job.ID, "state", job.State.Title(lang))
}

func causeOf(f *jobs.Failure) error {
	if f == nil {
		return nil
	}
	for _, known := range []error{backup.ErrWrongPassword, backup.ErrNoRepository, backup.ErrLocked} {
		if strings.Contains(f.Detail, known.Error()) {
			return known
		}
	}
	return nil
}

// readFile reads the file of -f; "-" is the standard input.
func (e *Env) readFile(name string) ([]byte, error) {
	const limit = 1 << 20
	if name == "-" {
		return io.ReadAll(io.LimitReader(e.In, limit+1))
	}
	text, err := os.ReadFile(e.path(name))
	if err != nil {
		return nil, errs.Wrap(errs.NotFound, err, "plan.cli.file", "path", name)
	}
	return text, nil
}

// table prints rows under a head.
func (e *Env) table(head []string, rows [][]string) error {
	return table.Write(e.Out, append([][]string{head}, rows...))
}

// when shows a moment in the site's zone, nothing for none.
func (e *Env) when(a *Appliance, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return e.Lang.Time(t.In(a.Book.Site()))
}

// proof shows how far a point is proven.
func (e *Env) proof(p plan.Point) string {
	if p.Failed {
		return e.t("proof.failed")
	}
	return e.t("proof."+string(p.Proof), "percent", p.Percent)
}
