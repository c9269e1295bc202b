// Package all names every storage there is, and what it is wrapped in.
//
// A folder is used as it is. A bucket is reached over a line that others share
// and that sometimes breaks; so around it stand, from the inside out: limit
// (no more requests and bytes than the endpoint and the hour allow), retry
// (what fails is tried again, unless that is in vain) and readback (what was
// stored is read and compared).
package all

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/readback"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3"
)

// Option changes how a place is opened.
type Option func(*options)

type options struct {
	getenv    func(string) string
	s3        []func(*s3.Settings)
	patience  retry.Policy
	registry  *limit.Registry
	bandwidth *limit.Schedule
	readback  *readback.Policy // nil: as the place wants
}

// WithS3 changes the settings that the environment gave, or replaces them. It
// says nothing to other places.
func WithS3(change func(*s3.Settings)) Option {
	return func(o *options) { o.s3 = append(o.s3, change) }
}

// WithEnvironment reads variables elsewhere than in the process's environment.
func WithEnvironment(getenv func(string) string) Option {
	return func(o *options) { o.getenv = getenv }
}

// WithPatience says how long a place in trouble is asked again; without it a
// person is thought to wait (retry.Attended).
func WithPatience(p retry.Policy) Option { return func(o *options) { o.patience = p } }

// WithRegistry shares limits with the other places of the process, so that all
// who talk to one endpoint together keep to what it allows.
func WithRegistry(r *limit.Registry) Option { return func(o *options) { o.registry = r } }

// WithBandwidth bounds the bytes that cross the line by the hour.
func WithBandwidth(s limit.Schedule) Option { return func(o *options) { o.bandwidth = &s } }

// WithReadBack says how much of what was stored is read again. Without it a
// bucket's is sampled, and a folder's is not.
func WithReadBack(p readback.Policy) Option { return func(o *options) { o.readback = &p } }

// Open opens the place that a location names: a folder, with or without
// "local:" before it, or "s3:http(s)://host[:port]/bucket[/prefix]", whose key
// stands in the environment (see s3.FromEnvironment) unless options give it.
func Open(ctx context.Context, location string, opts ...Option) (storage.Storage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o := options{getenv: os.Getenv, patience: retry.Attended()}
	for _, opt := range opts {
		opt(&o)
	}
	if o.registry == nil {
		o.registry = limit.NewRegistry(nil)
	}
	dir, isFolder, err := Folder(location)
	if err != nil {
		return nil, err
	}
	if !isFolder {
		return openS3(ctx, location, o)
	}
	return openLocal(dir, o)
}

// foreign is a location as other programs write those that we do not know. One
// letter before the colon is a disk of Windows.
var foreign = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)

// Folder tells the folder that a location names, and whether it names one. A
// scheme that we do not know is refused: taken for the name of a folder,
// "sftp:host:/backup" would fill this machine's disk, unseen.
func Folder(location string) (dir string, isFolder bool, err error) {
	if dir, isFolder = strings.CutPrefix(location, "local:"); isFolder {
		return dir, true, nil
	}
	if strings.HasPrefix(location, "s3:") {
		return "", false, nil
	}
	if scheme := foreign.FindString(location); scheme != "" { // What follows may hold a password.
		return "", false, fmt.Errorf("%q begins no location that is known here: it is a folder, or s3:http(s)://host[:port]/bucket[/prefix]; before a folder of such a name write local: %w",
			scheme, backup.ErrInvalid)
	}
	return location, true, nil
}

func openLocal(dir string, o options) (storage.Storage, error) {
	folder, err := local.Open(dir)
	if err != nil {
		return nil, err
	}
	var st storage.Storage = folder
	if o.bandwidth != nil { // The folder may be one of another machine.
		st = limit.New(st, nil, o.registry.Pacer(folder.Location(), *o.bandwidth))
	}
	return proven(st, o, readback.Off), nil
}

func openS3(ctx context.Context, location string, o options) (storage.Storage, error) {
	settings, err := s3.FromEnvironment(location, o.getenv)
	if err != nil {
		return nil, err
	}
	settings.Through = limit.Transport
	for _, change := range o.s3 {
		change(&settings)
	}
	bucket, err := s3.Open(ctx, settings)
	if err != nil {
		return nil, err
	}
	var pacer *limit.Pacer
	if o.bandwidth != nil {
		pacer = o.registry.Pacer(settings.Endpoint, *o.bandwidth)
	}
	limited := limit.New(bucket, o.registry.Limiter(settings.Endpoint), pacer)
	return proven(retry.New(limited, o.patience), o, readback.Sampled), nil
}

// proven wraps a place so that what is stored is read back, as asked or else
// as usual for it.
func proven(st storage.Storage, o options, usual readback.Policy) storage.Storage {
	if o.readback != nil {
		usual = *o.readback
	}
	if usual == readback.Off || usual == "" {
		return st
	}
	return readback.New(st, usual)
}
