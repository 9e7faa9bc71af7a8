// Package migrations holds the schema of the database as numbered SQL files,
// which worker migrate applies in order. A file that has been released is never
// edited: a change is a new file.
package migrations

import "embed"

// FS holds 00001_jobs.sql and its successors, in goose's format.
//
//go:embed *.sql
var FS embed.FS
