// Package room is looked through by a test.
package room

type lang struct{}

func (lang) T(key string, args ...any) string             { return key }
func (lang) Plural(key string, n int, args ...any) string { return key }
func Wrap(err error, key string, args ...any) error       { return err }
func get(key string) string                               { return key }

type teller interface{ Tell(key string, args ...any) }

const rightsKey = "room.rights"

func uses(l lang, t teller, err error, word string, more []any) {
	l.T("room.plain")
	l.T("room.filled", "plan", word, "n", 1)
	l.Plural("room.many", 3, "plan", word)
	l.T("room.word." + word)
	l.T(word)
	l.T("no key")
	l.T("room.spread", more...)
	_ = Wrap(err, "room.wrapped", "path", word)
	t.Tell("room.told")
	get("site.name")
}
