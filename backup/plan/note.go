package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"emrvault/appliance/locale"
)

// Note is a sentence for people: the key of a text and its arguments (name,
// value pairs). It is kept in the store and told in the reader's language,
// so durations, sizes, moments and other notes keep their type on the way.
type Note struct {
	Key  string
	Args []any
}

// Size is a number of bytes inside a Note.
type Size int64

// Say makes a Note.
func Say(key string, args ...any) Note { return Note{Key: key, Args: args} }

// IsZero says that there is nothing to tell.
func (n Note) IsZero() bool { return n.Key == "" }

// In tells the note in a language.
func (n Note) In(l locale.Lang) string {
	if n.IsZero() {
		return ""
	}
	return l.T(n.Key, n.sized(l)...)
}

// Plain gives the arguments for a place that knows moments and lengths of time
// but no sizes, such as the lines of a job. Sizes read alike in all languages.
func (n Note) Plain() []any { return n.sized(locale.English) }

func (n Note) sized(l locale.Lang) []any {
	args := make([]any, len(n.Args))
	for i, a := range n.Args {
		switch v := a.(type) {
		case Size:
			a = l.Bytes(int64(v))
		case Note:
			a = v.In(l)
		case []Note:
			a = lines(l, v)
		}
		args[i] = a
	}
	return args
}

// lines tells notes one below the other.
func lines(l locale.Lang, notes []Note) string {
	said := make([]string, len(notes))
	for i, n := range notes {
		said[i] = n.In(l)
	}
	return strings.Join(said, "\n")
}

// noteJSON is a note on disk; each argument is plain, or an object that names
// its type.
type noteJSON struct {
	Key  string `json:"key"`
	Args []any  `json:"args,omitempty"`
}

// MarshalJSON writes the note with typed arguments.
func (n Note) MarshalJSON() ([]byte, error) {
	out := noteJSON{Key: n.Key, Args: make([]any, len(n.Args))}
	for i, a := range n.Args {
		switch v := a.(type) {
		case time.Duration:
			a = map[string]any{"seconds": v.Seconds()}
		case time.Time:
			a = map[string]any{"time": v.UTC().Format(time.RFC3339Nano)}
		case Size:
			a = map[string]any{"bytes": int64(v)}
		case error:
			a = v.Error()
		case fmt.Stringer:
			a = v.String()
		}
		out.Args[i] = a
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *Note) UnmarshalJSON(data []byte) error {
	var in noteJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("note: %w", err)
	}
	n.Key, n.Args = in.Key, in.Args
	for i, a := range n.Args {
		n.Args[i] = typed(a)
	}
	return nil
}

func typed(a any) any {
	if list, ok := a.([]any); ok {
		return notesOf(list)
	}
	object, ok := a.(map[string]any)
	if !ok {
		if f, isNumber := a.(float64); isNumber && f == float64(int64(f)) {
			return int64(f)
		}
		return a
	}
	if key, ok := object["key"].(string); ok {
		return noteOf(key, object)
	}
	if s, ok := object["seconds"].(float64); ok {
		return time.Duration(s * float64(time.Second))
	}
	if b, ok := object["bytes"].(float64); ok {
		return Size(b)
	}
	if text, ok := object["time"].(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return t
		}
	}
	return a
}

// noteOf is a note inside a note.
func noteOf(key string, object map[string]any) Note {
	n := Note{Key: key}
	args, _ := object["args"].([]any)
	for _, a := range args {
		n.Args = append(n.Args, typed(a))
	}
	return n
}

// notesOf is a list of notes inside a note; anything else stays as it is.
func notesOf(list []any) any {
	notes := make([]Note, len(list))
	for i, a := range list {
		n, ok := typed(a).(Note)
		if !ok {
			return list
		}
		notes[i] = n
	}
	return notes
}
