package restore

import "os"

// hold does nothing: Windows lets nobody remove the mark while it is open.
func hold(*os.File) error { return nil }

// syncDir does nothing: NTFS keeps names in its journal.
func syncDir(*os.Root) error { return nil }

// era is not told; what an unfinished restore left is always read.
func era(*os.Root) string { return "" }
