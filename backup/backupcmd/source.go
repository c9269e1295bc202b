package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/backup"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
	"emrvault/backup/source/all"
)

// sourceFlags are those of the source verbs.
type sourceFlags struct {
	repoFlags
	file string
}

// sourceCommand gathers the verbs on one source, without an appliance.
func sourceCommand(env *Env) *cobra.Command {
	f := &sourceFlags{}
	cmd := &cobra.Command{Use: "source", Short: env.t("source.cli.short"), Args: noVerb, RunE: showHelp}
	cmd.SetFlagErrorFunc(flagError)
	p := cmd.PersistentFlags()
	p.StringVar(&f.file, "source", "", env.t("source.cli.flag.source"))
	p.BoolVar(&f.json, "json", false, env.t("cli.flag.json"))
	cmd.AddCommand(sourceCaptureCommand(env, f), sourceRecoverCommand(env, f), sourceCheckCommand(env, f))
	return cmd
}

// addRepo gives a verb the flags of a repository.
func (f *sourceFlags) addRepo(cmd *cobra.Command, env *Env) {
	cmd.Flags().StringVarP(&f.location, "repo", "r", "", env.t("cli.flag.repo"))
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", env.t("cli.flag.password-file"))
	cmd.Flags().BoolVar(&f.progress, "progress", false, env.t("cli.flag.progress"))
}

// read reads the source file and opens what it describes.
func (f *sourceFlags) read(env *Env) (source.Spec, source.Source, error) {
	if f.file == "" {
		return source.Spec{}, nil, usage("source.cli.no-source")
	}
	text, err := os.ReadFile(env.path(f.file))
	if err != nil {
		return source.Spec{}, nil, errs.Wrap(errs.NotFound, err, "source.cli.file", "file", f.file)
	}
	spec, err := all.Parse(text)
	if err != nil {
		return spec, nil, fmt.Errorf("%s: %w", f.file, err)
	}
	src, err := all.Open(spec)
	return spec, src, err
}

func sourceCaptureCommand(env *Env, f *sourceFlags) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use: "capture -r REPO --source FILE", Short: env.t("source.cli.capture.short"), Long: env.t("source.cli.capture.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return f.capture(ctx, env, host) }),
	}
	f.addRepo(cmd, env)
	cmd.Flags().StringVar(&host, "host", "", env.t("cli.flag.host"))
	return cmd
}

// captured is what source capture --json prints.
type captured struct {
	Snapshot string           `json:"snapshot_id"`
	Source   string           `json:"source"`
	Kind     string           `json:"kind"`
	AsOf     time.Time        `json:"as_of"`
	Version  string           `json:"version,omitempty"`
	Damaged  bool             `json:"damaged"`
	Bytes    uint64           `json:"bytes"`
	Added    uint64           `json:"added"` // stored, after dedup and compression
	Findings []source.Finding `json:"findings,omitempty"`
	Problems []problemJSON    `json:"problems,omitempty"`
}

func (f *sourceFlags) capture(ctx context.Context, env *Env, host string) error {
	spec, src, err := f.read(env)
	if err != nil {
		return err
	}
	return f.open(ctx, env, func(repo *repository.Repository) error {
		var facts *source.Capture
		bar := env.progress(f.progress)
		opts := archive.Options{Host: host, Tags: []string{spec.Name}, Time: env.now(), Program: env.program(), Progress: bar}
		res, err := archive.Run(ctx, repo, opts, func(ctx context.Context, sink source.Sink) (err error) {
			facts, err = src.Capture(ctx, sink)
			return err
		})
		bar.done()
		if res == nil || facts == nil {
			return err
		}
		if reportErr := f.reportCapture(env, spec, facts, res); reportErr != nil {
			return errors.Join(err, reportErr)
		}
		if err == nil && facts.Damaged {
			err = backup.ErrIncomplete
		}
		if err != nil && errors.Is(err, backup.ErrIncomplete) {
			return errs.Wrap(errs.Conflict, err, "source.cli.incomplete", "id", res.Snapshot.Short())
		}
		return err
	})
}

// reportCapture prints the id alone on Out, where a script takes it, and what
// people want to know on Err.
func (f *sourceFlags) reportCapture(env *Env, spec source.Spec, facts *source.Capture, res *archive.Result) error {
	sum := res.Summary
	if f.json {
		out := captured{
			Snapshot: res.Snapshot.ID, Source: spec.Name, Kind: spec.Kind, AsOf: facts.AsOf, Version: facts.Version, Damaged: facts.Damaged,
			Bytes: sum.TotalBytesProcessed, Added: sum.DataAddedPacked, Findings: facts.Findings,
		}
		for _, p := range res.Problems {
			out.Problems = append(out.Problems, problemJSON{Path: p.Path, Error: p.Err.Error(), Kept: p.Kept})
		}
		return env.json(out)
	}
	var failed []error
	for _, line := range env.findingLines(facts.Findings) {
		_, err := fmt.Fprintln(env.Err, line)
		failed = append(failed, err)
	}
	l := env.Lang
	_, err := fmt.Fprintln(env.Err, env.t("source.cli.captured", "name", spec.Name, "time", facts.AsOf,
		"bytes", l.Bytes(int64(sum.TotalBytesProcessed)), "added", l.Bytes(int64(sum.DataAddedPacked))))
	_, idErr := fmt.Fprintln(env.Out, res.Snapshot.ID)
	return errors.Join(append(failed, err, idErr)...)
}

// findingLines are lines for people.
func (e *Env) findingLines(list []source.Finding) []string {
	var lines []string
	for _, f := range list {
		level := e.t("source.level." + string(f.Level))
		lines = append(lines, e.t("source.cli.finding", "level", level, "text", e.t(f.Key, f.Pairs()...)))
		if f.Remedy != "" {
			lines = append(lines, e.t("source.cli.remedy", "remedy", f.Remedy))
		}
	}
	return lines
}

func sourceRecoverCommand(env *Env, f *sourceFlags) *cobra.Command {
	var target source.Target
	cmd := &cobra.Command{
		Use: "recover -r REPO --source FILE POINT --target-dir DIR", Short: env.t("source.cli.recover.short"), Long: env.t("source.cli.recover.long"), Args: count(1, 1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return f.recover(ctx, env, args[0], target) }),
	}
	f.addRepo(cmd, env)
	cmd.Flags().StringVar(&target.Dir, "target-dir", "", env.t("source.cli.flag.target-dir"))
	cmd.Flags().BoolVar(&target.Confirm, "confirm", false, env.t("source.cli.flag.confirm"))
	return cmd
}

// recovered is what source recover --json prints.
type recovered struct {
	Snapshot string     `json:"snapshot_id"`
	Source   string     `json:"source"`
	Target   string     `json:"target"`
	AsOf     *time.Time `json:"as_of,omitempty"`
}

func (f *sourceFlags) recover(ctx context.Context, env *Env, word string, target source.Target) error {
	spec, src, err := f.read(env)
	if err != nil {
		return err
	}
	if target.Dir == "" {
		return usage("source.cli.no-target")
	}
	target.Dir = env.path(target.Dir)
	filter := snapshot.Filter{}
	if word == snapshot.Latest {
		filter.Tags = []string{spec.Name}
	}
	return f.point(ctx, env, filter, word, func(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot) error {
		if !slices.Contains(sn.Tags, spec.Name) {
			return errs.Wrap(errs.Invalid, backup.ErrInvalid, "source.cli.other", "id", sn.Short(), "name", spec.Name, "tags", strings.Join(sn.Tags, ", "))
		}
		bar := env.progress(f.progress)
		target.Progress = bar
		point := restore.NewPoint(repo, sn)
		err := src.Recover(ctx, point, target)
		bar.done()
		if err != nil {
			return err
		}
		return f.reportRecovery(ctx, env, spec, point, target)
	})
}

func (f *sourceFlags) reportRecovery(ctx context.Context, env *Env, spec source.Spec, point source.Point, target source.Target) error {
	if !f.json {
		return env.say("source.cli.recovered", "id", point.Snapshot()[:8], "dir", target.Dir)
	}
	out := recovered{Snapshot: point.Snapshot(), Source: spec.Name, Target: target.Dir}
	facts, err := point.Facts(ctx)
	if err != nil {
		return err
	}
	if facts != nil {
		out.AsOf = &facts.AsOf
	}
	return env.json(out)
}

func sourceCheckCommand(env *Env, f *sourceFlags) *cobra.Command {
	return &cobra.Command{
		Use: "check --source FILE", Short: env.t("source.cli.check.short"), Long: env.t("source.cli.check.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return f.check(ctx, env) }),
	}
}

// checked is what source check --json prints.
type checked struct {
	Source   string        `json:"source"`
	Kind     string        `json:"kind"`
	OK       bool          `json:"ok"`
	Findings []findingJSON `json:"findings"`
}

type findingJSON struct {
	source.Finding
	Text string `json:"text"`
}

func (f *sourceFlags) check(ctx context.Context, env *Env) error {
	spec, src, err := f.read(env)
	if err != nil {
		return err
	}
	findings, err := src.Check(ctx)
	if err != nil {
		return err
	}
	if err := f.reportCheck(env, spec, findings); err != nil {
		return err
	}
	if source.Worst(findings) == source.Bad {
		return errs.New(errs.Conflict, "source.cli.bad", "name", spec.Name)
	}
	return nil
}

func (f *sourceFlags) reportCheck(env *Env, spec source.Spec, findings []source.Finding) error {
	if f.json {
		out := checked{Source: spec.Name, Kind: spec.Kind, OK: source.Worst(findings) != source.Bad, Findings: []findingJSON{}}
		for _, one := range findings {
			out.Findings = append(out.Findings, findingJSON{one, env.t(one.Key, one.Pairs()...)})
		}
		return env.json(out)
	}
	for _, line := range env.findingLines(findings) {
		if _, err := fmt.Fprintln(env.Out, line); err != nil {
			return err
		}
	}
	return nil
}
