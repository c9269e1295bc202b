package render

import (
	"maps"
	"net/url"
	"strconv"
)

// Pager tells which part of a list is shown and leads to its neighbours.
type Pager struct {
	From, To, Total int
	Prev, Next      string // addresses; empty: none
}

// NewPager makes the pager of a list at path; query is the address without its
// offset, shown how many entries there are from offset on.
func NewPager(path string, query url.Values, offset, limit, shown, total int) Pager {
	at := func(n int) string {
		q := maps.Clone(query)
		if q == nil {
			q = url.Values{}
		}
		if n > 0 {
			q.Set("offset", strconv.Itoa(n))
		}
		if len(q) == 0 {
			return path
		}
		return path + "?" + q.Encode()
	}
	p := Pager{From: min(offset+1, total), To: offset + shown, Total: total}
	if offset > 0 {
		p.Prev = at(max(0, offset-limit))
	}
	if offset+shown < total {
		p.Next = at(offset + limit)
	}
	return p
}

// OffsetOf reads where a list begins; nonsense is the beginning.
func OffsetOf(c Context) int {
	n, err := strconv.Atoi(c.Query("offset"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
