package backupcmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/backup"
	"emrvault/backup/restore"
)

// The exit codes, as restic's users know them.
const (
	exitDone          = 0
	exitFailed        = 1
	exitUsage         = 2
	exitIncomplete    = 3
	exitNoRepository  = 10
	exitLocked        = 11
	exitWrongPassword = 12
	exitInterrupted   = 130
)

// ErrUsage marks a command that was not written as it must be.
var ErrUsage = errors.New("wrong usage")

// ErrUnconfirmed marks a plan that was shown and not carried out.
var ErrUnconfirmed = errors.New("not confirmed")

// ExitCode is what the process ends with. A wrong word of the person is wrong
// usage, whichever verb found it.
func ExitCode(err error) int {
	for _, c := range []struct {
		err  error
		code int
	}{
		{context.Canceled, exitInterrupted},
		{ErrUsage, exitUsage},
		{ErrUnconfirmed, exitUsage},
		{backup.ErrWrongPassword, exitWrongPassword},
		{backup.ErrNoRepository, exitNoRepository},
		{backup.ErrLocked, exitLocked},
		{backup.ErrIncomplete, exitIncomplete},
		{backup.ErrInvalid, exitUsage},
		{backup.ErrUnsupported, exitFailed},
		{backup.ErrUnsafe, exitFailed},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	switch errs.KindOf(err) {
	case "":
		return exitDone
	case errs.Invalid:
		return exitUsage
	case errs.NotFound, errs.Conflict, errs.Denied, errs.Busy, errs.Internal:
	}
	return exitFailed
}

// words say what an error means and what to do next. The first that fits wins.
var words = []struct {
	err  error
	kind errs.Kind
	key  string
}{
	{context.Canceled, errs.Busy, "cli.error.interrupted"},
	{backup.ErrWrongPassword, errs.Denied, "cli.error.password"},
	{backup.ErrNoRepository, errs.NotFound, "cli.error.no-repository"},
	{backup.ErrRepositoryExists, errs.Conflict, "cli.error.exists"},
	{backup.ErrLockLost, errs.Busy, "cli.error.lock-lost"},
	{backup.ErrLocked, errs.Busy, "cli.error.locked"},
	{backup.ErrIncomplete, errs.Conflict, "cli.error.incomplete"},
	{backup.ErrStorageFull, errs.Conflict, "cli.error.full"},
	{backup.ErrReadOnly, errs.Denied, "cli.error.read-only"},
	{backup.ErrTargetNotEmpty, errs.Conflict, "cli.error.target"},
	{backup.ErrUnsafe, errs.Invalid, "cli.error.unsafe"},
	{restore.ErrDiffers, errs.Conflict, "cli.error.differs"},
	{backup.ErrDamaged, errs.Conflict, "cli.error.damaged"},
	{backup.ErrUnsupported, errs.Invalid, "cli.error.unsupported"},
	{backup.ErrInvalid, errs.Invalid, "cli.error.invalid"},
	{backup.ErrNotFound, errs.NotFound, "cli.error.not-found"},
}

// tell puts words for people around an error of the engine; an error that has
// words already keeps them.
func tell(err error) error {
	var told *errs.Error
	if err == nil || errors.As(err, &told) {
		return err
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return errs.Wrap(w.kind, err, w.key)
		}
	}
	return err
}

// wrong is an error about what was asked: its own words say everything, so
// the sentinel inside it adds none.
type wrong struct {
	told *errs.Error
	kind error
}

// Error gives the English text.
func (w wrong) Error() string { return w.told.Error() }

// Message gives the key of the text.
func (w wrong) Message() (key string, args []any) { return w.told.Message() }

// Is answers for the sentinel.
func (w wrong) Is(target error) bool { return target == w.kind }

// As lets errs.KindOf see the kind.
func (w wrong) As(target any) bool {
	e, ok := target.(**errs.Error)
	if ok {
		*e = w.told
	}
	return ok
}

// usage is an error about the command line itself.
func usage(key string, args ...any) error { return usageOf(ErrUsage, key, args...) }

func usageOf(kind error, key string, args ...any) error {
	return wrong{errs.New(errs.Invalid, key, args...), kind}
}

// count checks the number of arguments; the usage line says what they are.
func count(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usage("cli.usage.args", "usage", cmd.UseLine())
		}
		return nil
	}
}

// flagError gives an unknown or unreadable flag the exit code for wrong usage.
func flagError(cmd *cobra.Command, err error) error {
	return usage("cli.usage.flag", "usage", cmd.UseLine(), "error", err.Error())
}
