package source

import (
	"fmt"
	"maps"
	"slices"
)

// Pairs gives the arguments as name, value pairs in a fixed order, as texts
// take them.
func (f Finding) Pairs() []any {
	pairs := make([]any, 0, 2*len(f.Args))
	for _, name := range slices.Sorted(maps.Keys(f.Args)) {
		pairs = append(pairs, name, f.Args[name])
	}
	return pairs
}

// Worst is the highest level among findings, Good when there are none.
func Worst(findings []Finding) Level {
	worst := Good
	for _, f := range findings {
		switch f.Level {
		case Bad:
			return Bad
		case Warning:
			worst = Warning
		}
	}
	return worst
}

// SizeText writes a number of bytes for people of any language; findings carry
// it beside the number, for they are kept as text and numbers alone.
func SizeText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, steps := float64(n)/unit, 0
	for size >= unit && steps < 4 {
		size, steps = size/unit, steps+1
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTP"[steps])
}
