package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"emrvault/backup"
)

// Type is the sort of value a setting takes; it decides the form field.
type Type string

const (
	// Text is one line.
	Text Type = "text"
	// Path is the place of one file or folder on this machine.
	Path Type = "path"
	// Paths is a list of places; a single text is a list of one.
	Paths Type = "paths"
	// Patterns is a list of texts that are not places; a single one is a list.
	Patterns Type = "patterns"
	// Flag is yes or no.
	Flag Type = "flag"
)

// Setting describes one setting of a kind, for strict reading and for forms.
type Setting struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Required bool   `json:"required"`
	Key      string `json:"key"` // texts: label; Key+".hint" explains it
}

// Kind describes one sort of source.
type Kind struct {
	Name     string    `json:"name"`
	Key      string    `json:"key"`   // texts: what a person calls it
	Ready    bool      `json:"ready"` // false: comes with a later version
	Settings []Setting `json:"settings,omitempty"`
}

// maxName bounds the name of a source, in letters; it is a tag of snapshots
// and stands in lists.
const maxName = 100

// Verify says whether the spec can be one of kind k: a usable name, no
// setting the kind does not know, every value of its type, none missing. The
// errors wrap backup.ErrInvalid and name the setting.
func (s Spec) Verify(k Kind) error {
	if err := verifyName(s.Name); err != nil {
		return err
	}
	for name := range s.Settings {
		if !slices.ContainsFunc(k.Settings, func(d Setting) bool { return d.Name == name }) {
			return fmt.Errorf("source %q: setting %q is not known to kind %s (known: %s): %w",
				s.Name, name, k.Name, known(k.Settings), backup.ErrInvalid)
		}
	}
	for _, d := range k.Settings {
		if err := s.verifySetting(d); err != nil {
			return fmt.Errorf("source %q: setting %q: %w", s.Name, d.Name, err)
		}
	}
	return nil
}

// Text is the value of a Text or Path setting, "" when absent.
func (s Spec) Text(name string) string {
	text, _ := s.Settings[name].(string)
	return text
}

// List is the value of a Paths or Patterns setting.
func (s Spec) List(name string) []string {
	list, _ := texts(s.Settings[name])
	return list
}

// Flag is the value of a Flag setting, false when absent.
func (s Spec) Flag(name string) bool {
	flag, _ := s.Settings[name].(bool)
	return flag
}

func (s Spec) verifySetting(d Setting) error {
	value, there := s.Settings[d.Name]
	if !there || value == nil {
		if d.Required {
			return fmt.Errorf("is missing: %w", backup.ErrInvalid)
		}
		return nil
	}
	switch d.Type {
	case Flag:
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("must be true or false, not %T: %w", value, backup.ErrInvalid)
		}
	case Paths, Patterns:
		return verifyList(value, d)
	default:
		text, ok := value.(string)
		if !ok {
			return fmt.Errorf("must be a text, not %T: %w", value, backup.ErrInvalid)
		}
		return verifyText(text, d.Required)
	}
	return nil
}

func verifyList(value any, d Setting) error {
	list, ok := texts(value)
	if !ok {
		return fmt.Errorf("must be a text or a list of texts, not %T: %w", value, backup.ErrInvalid)
	}
	if d.Required && len(list) == 0 {
		return fmt.Errorf("names nothing: %w", backup.ErrInvalid)
	}
	for _, text := range list {
		if err := verifyText(text, true); err != nil {
			return err
		}
	}
	return nil
}

func verifyText(text string, required bool) error {
	if required && strings.TrimSpace(text) == "" {
		return fmt.Errorf("is empty: %w", backup.ErrInvalid)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%q holds control characters or broken letters: %w", text, backup.ErrInvalid)
	}
	return nil
}

// verifyName keeps out what would not survive as a tag: lists of tags are cut
// at commas, and lists on a terminal at line ends.
func verifyName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fmt.Errorf("a source needs a name: %w", backup.ErrInvalid)
	case name != strings.TrimSpace(name) || strings.Contains(name, ","):
		return fmt.Errorf("source name %q: no comma, no space at its ends: %w", name, backup.ErrInvalid)
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("source name is longer than %d letters: %w", maxName, backup.ErrInvalid)
	}
	if err := verifyText(name, true); err != nil {
		return fmt.Errorf("source name %w", err)
	}
	return nil
}

// texts reads a list as YAML, JSON and Go write it; one text is a list of one.
func texts(value any) ([]string, bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []string:
		return v, true
	case []any:
		list := make([]string, 0, len(v))
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, false
			}
			list = append(list, text)
		}
		return list, true
	}
	return nil, false
}

func known(settings []Setting) string {
	names := make([]string, 0, len(settings))
	for _, d := range settings {
		names = append(names, d.Name)
	}
	return strings.Join(names, ", ")
}
