//go:build !windows

package config

import "path/filepath"

func defaultDataDir() string { return "/var/lib/emrvault" }

// Socket is where verbs speak to the running appliance.
func (l Layout) Socket() string { return filepath.Join(l.Run(), "control.sock") }
