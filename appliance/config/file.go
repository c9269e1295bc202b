package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"emrvault/appliance/errs"
)

// value is one setting as the file gives it.
type value struct{ key, text string }

// parse reads the YAML of the settings file: sections with values. It keeps
// the order and leaves every check to the table.
func parse(data []byte) ([]value, error) {
	var file yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	var values []value
	for _, section := range file {
		inner, ok := section.Value.(yaml.MapSlice)
		if section.Value == nil {
			continue // a section whose settings are all comments
		}
		if !ok {
			return nil, errs.New(errs.Invalid, "config.section", "key", section.Key)
		}
		for _, item := range inner {
			key := fmt.Sprintf("%v.%v", section.Key, item.Key)
			text, err := plain(key, item.Value)
			if err != nil {
				return nil, err
			}
			values = append(values, value{key, text})
		}
	}
	return values, nil
}

// plain gives a value in the form a person would type on the command line.
func plain(key string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = fmt.Sprint(v[i])
		}
		return strings.Join(parts, ", "), nil
	case yaml.MapSlice, map[string]any:
		return "", errs.New(errs.Invalid, "config.section", "key", key)
	default:
		return fmt.Sprint(v), nil
	}
}

// file writes all settings with their comments.
func (s *Settings) file() string {
	var b strings.Builder
	note(&b, "", s.Language.T("config.comment.head"))
	section := ""
	for _, d := range table {
		group, name, _ := strings.Cut(d.key, ".")
		if group != section {
			section = group
			fmt.Fprintf(&b, "\n%s:\n", section)
		}
		note(&b, "  ", s.Language.T(d.comment))
		off := ""
		if s.origin[d.key] == FromDefault {
			off = "# "
		}
		fmt.Fprintf(&b, "  %s%s: %s\n", off, name, quote(d.get(s)))
	}
	return b.String()
}

func note(b *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		b.WriteString(indent + "# " + strings.TrimRight(line, "\n") + "\n")
	}
}

// quote writes text as a YAML scalar in double quotes, whatever it holds.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`).Replace(text) + `"`
}
