// Package locale holds every text people read, in Chinese and in English.
//
// Pages, mails, reports and verbs ask the same Lang for a text by its key and
// fill its placeholders by name: zh.T("box.locked", "pid", 4711). The texts lie
// in zh/<area>.json and en/<area>.json, flat objects from key to text, one file
// for each area so that several hands can write at once; a key belongs to one
// area only. Tests hold both languages to the same keys and the same
// placeholders, and look through the source of the module for keys that no
// file knows.
//
// Sizes, durations, moments and numbers go through a Lang as well, because
// a Chinese reader expects "2 分 41 秒" where an English one reads "2 min 41 s".
package locale

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"
	"time"
)

// Lang is a language of the house, "zh" or "en".
type Lang string

const (
	// Chinese is the language of the hospital and the default.
	Chinese Lang = "zh"
	// English is the second language.
	English Lang = "en"
)

// Languages lists all languages, the default first.
func Languages() []Lang { return []Lang{Chinese, English} }

// Parse reads a language from a flag, a cookie or an environment variable; it
// understands "zh", "zh-CN", "zh_CN.UTF-8", "en", "en-GB". The second value
// says whether the word was understood; when not, the language is Chinese.
func Parse(word string) (Lang, bool) {
	base, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(word)), "-")
	base, _, _ = strings.Cut(base, "_")
	for _, l := range Languages() {
		if base == string(l) {
			return l, true
		}
	}
	return Chinese, false
}

// Told is an error that knows the key of its text; errs.Error is one.
type Told interface {
	error
	Message() (key string, args []any)
}

// T gives the text under key with its placeholders filled; args are name,
// value pairs. An unknown key is shown as it is, so that a gap is seen and
// nothing breaks.
func (l Lang) T(key string, args ...any) string {
	text, ok := l.lookup(key)
	if !ok {
		return key
	}
	return l.fill(text, args)
}

// Has says whether the language has a text under key.
func (l Lang) Has(key string) bool {
	_, ok := l.lookup(key)
	return ok
}

// Plural gives the text for n things: key.one for exactly one where the
// language tells one from many, key.other otherwise. {n} is filled with n.
func (l Lang) Plural(key string, n int, args ...any) string {
	args = append([]any{"n", l.Number(int64(n))}, args...)
	if n == 1 && l.Has(key+".one") {
		return l.T(key+".one", args...)
	}
	return l.T(key+".other", args...)
}

// Error tells an error to a person: the text of the outermost told error, or
// the calm text for internal faults when nobody gave it words.
func (l Lang) Error(err error) string {
	if err == nil {
		return ""
	}
	var told Told
	if !errors.As(err, &told) {
		return l.T("error.internal")
	}
	key, args := told.Message()
	return l.T(key, args...)
}

// Detail tells an error to an operator at a terminal: the same text, and what
// the machine said about the cause.
func (l Lang) Detail(err error) string {
	if err == nil {
		return ""
	}
	var told Told
	if !errors.As(err, &told) {
		return err.Error()
	}
	cause := errors.Unwrap(told)
	if cause == nil {
		return l.Error(err)
	}
	return l.Error(err) + l.T("error.because") + l.Detail(cause)
}

func (l Lang) lookup(key string) (string, bool) {
	book := books()
	texts, ok := book[l]
	if !ok {
		texts = book[Chinese]
	}
	text, ok := texts[key]
	return text, ok
}

// fill replaces {name} by the value of that name. A placeholder without
// a value stays visible.
func (l Lang) fill(text string, args []any) string {
	if len(args) < 2 || !strings.Contains(text, "{") {
		return text
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(args[i])+"}", l.value(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// value shows an argument as its reader expects it. Whole numbers stay plain,
// because most of them are ports, years and process ids; counts go through
// Number or Plural first.
func (l Lang) value(v any) string {
	switch v := v.(type) {
	case time.Time:
		return l.Time(v)
	case time.Duration:
		return l.Duration(v)
	case error:
		return l.Detail(v)
	default:
		return fmt.Sprint(v)
	}
}

//go:embed zh/*.json en/*.json
var files embed.FS

type book map[Lang]map[string]string

// books reads the embedded files once. They are part of the program, and the
// tests read them too: a broken file cannot reach a hospital.
var books = sync.OnceValue(func() book {
	b, err := load(files)
	if err != nil {
		panic("locale: " + err.Error())
	}
	return b
})

func load(fsys fs.FS) (book, error) {
	all := book{}
	for _, l := range Languages() {
		texts, err := loadLang(fsys, string(l))
		if err != nil {
			return nil, err
		}
		all[l] = texts
	}
	return all, nil
}

func loadLang(fsys fs.FS, dir string) (map[string]string, error) {
	names, err := fs.Glob(fsys, dir+"/*.json")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	texts, home := map[string]string{}, map[string]string{}
	for _, name := range names {
		area, err := loadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		for key, text := range area {
			if other, twice := home[key]; twice {
				return nil, fmt.Errorf("%s: key %q stands in %s already", name, key, path.Base(other))
			}
			texts[key], home[key] = text, name
		}
	}
	return texts, nil
}

func loadFile(fsys fs.FS, name string) (map[string]string, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read texts: %w", err)
	}
	area := map[string]string{}
	if err := json.Unmarshal(data, &area); err != nil {
		return nil, fmt.Errorf("texts in %s: %w", name, err)
	}
	return area, nil
}
