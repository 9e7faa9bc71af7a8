package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// manifest says what is in a pack. Its JSON is API.
type manifest struct {
	From         time.Time         `json:"from"`
	To           time.Time         `json:"to"` // without it
	MadeAt       time.Time         `json:"made_at"`
	MadeBy       string            `json:"made_by"`
	Version      string            `json:"version"`
	Files        []packedFile      `json:"files"`
	Verification store.AuditReport `json:"verification"`
}

// packedFile is one file of a pack.
type packedFile struct {
	Name   string `json:"name"`
	Rows   int    `json:"rows"` // without the header
	SHA256 string `json:"sha256"`
}

// The columns of the files. They are API.
var (
	packedChangeColumns = []string{
		"job_id", "accepted_at", "requested_by", "source", "job_reason", "idempotency_key", "line", "row_id",
		"action", "principal_type", "principal", "resource_type", "resource_id", "role", "expires_on", "reason", "ticket", "as_written",
		"status", "code", "message", "api_code", "request_id", "attempts", "finished_at",
	}
	packedCallColumns = []string{
		"no", "job_id", "task", "generation", "sent_at", "worker", "action", "cells",
		"answer_class", "http_status", "api_code", "message", "request_id", "took_ms", "answered_at",
	}
	packedEventColumns = []string{"no", "at", "actor", "event", "job_id", "task", "detail"}
	packedSealColumns  = []string{"no", "sealed_at", "after_no", "upto_no", "entries", "prev", "hash"}
)

// pack is a ZIP file under way.
type pack struct {
	zip      *zip.Writer
	manifest *manifest
	sums     strings.Builder // as sha256sum reads them
}

// add adds one file, and remembers what it hashes to.
func (p *pack) add(name string, write func(io.Writer) (rows int, err error)) error {
	w, err := p.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: p.manifest.MadeAt})
	if err != nil {
		return fmt.Errorf("adding %s: %w", name, err)
	}
	h := sha256.New()
	rows, err := write(io.MultiWriter(w, h))
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	p.manifest.Files = append(p.manifest.Files, packedFile{Name: name, Rows: rows, SHA256: sum})
	fmt.Fprintf(&p.sums, "%s  %s\n", sum, name)
	return nil
}

// sheet adds a CSV file, whose rows each gives to put.
func (p *pack) sheet(name string, columns []string, each func(put func(...string) error) error) error {
	return p.add(name, func(w io.Writer) (rows int, err error) {
		if _, err := io.WriteString(w, byteOrderMark); err != nil {
			return 0, err
		}
		out := csv.NewWriter(w)
		if err := out.Write(columns); err != nil {
			return 0, err
		}
		err = each(func(cells ...string) error {
			rows++
			return out.Write(view.Neutralised(cells))
		})
		if err != nil {
			return rows, err
		}
		out.Flush()
		return rows, out.Error()
	})
}

// addAudit adds the files with the rows.
func (p *pack) addAudit(ctx context.Context, r *store.AuditReader) error {
	err := p.sheet("changes.csv", packedChangeColumns, func(put func(...string) error) error {
		return r.Changes(ctx, func(j store.AuditedJob, c store.Result) error { return put(changeCells(j, c)...) })
	})
	if err != nil {
		return err
	}
	err = p.sheet("calls.csv", packedCallColumns, func(put func(...string) error) error {
		return r.Calls(ctx, func(c store.AuditedCall) error { return put(callCells(c)...) })
	})
	if err != nil {
		return err
	}
	err = p.sheet("events.csv", packedEventColumns, func(put func(...string) error) error {
		return r.Events(ctx, func(e store.AuditedEvent) error {
			return put(strconv.FormatInt(e.ID, 10), exactTime(&e.At), e.Actor, e.Event, e.JobID, orNone(e.Task), e.Detail)
		})
	})
	if err != nil {
		return err
	}
	return p.sheet("seals.csv", packedSealColumns, func(put func(...string) error) error {
		return r.Seals(ctx, func(s store.Seal) error {
			return put(strconv.FormatInt(s.No, 10), s.HashedTime(), strconv.FormatInt(s.After, 10), strconv.FormatInt(s.Upto, 10),
				s.Entries, hex.EncodeToString(s.Prev), hex.EncodeToString(s.Hash))
		})
	})
}

func changeCells(j store.AuditedJob, c store.Result) []string {
	written := ""
	if c.Cells != nil {
		if text, err := json.Marshal(c.Cells); err == nil { // texts always can be written
			written = string(text)
		}
	}
	return []string{
		j.ID, exactTime(&j.AcceptedAt), j.RequestedBy, j.Source, j.Reason, j.IdempotencyKey, strconv.Itoa(c.Line), c.RowID,
		string(c.Change.Operation), string(c.Change.Principal.Type), c.Change.Principal.ID, string(c.Change.Resource.Type), c.Change.Resource.ID,
		c.Change.Terms.Role, c.Change.Terms.ExpiresOn.String(), c.Reason, c.Ticket, written,
		string(c.Status), c.Code, c.Message, c.APICode, c.RequestID, strconv.Itoa(c.Attempts), exactTime(c.FinishedAt),
	}
}

func callCells(c store.AuditedCall) []string {
	took := ""
	if c.AnsweredAt != nil {
		took = strconv.FormatInt(c.Took.Milliseconds(), 10)
	}
	return []string{
		strconv.FormatInt(c.ID, 10), c.JobID, strconv.Itoa(c.Task), strconv.Itoa(c.Generation), exactTime(&c.SentAt), c.Worker, c.Action,
		strconv.Itoa(c.Cells), c.Class, orNone(c.HTTPStatus), c.APICode, c.Message, c.RequestID, took, exactTime(c.AnsweredAt),
	}
}

// exactTime is view.MachineTime to the microsecond.
func exactTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}

func orNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// close adds what is said about the files, and ends the pack.
func (p *pack) close() error {
	files := p.manifest.Files
	err := p.add("README.txt", func(w io.Writer) (int, error) { _, err := io.WriteString(w, packReadme); return 0, err })
	if err != nil {
		return err
	}
	p.manifest.Files = files // the manifest is about the rows
	err = p.add("manifest.json", func(w io.Writer) (int, error) {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return 0, enc.Encode(p.manifest)
	})
	if err != nil {
		return err
	}
	p.manifest.Files = files
	w, err := p.zip.Create("SHA256SUMS")
	if err == nil {
		_, err = io.WriteString(w, p.sums.String())
	}
	if err == nil {
		err = p.zip.Close()
	}
	if err != nil {
		return fmt.Errorf("writing the pack: %w", err)
	}
	return nil
}

const packReadme = `What was asked for and what became of it

  changes.csv    a line for each change: who asked, when, what for whom, and the
                 result. The jobs are those that were accepted in the range of
                 the manifest, and those with calls in it
  calls.csv      every call to Quick BI that these jobs made, as it was written
                 down before it was sent, and its answer. No answer_class: no
                 answer was ever recorded
  events.csv     who submitted, canceled, stopped, resumed, verified, exported or
                 dropped, and every repair, in the range
  seals.csv      the chain of hashes over all of it, in the range, and the seal
                 after it
  manifest.json  the range ("to" is not in it), who made this and when, the rows
                 and SHA-256 of each file, the head of the chain, and what
                 verifying the database found
  SHA256SUMS     the hashes of all files

Times are in UTC. A cell that a spreadsheet would take for a formula begins with
an apostrophe.

To check that the files belong together:

  sha256sum -c SHA256SUMS

To check that a line of seals.csv follows from the one before: its prev is the
hash of that, and its hash is the SHA-256 of the 32 bytes of prev (none in the
first seal), followed by no, sealed_at, after_no, upto_no and entries as they
are written there, with a line feed between each two of them.

To check that this is the chain of the database, and that the rows which it
seals are still those:

  enqueue audit verify --checkpoint NO:HASH

with the head from manifest.json, or with an earlier checkpoint out of the logs
of the worker.
`
