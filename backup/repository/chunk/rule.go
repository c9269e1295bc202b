package chunk

import (
	"path"
	"strings"
)

// Rule says how long the pieces of a file are.
type Rule struct {
	Name           string
	Version        int // of the rules; a new version cuts anew, once
	Min, Mean, Max int // bytes; all equal for pieces of fixed length
}

// Version is the version of the rules below.
const Version = 2

const kib = 1 << 10

// The rules, version 2. It differs from version 1 in knowing more endings, so
// only files with those are cut anew; what was cut by version 1 stays as it is.
//
//	name      min      mean     max      for
//	default   512 KiB  1 MiB    8 MiB    whatever is written once
//	database  32 KiB   128 KiB  1 MiB    files that change in place or are dumped again every day
//	fixed     64 KiB   64 KiB   64 KiB   pages overwritten at random; only where a source asks
//	fixed256  256 KiB  256 KiB  256 KiB  the same for large data directories, a quarter of the index
//
// A nightly SQL dump costs 30 % of its size per day with pieces of 1 MiB and
// 10 % with 128 KiB, while the first day grows by 3 %. Smaller pieces cost
// index: one entry of some 55 bytes of memory each.
var (
	Default  = Rule{Name: "default", Version: Version, Min: 512 * kib, Mean: 1024 * kib, Max: 8192 * kib}
	Database = Rule{Name: "database", Version: Version, Min: 32 * kib, Mean: 128 * kib, Max: 1024 * kib}
	Fixed    = Rule{Name: "fixed", Version: Version, Min: 64 * kib, Mean: 64 * kib, Max: 64 * kib}
	Fixed256 = Rule{Name: "fixed256", Version: Version, Min: 256 * kib, Mean: 256 * kib, Max: 256 * kib}
)

// RuleFor chooses the rule for a file by the ending of its name. Changing the
// choice stores such files whole once more, so it belongs to the version.
func RuleFor(name string, _ int64) Rule {
	switch strings.ToLower(path.Ext(name)) {
	case ".db", ".db3", ".sqlite", ".sqlite3", ".sql", ".dump", ".dmp", ".bak",
		".mdf", ".ndf", ".ldf", ".ibd", ".dbf": // since version 1
		return Database
	case ".myd", ".myi", ".mdb", ".accdb", ".fdb", ".gdb", ".ora", ".ctl", // databases
		".vhd", ".vhdx", ".avhdx", ".vmdk", ".vdi", ".qcow2", ".img", // disks of virtual machines
		".pst", ".ost", ".mbox", ".edb", ".nsf": // mailboxes
		return Database
	}
	return Default
}
