// Package errs names the kinds of failure a person can act on.
//
// An error that reaches a page or a terminal says two things: a Kind for
// programs (which status, which exit code) and the key of a text for people.
// The text lives in appliance/locale in both languages, so the same error reads
// well on a Chinese page and in an English log. An error without a kind is
// Internal: logged in full for us, calm for the person in front of the screen.
//
//	errs.New(errs.Busy, "config.locked", "pid", 4711)
//	errs.Wrap(errs.Denied, err, "service.rights")
package errs

import (
	"errors"
	"slices"

	"emrvault/appliance/locale"
)

// Kind says what sort of failure it is, whatever its words.
type Kind string

const (
	// NotFound says that the named thing does not exist.
	NotFound Kind = "not-found"
	// Conflict says that the thing is not in the state the action needs.
	Conflict Kind = "conflict"
	// Denied says that this person or process may not do it.
	Denied Kind = "denied"
	// Invalid says that what was asked is wrong in itself.
	Invalid Kind = "invalid"
	// Busy says that it would work later, when another has finished.
	Busy Kind = "busy"
	// Internal says that the fault is ours or the machine's.
	Internal Kind = "internal"
)

// Error is a failure with a kind and the key of its text. It is built by New
// and Wrap and never changed afterwards.
type Error struct {
	Kind  Kind
	Key   string // key of the text in appliance/locale
	Args  []any  // name, value pairs for the placeholders of the text
	Cause error  // nil when the failure begins here
}

// New makes an error whose text stands under key; args are name, value pairs.
func New(kind Kind, key string, args ...any) *Error {
	return &Error{Kind: kind, Key: key, Args: slices.Clone(args)}
}

// Wrap gives err a kind and a text for people; errors.Is still sees err.
func Wrap(kind Kind, err error, key string, args ...any) *Error {
	return &Error{Kind: kind, Key: key, Args: slices.Clone(args), Cause: err}
}

// KindOf finds the kind of the outermost Error in err. Whatever has none is
// Internal; nil has the empty kind.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var told *Error
	if errors.As(err, &told) {
		return told.Kind
	}
	return Internal
}

// Error tells the failure in English, the cause at the end.
func (e *Error) Error() string {
	text := locale.English.T(e.Key, e.Args...)
	if e.Cause == nil {
		return text
	}
	return text + ": " + e.Cause.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Message gives key and arguments of the text, so that appliance/locale can
// tell the error in the reader's language.
func (e *Error) Message() (key string, args []any) { return e.Key, e.Args }
