package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"emrvault/backup/repository"
	"emrvault/backup/retention"
)

// runRolling reads what was verified longest ago. Backups may go on meanwhile.
func runRolling(ctx context.Context, env *Env, f *repoFlags, every string, alsoData bool) error {
	span, err := retention.ParseSpan(every)
	if err != nil {
		return errors.Join(usage("cli.usage.rolling", "word", every), err)
	}
	if alsoData {
		return usage("cli.usage.rolling-alone")
	}
	now := env.now()
	opts := repository.RollingOptions{Every: now.Sub(span.Before(now)), Now: now}
	return f.locked(ctx, env, repository.Read, func(ctx context.Context, repo *repository.Repository) error {
		bar := env.progress(f.progress)
		v := &verdict{env: env, json: f.json, bar: bar}
		report, err := repo.VerifyRolling(ctx, opts, v.hear, bar)
		if err == nil {
			err = v.aftermath(ctx, repo, false)
		}
		bar.done()
		if err = errors.Join(err, v.failed); err != nil {
			return err
		}
		return errors.Join(v.rolled(report), v.conclude(f))
	})
}

// rolled tells how well the whole is known.
func (v *verdict) rolled(r repository.RollingReport) error {
	if v.json {
		return v.env.json(r)
	}
	l := v.env.Lang
	oldest := "–"
	if !r.Oldest.IsZero() {
		oldest = l.Time(r.Oldest)
	}
	err := v.env.say("cli.check.rolling", "packs", l.Number(r.Packs), "bytes", l.Bytes(r.Bytes),
		"covered", fmt.Sprintf("%.1f", r.Covered), "oldest", oldest)
	if r.Overdue > 0 {
		err = errors.Join(err, v.env.say("cli.check.overdue", "packs", l.Number(r.Overdue), "bytes", l.Bytes(r.OverdueB)))
	}
	return err
}
