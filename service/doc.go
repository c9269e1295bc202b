// Package service is the service desk: what the vendor promised the hospital,
// and what became of it.
//
// Package contract is the promise: fourteen items with their response times
// and channels, twenty-one modules. Package sla turns an item and the moment of
// a report into a due moment. Package ticket is the record: who reported what
// and when, who answered first and with what proof, and how it ended. Package
// servicecmd gives all of it to scripts.
//
// Nothing here knows of backups. When a backup fails, main.go hears of it and
// opens a ticket of the box's own; its clock starts only when a person of the
// hospital reports it to the vendor, because the vendor's promise counts from
// the hospital's word.
package service
