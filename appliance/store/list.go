package store

import "strings"

// OneOf makes the clause "column IN (?, …)" for a filter, with its arguments.
// The list must not be empty.
func OneOf[T any](column string, list []T) (clause string, args []any) {
	for _, v := range list {
		args = append(args, v)
	}
	return column + ` IN (` + strings.TrimSuffix(strings.Repeat("?, ", len(list)), ", ") + `)`, args
}
