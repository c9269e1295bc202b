// Package restore brings a snapshot back: into a folder, as one file, as a tar
// or zip stream, or as the Point a source recovers from.
//
// A restore into a folder goes in this order. The trees are walked; folders
// are made, open to nobody else; files are gathered in batches. For each batch
// every pack is fetched once, and each proven piece is written to all places
// that want it, through one descriptor a file, which also sets the file's
// owner, mode, attributes and time. Then come hard links, symbolic links and
// the rest, and last the metadata of the folders, the deepest first.
//
// A restore is not done before the disk has it. On Linux one syncfs at the end
// stands for an fsync of every file; elsewhere each file is synced before it is
// closed. Only a temporary target, as that of a drill, does without.
//
// A repository may have been made by anybody. Whatever its trees say, nothing
// is written outside the target: every folder is opened by one name from the
// one above it and never through a link (or by os.Root, where a call needs a
// path), names that no file system hands out are refused, and symbolic links
// come into being only when no file is written any more.
package restore
