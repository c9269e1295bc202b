package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"emrvault/appliance/errs"
	"emrvault/backup/plan"
	"emrvault/backup/snapshot/pattern"
)

// patience is how long one assertion may take.
const patience = 10 * time.Minute

// wrong is a failure of the data itself.
func wrong(key string, args ...any) error {
	return lost{errs.New(errs.Conflict, key, args...)}
}

// assert asks every question of the plan, also after one has failed: the
// person who mends it wants the whole list.
func (a *attempt) assert(ctx context.Context) (plan.Note, error) {
	failed, firstFailed := 0, ""
	for _, q := range a.plan.Drill.Assertions {
		a.job.Current(q.Label())
		found, ok, err := a.answer(ctx, q)
		if ctx.Err() != nil {
			return plan.Note{}, context.Cause(ctx)
		}
		if err != nil {
			found, ok = plan.Say("drill.said", "text", err.Error()), false
		}
		a.verdict.Checks = append(a.verdict.Checks, Check{Note: plan.Say("drill.check.assertion", "name", q.Label()), OK: ok, Detail: found})
		if !ok {
			failed++
			firstFailed = cmp.Or(firstFailed, q.Label())
		}
	}
	n := len(a.plan.Drill.Assertions)
	a.verdict.Figures.Assertions = n
	detail := plan.Say("drill.detail.assert", "passed", n-failed, "n", n)
	if failed > 0 {
		return detail, wrong("drill.fail.assertion", "n", failed, "first", firstFailed)
	}
	return detail, nil
}

func (a *attempt) answer(ctx context.Context, q plan.Assertion) (plan.Note, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch q.Kind {
	case plan.AssertSQL:
		return a.answerSQL(ctx, q)
	case plan.AssertCount:
		return a.answerCount(ctx, q)
	case plan.AssertNewest:
		return a.answerNewest(ctx, q)
	}
	return plan.Note{}, false, errs.New(errs.Invalid, "plan.invalid.assertion", "value", q.Kind)
}

func (a *attempt) answerSQL(ctx context.Context, q plan.Assertion) (plan.Note, bool, error) {
	db, err := a.database(q.Path)
	if err != nil {
		return plan.Note{}, false, err
	}
	got, err := db.ask(ctx, q.Query)
	if err != nil {
		return plan.Note{}, false, err
	}
	sign := cmp.Or(q.Compare, "=")
	return plan.Say("drill.answer.sql", "got", got, "sign", sign, "want", q.Expect), holds(got, sign, q.Expect), nil
}

// database finds the one database a pattern means.
func (a *attempt) database(path string) (database, error) {
	list := a.databases
	if path != "" {
		chosen, err := pattern.Parse([]string{path})
		if err != nil {
			return database{}, err
		}
		list = nil
		for _, db := range a.databases {
			if ok, _ := chosen.Match(db.path); ok {
				list = append(list, db)
			}
		}
	}
	switch len(list) {
	case 1:
		return list[0], nil
	case 0:
		return database{}, errs.New(errs.NotFound, "drill.answer.nodatabase", "path", path)
	}
	return database{}, errs.New(errs.Invalid, "drill.answer.databases", "n", len(list), "first", list[0].path, "second", list[1].path)
}

// holds compares as numbers when both are numbers, else as text.
func holds(got, sign, want string) bool {
	order := strings.Compare(got, want)
	a, errA := strconv.ParseFloat(strings.TrimSpace(got), 64)
	b, errB := strconv.ParseFloat(strings.TrimSpace(want), 64)
	if errA == nil && errB == nil {
		order = cmp.Compare(a, b)
	}
	switch sign {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return false
}

// survey is what a pattern of files meets.
type survey struct {
	files  int64
	newest time.Time
}

func (a *attempt) survey(ctx context.Context, path string) (s survey, err error) {
	var chosen pattern.List
	if path != "" {
		if chosen, err = pattern.Parse([]string{path}); err != nil {
			return s, err
		}
	}
	err = filepath.WalkDir(a.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		rel, err := filepath.Rel(a.dir, name)
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if ok, _ := chosen.Match("/" + filepath.ToSlash(rel)); path != "" && !ok {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s.files++
		if info.ModTime().After(s.newest) {
			s.newest = info.ModTime()
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("look through restored files: %w", err)
	}
	return s, nil
}

func (a *attempt) answerCount(ctx context.Context, q plan.Assertion) (plan.Note, bool, error) {
	s, err := a.survey(ctx, q.Path)
	if err != nil {
		return plan.Note{}, false, err
	}
	ok := s.files >= q.Min && (q.Max == 0 || s.files <= q.Max)
	if q.Max == 0 {
		return plan.Say("drill.answer.atleast", "got", s.files, "min", q.Min), ok, nil
	}
	return plan.Say("drill.answer.between", "got", s.files, "min", q.Min, "max", q.Max), ok, nil
}

// answerNewest compares the newest document with the moment as of which the
// point is complete: how old the point is by now is the RPO's to say.
func (a *attempt) answerNewest(ctx context.Context, q plan.Assertion) (plan.Note, bool, error) {
	newest, err := a.newest(ctx, q)
	if err != nil {
		return plan.Note{}, false, err
	}
	age := max(0, a.point.AsOf.Sub(newest))
	return plan.Say("drill.answer.newest", "at", newest.In(a.plan.Location(a.Book.Site())), "age", age, "within", q.Within.D()), age <= q.Within.D(), nil
}

func (a *attempt) newest(ctx context.Context, q plan.Assertion) (time.Time, error) {
	if q.Query == "" {
		s, err := a.survey(ctx, q.Path)
		if err == nil && s.files == 0 {
			err = errs.New(errs.NotFound, "drill.answer.nofile", "path", q.Path)
		}
		return s.newest, err
	}
	db, err := a.database(q.Path)
	if err != nil {
		return time.Time{}, err
	}
	text, err := db.ask(ctx, q.Query)
	if err != nil {
		return time.Time{}, err
	}
	return moment(text, a.plan.Location(a.Book.Site()))
}

// moments are the ways in which applications write a time into SQLite. Those
// without a zone are read in the plan's.
var moments = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly,
}

// moment reads a time as text or as Unix seconds or milliseconds.
func moment(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range moments {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || n <= 0 || n > 1e14:
		return time.Time{}, errs.New(errs.Invalid, "drill.answer.notime", "text", text)
	case n > 1e11:
		return time.UnixMilli(int64(n)), nil
	}
	return time.Unix(int64(n), 0), nil
}
