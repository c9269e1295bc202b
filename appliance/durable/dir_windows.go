package durable

// SyncDir does nothing: Windows has no flush of a folder, NTFS journals names
// by itself.
func SyncDir(string) error { return nil }
