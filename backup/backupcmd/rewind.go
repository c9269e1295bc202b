package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

func rewindCommand(env *Env, f *repoFlags) *cobra.Command {
	var to, target string
	cmd := &cobra.Command{
		Use: "rewind -r REPO --to TIME --target REPO2", Short: env.t("cli.rewind.short"), Long: env.t("cli.rewind.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error {
			moment, err := past(to, env.now(), time.Local)
			if err != nil {
				return err
			}
			if target == "" {
				return usage("cli.usage.rewind-target")
			}
			return runRewind(ctx, env, f, moment, target)
		}),
	}
	cmd.Flags().StringVar(&to, "to", "", env.t("cli.flag.rewind-to"))
	cmd.Flags().StringVar(&target, "target", "", env.t("cli.flag.rewind-target"))
	return cmd
}

// past reads a moment that has been. A day alone is refused: an attack has an
// hour, and midnight is rarely what is meant.
func past(text string, now time.Time, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04"} {
		t, err := time.ParseInLocation(layout, text, zone)
		switch {
		case err != nil:
		case t.After(now):
			return t, usage("cli.usage.rewind-future", "value", text)
		default:
			return t, nil
		}
	}
	return time.Time{}, usage("cli.usage.rewind-to", "value", text)
}

func runRewind(ctx context.Context, env *Env, f *repoFlags, to time.Time, target string) (err error) {
	st, err := f.storage(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	there := *f
	there.location = target
	place, err := there.storage(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	word, err := env.password(f.passwordFile)
	if err != nil {
		return err
	}
	bar := env.progress(f.progress)
	result, err := rewound(ctx, st, word, to, place, bar)
	bar.done()
	if err != nil {
		return err
	}
	return result.tell(env, f, place.Location())
}

// rewindResult is what is told of a rewind.
type rewindResult struct {
	repository.RewindReport
	Sound bool `json:"ok"` // the target was found whole, trees and snapshots included

	points []*snapshot.Snapshot
}

// rewound brings a repository back and looks at all of what came.
func rewound(ctx context.Context, st storage.Storage, word string, to time.Time, place storage.Storage, bar *bar) (rewindResult, error) {
	report, err := repository.Rewind(ctx, st, word, to, place, bar)
	result := rewindResult{RewindReport: report}
	if err != nil {
		return result, err
	}
	repo, err := repository.Open(ctx, place, word)
	if err != nil {
		return result, err
	}
	if err := repo.LoadIndex(ctx); err != nil && !errors.Is(err, backup.ErrDamaged) { // damage is among the findings
		return result, err
	}
	hear := func(found repository.Finding) { result.Findings = append(result.Findings, found) }
	if err := snapshot.Check(ctx, repo, hear); err != nil {
		return result, err
	}
	if result.points, err = snapshot.List(ctx, repo, snapshot.Filter{}); err != nil && !errors.Is(err, backup.ErrDamaged) {
		return result, err
	}
	result.Sound = result.RewindReport.Sound()
	return result, nil
}

func (r rewindResult) tell(env *Env, f *repoFlags, place string) error {
	if f.json {
		return errors.Join(env.json(r), r.verdict())
	}
	l := env.Lang
	said := env.say("cli.rewind.done", "time", l.TimeZone(r.To.Local()), "documents", l.Number(r.Documents), "bytes", l.Bytes(r.Bytes), "location", place)
	if r.Resumed > 0 {
		said = errors.Join(said, env.say("cli.rewind.resumed", "documents", l.Number(r.Resumed)))
	}
	for _, line := range []struct {
		key   string
		names []storage.Name
	}{{"cli.rewind.replaced", r.Replaced}, {"cli.rewind.rubbish", r.Rubbish}} {
		if len(line.names) > 0 {
			said = errors.Join(said, env.say(line.key, "n", l.Number(int64(len(line.names))), "names", env.few(line.names)))
		}
	}
	for _, found := range r.Findings {
		said = errors.Join(said, (&verdict{env: env, bar: &bar{env: env}}).show(found))
	}
	said = errors.Join(said, env.pointTable(r.points))
	if r.Sound {
		said = errors.Join(said, env.say("cli.rewind.sound"))
	}
	return errors.Join(said, r.verdict())
}

func (r rewindResult) verdict() error {
	if r.Sound {
		return nil
	}
	return fmt.Errorf("what was brought back is not whole: %w", backup.ErrDamaged)
}

// few names some of many documents.
func (e *Env) few(names []storage.Name) string {
	const most = 5
	text := ""
	for i, name := range names[:min(most, len(names))] {
		if i > 0 {
			text += e.t("cli.list.comma")
		}
		text += name.String()
	}
	if len(names) > most {
		text += " …"
	}
	return text
}
