package recovery

import (
	"fmt"
	"mime"
	"path"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// printable shows a name so that what is seen is what is there: bytes that are
// no letters, control characters and marks that turn the direction of writing
// are written out. A name that reads "exe.txt" but ends in ".exe" cannot hide.
func printable(name string) string {
	if utf8.ValidString(name) && !strings.ContainsFunc(name, hidden) {
		return name
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(name); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case hidden(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden says whether a character would be invisible or move others.
func hidden(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// disposition is the header that gives a download its name: the plain form
// for old browsers, the full one as RFC 6266 and RFC 8187 write it.
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\/:*?<>|%;`, r) {
			return '_'
		}
		return r
	}, name)
	if strings.Trim(plain, "_. ") == "" {
		plain = "download" + path.Ext(plain)
	}
	return `attachment; filename="` + plain + `"; filename*=UTF-8''` + percent(name)
}

// percent writes the bytes of a name as RFC 8187 wants them. Bytes that are no
// UTF-8 become the mark of a letter nobody knows.
func percent(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToValidUTF8(name, "\uFFFD")) {
		if c < utf8.RuneSelf && (isAlnum(c) || strings.IndexByte("!#$&+-.^_`|~", c) >= 0) {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// literal turns a path into a pattern that means just this path: the signs of
// patterns are put into classes of one.
func literal(name string) string {
	return strings.NewReplacer(`\`, `[\\]`, `*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(name)
}

// iconOf is the picture of an entry.
func iconOf(kind, name string) string {
	if kind == "dir" {
		return "folder"
	}
	if kind == "symlink" {
		return "link"
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".pdf":
		return "file-type-pdf"
	case ".zip", ".gz", ".7z", ".rar":
		return "file-zip"
	case ".xls", ".xlsx", ".csv":
		return "file-spreadsheet"
	case ".db", ".sqlite", ".sqlite3", ".mdf":
		return "database"
	}
	if strings.HasPrefix(mime.TypeByExtension(path.Ext(name)), "text/") || path.Ext(name) == ".xml" {
		return "file-text"
	}
	return "file"
}

// suggestTarget offers a folder that does not exist yet.
func suggestTarget(now time.Time) string {
	name := now.Format("20060102-150405")
	if runtime.GOOS == "windows" {
		return `C:\restore\` + name
	}
	return "/srv/restore/" + name
}
