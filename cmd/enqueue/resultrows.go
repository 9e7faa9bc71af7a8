package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/intake/xlsx"
	"github.com/usher-bi/usher/internal/store"
)

// resultColumns follow the columns of the input. Their names are API.
var resultColumns = []string{
	"result__line", "result__status", "result__code", "result__message", "result__retryable",
	"result__attempts", "result__api_code", "result__request_id", "result__finished_at", "result__job_id",
}

// results is what became of the rows of one job.
type results struct {
	store   *store.Store
	request resultsRequest
	header  []string // of the input
}

// each reads the rows one by one.
func (r results) each(ctx context.Context, yield func(store.Result) error) error {
	return r.store.Results(ctx, r.request.job, r.request.statuses, yield)
}

// writeCSV writes a header and a line a row, and returns how many rows.
func (r results) writeCSV(ctx context.Context, w io.Writer) (rows int, err error) {
	out := csv.NewWriter(w)
	if rows, err = r.writeRows(ctx, out.Write); err != nil {
		return rows, err
	}
	out.Flush()
	return rows, out.Error()
}

// writeXLSX writes a workbook of the same cells, in which what came from the
// input is text, and returns how many rows.
func (r results) writeXLSX(ctx context.Context, w io.Writer) (rows int, err error) {
	out := xlsx.NewWriter(w)
	columns := make([]xlsx.Column, len(r.header), len(r.header)+len(resultColumns))
	for _, name := range resultColumns {
		columns = append(columns, xlsx.Column{Number: name == "result__line" || name == "result__attempts"})
	}
	if err := out.Sheet("results", columns); err != nil {
		return 0, err
	}
	rows, err = r.writeRows(ctx, out.Row)
	if err == nil {
		err = out.Close()
	}
	if errors.Is(err, xlsx.ErrTooManyRows) || errors.Is(err, xlsx.ErrTextTooLong) {
		err = usageError{err: fmt.Errorf("the results do not fit into a workbook: %w; write CSV instead, for example with -o results.csv", err)}
	}
	return rows, err
}

// writeRows has put write a header and each row, and returns how many rows. The
// cells are changed after that.
func (r results) writeRows(ctx context.Context, put func(cells []string) error) (rows int, err error) {
	layout := intake.LayoutOf(r.header)
	cells := append(append([]string{}, r.header...), resultColumns...)
	if err := put(neutralised(cells)); err != nil {
		return 0, err
	}
	err = r.each(ctx, func(res store.Result) error {
		rows++
		cells = layout.AppendCells(cells[:0], inputRow(res))
		cells = append(cells, strconv.Itoa(res.Line), string(res.Status), res.Code, res.Message, strconv.FormatBool(res.Retryable),
			strconv.Itoa(res.Attempts), res.APICode, res.RequestID, machineTime(res.FinishedAt), r.request.job)
		return put(neutralised(cells))
	})
	return rows, err
}

// neutralised changes cells in place so that no spreadsheet takes one for a
// formula.
func neutralised(cells []string) []string {
	for i, cell := range cells {
		cells[i] = intake.Neutralise(cell)
	}
	return cells
}

// inputRow is a result as the row of the input that it was.
func inputRow(res store.Result) intake.Row {
	return intake.Row{
		Line: res.Line, RowID: res.RowID, Change: res.Change, Reason: res.Reason, Ticket: res.Ticket, Cells: res.Cells,
	}
}

func machineTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// resultDocument is one row in the output of results --json. Its JSON is API.
type resultDocument struct {
	Line          int          `json:"line"`
	RowID         string       `json:"row_id"`
	Action        string       `json:"action"`
	Principal     string       `json:"principal"`
	PrincipalType string       `json:"principal_type"`
	ResourceType  string       `json:"resource_type"`
	ResourceID    string       `json:"resource_id"`
	Role          string       `json:"role"`
	ExpiresOn     string       `json:"expires_on"`
	Reason        string       `json:"reason"`
	Ticket        string       `json:"ticket"`
	Input         []string     `json:"input"` // as written, aligned with "header"
	Status        store.Status `json:"status"`
	Code          string       `json:"code"`
	Message       string       `json:"message"`
	Retryable     bool         `json:"retryable"`
	Attempts      int          `json:"attempts"`
	APICode       string       `json:"api_code"`
	RequestID     string       `json:"request_id"`
	FinishedAt    *time.Time   `json:"finished_at"`
}

func (r results) document(layout intake.Layout, res store.Result) resultDocument {
	c := res.Change
	return resultDocument{
		Line: res.Line, RowID: res.RowID, Action: string(c.Operation), Principal: c.Principal.ID,
		PrincipalType: string(c.Principal.Type), ResourceType: string(c.Resource.Type), ResourceID: c.Resource.ID,
		Role: c.Terms.Role, ExpiresOn: c.Terms.ExpiresOn.String(), Reason: res.Reason, Ticket: res.Ticket,
		Input:  layout.AppendCells(nil, inputRow(res)),
		Status: res.Status, Code: res.Code, Message: res.Message, Retryable: res.Retryable, Attempts: res.Attempts,
		APICode: res.APICode, RequestID: res.RequestID, FinishedAt: res.FinishedAt,
	}
}

// resultsJSON prints one document, {"job_id":…,"header":[…],"results":[…]},
// row by row. An error in its middle closes it with an "error" beside the
// results read so far.
func (a *app) resultsJSON(ctx context.Context, r results) error {
	doc, layout := a.newObject(), intake.LayoutOf(r.header)
	err := errors.Join(doc.field("job_id", r.request.job), doc.field("header", r.header))
	if err == nil {
		err = doc.list("results", func(add func(any) error) error {
			return r.each(ctx, func(res store.Result) error { return add(r.document(layout, res)) })
		})
	}
	return doc.end(err)
}
