// Package all names every storage there is.
package all

import (
	"context"
	"fmt"
	"strings"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
)

// Open opens the place that a location names: a folder, with or without
// "local:" before it, or later "s3:http(s)://host[:port]/bucket[/prefix]".
func Open(ctx context.Context, location string) (storage.Storage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(location, "s3:"):
		return nil, fmt.Errorf("object storage (%s) comes with a later version, use a folder: %w", location, backup.ErrUnsupported)
	case strings.HasPrefix(location, "local:"):
		return local.Open(strings.TrimPrefix(location, "local:"))
	}
	return local.Open(location)
}
