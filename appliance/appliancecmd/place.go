package appliancecmd

import (
	"os"
	"path/filepath"
)

// existing gives the nearest folder above path that is there, to ask for the
// room on its disk before the data folder is made.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}
