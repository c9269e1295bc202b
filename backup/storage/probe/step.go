package probe

import (
	"errors"
	"io/fs"
	"net"
	"time"

	"emrvault/backup"
)

// State is how a step ended.
type State string

// The states; the text of each is "probe.state.<state>".
const (
	OK          State = "ok"
	Unsupported State = "unsupported" // the place does not offer it; backups work without
	Failed      State = "failed"
)

// Step is what one question brought to light.
type Step struct {
	Name     string         `json:"name"`
	State    State          `json:"state"`
	Key      string         `json:"key,omitempty"`  // texts: "probe.detail.<key>"; empty: nothing to add
	Args     map[string]any `json:"args,omitempty"` // arguments of the text; one named bytes is a size
	Text     string         `json:"text,omitempty"` // in English
	Duration time.Duration  `json:"duration_ns"`
}

// Answer is a Step before anybody has looked at the clock.
type Answer struct {
	State State
	Key   string
	Args  map[string]any
	Text  string
}

// Ask takes the time of a question.
func Ask(name string, question func() Answer) Step {
	began := time.Now()
	a := question()
	return Step{Name: name, State: a.State, Key: a.Key, Args: a.Args, Text: a.Text, Duration: time.Since(began)}
}

// Told is the answer that an error gives, or its absence.
func Told(err error) Answer {
	if err == nil {
		return Answer{State: OK}
	}
	a := Answer{State: Failed, Key: "error", Text: err.Error(), Args: map[string]any{"error": err.Error()}}
	if errors.Is(err, backup.ErrUnsupported) {
		a.State = Unsupported
	}
	if key := reason(err); key != "" {
		a.Key = key
	}
	return a
}

// reason names what an error means, so that it can be told in a person's
// language; empty when nobody knows.
func reason(err error) string {
	var named interface{ Reason() string }
	var line *net.OpError
	switch {
	case errors.As(err, &named):
		return named.Reason()
	case errors.Is(err, backup.ErrStorageFull):
		return "full"
	case errors.Is(err, backup.ErrReadOnly), errors.Is(err, fs.ErrPermission):
		return "read-only"
	case errors.As(err, &line):
		return "unreached"
	}
	return ""
}
