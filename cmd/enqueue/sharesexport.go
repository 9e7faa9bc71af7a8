package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

// shareColumns are the columns of exported works, named as in their JSON. They
// are API.
var shareColumns = []string{
	"user_id", "works_id", "work_name", "work_type", "status", "third_part_auth_flag", "security_level", "description",
	"workspace_id", "workspace_name", "owner_id", "owner_name", "modify_name", "create_time", "modify_time",
	"directory_id", "directory_name", "directory_path_id", "directory_path_name", "read_at",
}

// unreadUser is a user whom a job could not read. Its JSON is API.
type unreadUser struct {
	UserID    string       `json:"user_id"`
	Status    store.Status `json:"status"`
	Code      string       `json:"code"`
	Message   string       `json:"message"`
	Retryable bool         `json:"retryable"`
	APICode   string       `json:"api_code"`
	RequestID string       `json:"request_id"`
	Hint      string       `json:"hint"`
	HintZH    string       `json:"hint_zh"`
}

// sharesExport is what a read job found and where to write it.
type sharesExport struct {
	lookout tasks.Lookout
	job     store.Job
	output  string // "" or "-" means stdout
}

// sharesDocument is what --json prints where there are no works to list. Its
// JSON is API.
type sharesDocument struct {
	JobID    string             `json:"job_id"`
	Works    []store.SharedWork `json:"works"`
	Failures []unreadUser       `json:"failures"`
	Job      store.Job          `json:"job"`
	Error    *fault             `json:"error,omitempty"`
}

// exportShares waits until the job has ended and writes what it read. If the
// wait ends before, nothing is written: a part would look like the whole.
func (a *app) exportShares(ctx context.Context, e sharesExport, limit time.Duration) error {
	job, stopped := a.await(ctx, followed{lookout: e.lookout, document: jobDocument{Job: e.job}}, limit)
	e.job = job
	if stopped != nil {
		return a.leave(stopped, sharesDocument{
			JobID: job.ID, Works: []store.SharedWork{}, Failures: []unreadUser{}, Job: job, Error: stopped,
		}, "enqueue shares --job "+job.ID)
	}
	var err error
	switch {
	case e.output != "" && e.output != "-":
		err = a.sharesFile(ctx, e)
	case a.json:
		err = a.sharesJSON(ctx, e)
	default:
		err = a.sharesCSV(ctx, e)
	}
	if err != nil {
		return err
	}
	return settled{exitOf(job)}
}

// leave ends a command that stops waiting before the job has ended: document
// tells programs, next tells people how to go on.
func (a *app) leave(stopped *fault, document any, next string) error {
	if a.json {
		if err := a.emit(document); err != nil {
			return err
		}
		return settled{stopped.exit}
	}
	a.sayf("%s", stopped.Message)
	a.next(next)
	return settled{stopped.exit}
}

// sharesCSV writes the works to stdout, and to stderr whose are not among them.
func (a *app) sharesCSV(ctx context.Context, e sharesExport) error {
	out := bufio.NewWriter(a.Stdout)
	rows, err := e.writeCSV(ctx, out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	return a.concludeShares(ctx, e, fmt.Sprintf("Read %s of %s: %s.",
		commas(e.job.Counts.Succeeded), plural(e.job.Counts.Total-e.job.Counts.NoChange, "user"), plural(rows, "work")))
}

// sharesFile writes a CSV file that is there whole or not at all.
func (a *app) sharesFile(ctx context.Context, e sharesExport) error {
	rows := 0
	err := replaceFile(e.output, func(w io.Writer) (err error) {
		if _, err := io.WriteString(w, byteOrderMark); err != nil {
			return err
		}
		rows, err = e.writeCSV(ctx, w)
		return err
	})
	if err != nil {
		return err
	}
	if a.json {
		doc := a.newObject()
		err := errors.Join(doc.field("job_id", e.job.ID), doc.field("file", e.output), doc.field("rows", rows))
		return doc.end(errors.Join(err, e.listUnread(ctx, doc), doc.field("job", e.job)))
	}
	return a.concludeShares(ctx, e, fmt.Sprintf("Wrote %s to %s.", plural(rows, "work"), printable(e.output)))
}

func (e sharesExport) writeCSV(ctx context.Context, w io.Writer) (rows int, err error) {
	out := csv.NewWriter(w)
	if err := out.Write(shareColumns); err != nil {
		return 0, err
	}
	err = e.lookout.Store.SharedWorks(ctx, e.job.ID, func(s store.SharedWork) error {
		rows++
		return out.Write(view.Neutralised([]string{
			s.UserID, s.WorksID, s.WorkName, s.WorkType, s.Status, s.ThirdPartAuthFlag, s.SecurityLevel, s.Description,
			s.WorkspaceID, s.WorkspaceName, s.OwnerID, s.OwnerName, s.ModifyName, instant(s.CreateTime), instant(s.ModifyTime),
			s.DirectoryID, s.DirectoryName, s.DirectoryPathID, s.DirectoryPathName, instant(&s.ReadAt),
		}))
	})
	if err != nil {
		return rows, err
	}
	out.Flush()
	return rows, out.Error()
}

// instant writes a time with all the milliseconds that Quick BI gave.
func instant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

// sharesJSON prints one document, work by work.
func (a *app) sharesJSON(ctx context.Context, e sharesExport) error {
	doc := a.newObject()
	err := doc.field("job_id", e.job.ID)
	if err == nil {
		err = doc.list("works", func(add func(any) error) error {
			return e.lookout.Store.SharedWorks(ctx, e.job.ID, func(s store.SharedWork) error { return add(s) })
		})
	}
	if err == nil {
		err = e.listUnread(ctx, doc)
	}
	return doc.end(errors.Join(err, doc.field("job", e.job)))
}

// listUnread adds the users who could not be read.
func (e sharesExport) listUnread(ctx context.Context, doc *object) error {
	return doc.list("failures", func(add func(any) error) error {
		return eachUnread(ctx, e.lookout.Store, e.job.ID, func(u unreadUser) error { return add(u) })
	})
}

// eachUnread calls yield for each user whom a job that has ended did not read.
func eachUnread(ctx context.Context, st *store.Store, job string, yield func(unreadUser) error) error {
	return st.Results(ctx, job, []store.Status{store.Failed, store.Unknown, store.Canceled}, func(r store.Result) error {
		u := unreadUser{
			UserID: r.Change.Principal.ID, Status: r.Status, Code: r.Code, Message: r.Message, Retryable: r.Retryable,
			APICode: r.APICode, RequestID: r.RequestID,
		}
		if r.Code != "" {
			h := view.HintFor(r.Code)
			u.Hint, u.HintZH = h.EN, h.ZH
		}
		return yield(u)
	})
}

// unread counts the users who were not read.
type unread struct {
	users     int
	retryable int
	there     int // those of whom it is not known that they are gone
}

// codeUserGone is the failure of a user who is not in the organization, and so
// has nothing.
const codeUserGone = "user_not_in_organization"

func (c *unread) add(u unreadUser) {
	c.users++
	if u.Retryable {
		c.retryable++
	}
	if u.Code != codeUserGone {
		c.there++
	}
}

// printUnread names the users whom a job did not read.
func printUnread(ctx context.Context, out io.Writer, e sharesExport) (count unread, err error) {
	err = eachUnread(ctx, e.lookout.Store, e.job.ID, func(u unreadUser) error {
		count.add(u)
		why := string(u.Status)
		if u.Code != "" {
			why = fmt.Sprintf("%s [%s]", printable(u.Message), printable(u.Code))
		}
		_, err := fmt.Fprintf(out, "%s was not read: %s\n", printable(u.UserID), why)
		return err
	})
	return count, err
}

// concludeShares says what was written and names the users who were not read.
func (a *app) concludeShares(ctx context.Context, e sharesExport, said string) error {
	out := bufio.NewWriter(a.Stderr)
	fmt.Fprintln(out, said)
	count, err := printUnread(ctx, out, e)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	commands := []string{"enqueue results " + e.job.ID}
	if count.users > 0 {
		commands = []string{"enqueue failures " + e.job.ID}
	}
	if count.retryable > 0 {
		commands = append(commands, "enqueue retry "+e.job.ID+" --wait")
	}
	a.next(commands...)
	return nil
}
