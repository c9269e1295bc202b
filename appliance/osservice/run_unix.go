//go:build !windows

package osservice

import "context"

// underManager is never so: systemd speaks to us by signals.
func underManager() bool { return false }

func runManaged(ctx context.Context, work func(context.Context) error) error { return work(ctx) }
