package restore

import (
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"
)

// namer gives the entries of one folder names that the target can hold. Linux
// takes every name as it is. Windows does not, so there (and with
// PortableNames anywhere) these are written as %XX, the byte in hex:
//
//	<>:"/\|?* and bytes below 0x20 and 0x7F   a:b       a%3Ab
//	bytes that are not UTF-8                  a\xff     a%FF
//	a dot or a space at the end               a.        a%2E
//	the first letter of a device's name       con.txt   %63on.txt
//	a % before two hex digits                 50%25     50%2525
//	letters from the left, as many as needed, of a name that differs from one
//	before it only in small and capital       README    %52EADME
//
// Writing each %XX as its byte again gives the name in the snapshot.
type namer struct {
	portable bool
	taken    map[string]bool // as Windows compares names
}

func newNamer(portable bool) *namer {
	m := &namer{portable: portable}
	if portable {
		m.taken = map[string]bool{}
	}
	return m
}

// suitsWindows says whether names are to be such that Windows can hold them.
func suitsWindows(asked bool) bool { return asked || runtime.GOOS == "windows" }

// name gives the name in the target.
func (m *namer) name(name string) string {
	if !m.portable {
		return name
	}
	out := escape(name, 0)
	for n := 1; m.taken[folded(out)] && n <= len(name); n++ {
		out = escape(name, n)
	}
	m.taken[folded(out)] = true
	return out
}

// portablePath does so for each name of a path, but for small and capital.
func portablePath(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = escape(part, 0)
	}
	return strings.Join(parts, "/")
}

// folded is equal for names that Windows takes for one.
func folded(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// escape writes the first bytes, and whatever Windows cannot hold, as %XX.
func escape(name string, first int) string {
	if device(name) {
		first = max(first, 1)
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case i < first || r == utf8.RuneError && size == 1 || forbidden(r) ||
			r == '%' && hexAt(name, i+1) && hexAt(name, i+2) || i+size == len(name) && (r == '.' || r == ' '):
			for _, c := range []byte(name[i : i+size]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		default:
			b.WriteString(name[i : i+size])
		}
		i += size
	}
	return b.String()
}

func forbidden(r rune) bool {
	return r < 0x20 || r == 0x7f || strings.ContainsRune(`<>:"/\|?*`, r)
}

func hexAt(s string, i int) bool {
	return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0
}

// device says whether Windows takes the name for a device, with any ending.
func device(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	number, isPort := strings.CutPrefix(stem, "com")
	if !isPort {
		number, isPort = strings.CutPrefix(stem, "lpt")
	}
	return isPort && utf8.RuneCountInString(number) == 1 && strings.ContainsAny(number, "0123456789¹²³")
}
