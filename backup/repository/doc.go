// Package repository keeps blobs in a restic repository, format version 2.
package repository
