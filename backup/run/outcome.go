package run

import (
	"context"
	"errors"
	"io"
	"net"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/backup"
	"emrvault/backup/plan"
	"emrvault/backup/source"
	"emrvault/backup/storage"
	"emrvault/backup/storage/retry"
)

// errGap marks work that was done, but not all of it, or not on sound ground.
var errGap = errors.New("done with gaps")

func gap(err error) bool { return errors.Is(err, errGap) }

// incomplete tells a gap to people.
func incomplete(cause error, key string, args ...any) error {
	return errs.Wrap(errs.Conflict, errors.Join(errGap, cause), key, args...)
}

// reasons gives each condition of the engine its words and its kind. The
// first that fits is told, so the narrower ones come first.
var reasons = []struct {
	is   error
	kind errs.Kind
	key  string
}{
	{backup.ErrStorageFull, errs.Conflict, "run.fail.full"},
	{backup.ErrReadOnly, errs.Conflict, "run.fail.readonly"},
	{backup.ErrWrongPassword, errs.Denied, "run.fail.password"},
	{backup.ErrNoRepository, errs.NotFound, "run.fail.norepository"},
	{backup.ErrRepositoryExists, errs.Conflict, "run.fail.exists"},
	{backup.ErrLockLost, errs.Conflict, "run.fail.locklost"},
	{backup.ErrLocked, errs.Busy, "run.fail.locked"},
	{backup.ErrTargetNotEmpty, errs.Conflict, "run.fail.notempty"},
	{backup.ErrUnsafe, errs.Denied, "run.fail.unsafe"},
	{backup.ErrDamaged, errs.Conflict, "run.fail.damaged"},
	{backup.ErrUnsupported, errs.Invalid, "run.fail.unsupported"},
	{backup.ErrInvalid, errs.Invalid, "run.fail.invalid"},
	{storage.ErrPermanent, errs.Conflict, "run.fail.denied"},
	{retry.ErrStalled, errs.Conflict, "run.fail.silent"},
	{backup.ErrNotFound, errs.NotFound, "run.fail.notfound"},
}

// told gives an error of the engine a kind, words for people and the next
// step. What has words already, and a wish to stop, pass through.
func told(err error) error {
	var has locale.Told
	switch {
	case err == nil, errors.As(err, &has), errors.Is(err, context.Canceled):
		return err
	}
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return spoken{errs.Wrap(r.kind, err, r.key, "detail", err.Error())}
		}
	}
	var line net.Error
	if errors.As(err, &line) {
		return spoken{errs.Wrap(errs.Conflict, err, "run.fail.silent", "detail", err.Error())}
	}
	return spoken{errs.Wrap(errs.Internal, err, "run.fail.other", "detail", err.Error())}
}

// spoken is an error whose words hold all its cause has to say, so that nobody
// tells the cause once more behind it.
type spoken struct{ said *errs.Error }

// Error tells it in English.
func (s spoken) Error() string { return locale.English.T(s.said.Key, s.said.Args...) }

// Message is the text for people.
func (s spoken) Message() (string, []any) { return s.said.Message() }

// Unwrap gives kind and cause.
func (s spoken) Unwrap() []error { return []error{s.said} }

// Told gives an error of the engine words for people; package drill tells its
// failures alike.
func Told(err error) error { return told(err) }

// noteOf is an error as it is kept with a run.
func noteOf(err error) plan.Note {
	var has locale.Told
	if err == nil || !errors.As(told(err), &has) {
		return plan.Note{}
	}
	key, args := has.Message()
	return plan.Say(key, args...)
}

// NoteOf is an error as it is kept with a run or a drill.
func NoteOf(err error) plan.Note { return noteOf(err) }

// findingNote is a source's finding as a sentence.
func findingNote(f source.Finding) plan.Note { return plan.Say(f.Key, f.Pairs()...) }

// worst is the first bad finding, the zero one when all is well.
func worst(findings []source.Finding) (source.Finding, bool) {
	for _, f := range findings {
		if f.Level == source.Bad {
			return f, true
		}
	}
	return source.Finding{}, false
}

// closing closes c and keeps the first error.
func closing(err error, c io.Closer) error { return errors.Join(err, c.Close()) }
