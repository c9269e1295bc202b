//go:build unix && !linux

package source

// Network cannot be told here.
func Network(string) string { return "" }

// Free cannot be told here.
func Free(string) (uint64, bool) { return 0, false }
