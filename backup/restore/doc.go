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
// A repository may have been made by anybody. Whatever its trees say, nothing
// is written outside the target: all work goes through os.Root, names that no
// file system hands out are refused, and symbolic links come into being only
// when no file is written any more.
package restore
