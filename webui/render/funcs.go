package render

import (
	"errors"
	"fmt"
	"html/template"
	"time"

	"emrvault/appliance/locale"
)

// functions are what templates may call, in one language:
//
//	T key name value …       a text            plural key n name value …
//	bytes n   number n   percent share         duration d   ago t
//	time t    near t (no year this year)       date t       clock t (15:04:05)
//	stamp t (for datetime=)                    errorText err
//	icon name [class]        static name       dict name value …   list …
func (r *Renderer) functions(lang locale.Lang) template.FuncMap {
	local := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.In(r.Zone())
	}
	return template.FuncMap{
		"T":         lang.T,
		"plural":    func(key string, n int, args ...any) string { return lang.Plural(key, n, args...) },
		"errorText": lang.Error,
		"bytes":     func(n any) (string, error) { return withInt(n, lang.Bytes) },
		"number":    func(n any) (string, error) { return withInt(n, lang.Number) },
		"percent":   lang.Percent,
		"duration":  lang.Duration,
		"ago":       func(t time.Time) string { return r.ago(lang, t) },
		"time":      func(t time.Time) string { return lang.Time(local(t)) },
		"near":      func(t time.Time) string { return lang.TimeNear(local(t), r.Now().In(r.Zone())) },
		"date":      func(t time.Time) string { return lang.Date(local(t)) },
		"weekday":   func(t time.Time) string { return lang.Weekday(local(t)) },
		"clock":     func(t time.Time) string { return clock(local(t)) },
		"stamp":     func(t time.Time) string { return local(t).Format(time.RFC3339) },
		"icon":      r.icon,
		"static":    r.Static.URL,
		"dict":      dict,
		"list":      func(v ...any) []any { return v },
		"add":       func(a, b int) int { return a + b },
	}
}

func (r *Renderer) ago(lang locale.Lang, t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return lang.Ago(r.Now().Sub(t))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.Format("15:04:05")
}

// withInt lets templates pass any whole number.
func withInt(n any, show func(int64) string) (string, error) {
	switch n := n.(type) {
	case int:
		return show(int64(n)), nil
	case int64:
		return show(n), nil
	case uint64:
		return show(int64(min(n, 1<<62))), nil
	case int32:
		return show(int64(n)), nil
	case uint32:
		return show(int64(n)), nil
	}
	return "", fmt.Errorf("%T is no whole number", n)
}

// icon draws a symbol of the sprite. It is decoration: the words stand beside
// it, so it is hidden from readers that speak.
func (r *Renderer) icon(name string, class ...string) (template.HTML, error) {
	if !r.Static.HasIcon(name) {
		return "", fmt.Errorf("the sprite has no icon %q; add it to icons.txt", name)
	}
	sprite, err := r.Static.URL("vendor/icons.svg")
	if err != nil {
		return "", err
	}
	extra := ""
	for _, c := range class {
		extra += " " + template.HTMLEscapeString(c)
	}
	return template.HTML(`<svg class="i` + extra + `" aria-hidden="true"><use href="` + sprite + "#" + name + `"></use></svg>`), nil //nolint:gosec // built from names of our own sprite
}

// dict hands several values to a part.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants name, value pairs")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict name %v is no text", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
