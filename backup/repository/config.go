package repository

import (
	"crypto/rand"
	"encoding/json"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// config is the one document that is never compressed.
type config struct {
	Version    uint   `json:"version"`
	ID         string `json:"id"`
	Polynomial string `json:"chunker_polynomial"` // restic cuts with it; we only keep it
}

const (
	oldestVersion = 1
	newestVersion = 2
)

func newConfig() (config, error) {
	var id blob.ID
	if _, err := rand.Read(id[:]); err != nil {
		return config{}, fmt.Errorf("draw an identity: %w", err)
	}
	poly, err := drawPolynomial(rand.Reader)
	if err != nil {
		return config{}, err
	}
	return config{Version: newestVersion, ID: id.String(), Polynomial: poly.String()}, nil
}

func parseConfig(text []byte) (config, error) {
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return config{}, fmt.Errorf("config is no JSON as expected: %w: %w", backup.ErrDamaged, err)
	}
	if c.Version < oldestVersion || c.Version > newestVersion {
		return config{}, fmt.Errorf("repository of format version %d, known are %d and %d: %w",
			c.Version, oldestVersion, newestVersion, backup.ErrUnsupported)
	}
	if _, err := blob.ParseID(c.ID); err != nil {
		return config{}, fmt.Errorf("config: %w: %w", backup.ErrDamaged, err)
	}
	return c, nil
}
