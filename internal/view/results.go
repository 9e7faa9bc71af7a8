package view

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/intake/xlsx"
	"github.com/usher-bi/usher/internal/store"
)

// ResultColumns follow the columns of the input in a result file. Their names
// are API.
func ResultColumns() []string {
	return []string{
		"result__line", "result__status", "result__code", "result__message", "result__retryable",
		"result__attempts", "result__api_code", "result__request_id", "result__finished_at", "result__job_id",
	}
}

// ByteOrderMark begins a CSV file that Excel is to read as UTF-8.
const ByteOrderMark = "\ufeff"

// Results is what became of the rows of one job.
type Results struct {
	Store    *store.Store
	JobID    string
	Header   []string       // of the input
	Statuses []store.Status // only rows with one of these; none means all
}

// Each reads the rows one by one.
func (r Results) Each(ctx context.Context, yield func(store.Result) error) error {
	return r.Store.Results(ctx, r.JobID, r.Statuses, yield)
}

// WriteCSV writes a header and a line a row, and returns how many rows.
func (r Results) WriteCSV(ctx context.Context, w io.Writer) (rows int, err error) {
	out := csv.NewWriter(w)
	if rows, err = r.writeRows(ctx, out.Write); err != nil {
		return rows, err
	}
	out.Flush()
	return rows, out.Error()
}

// WriteXLSX writes a workbook of the same cells, in which what came from the
// input is text, and returns how many rows. What does not fit into a workbook is
// [xlsx.ErrTooManyRows] or [xlsx.ErrTextTooLong].
func (r Results) WriteXLSX(ctx context.Context, w io.Writer) (rows int, err error) {
	out := xlsx.NewWriter(w)
	columns := make([]xlsx.Column, len(r.Header), len(r.Header)+len(ResultColumns()))
	for _, name := range ResultColumns() {
		columns = append(columns, xlsx.Column{Number: name == "result__line" || name == "result__attempts"})
	}
	if err := out.Sheet("results", columns); err != nil {
		return 0, err
	}
	if rows, err = r.writeRows(ctx, out.Row); err != nil {
		return rows, err
	}
	return rows, out.Close()
}

// writeRows has put write a header and each row, and returns how many rows. The
// cells are changed after that.
func (r Results) writeRows(ctx context.Context, put func(cells []string) error) (rows int, err error) {
	layout := intake.LayoutOf(r.Header)
	cells := append(append([]string{}, r.Header...), ResultColumns()...)
	if err := put(Neutralised(cells)); err != nil {
		return 0, err
	}
	err = r.Each(ctx, func(res store.Result) error {
		rows++
		cells = layout.AppendCells(cells[:0], inputRow(res))
		cells = append(cells, strconv.Itoa(res.Line), string(res.Status), res.Code, res.Message, strconv.FormatBool(res.Retryable),
			strconv.Itoa(res.Attempts), res.APICode, res.RequestID, MachineTime(res.FinishedAt), r.JobID)
		return put(Neutralised(cells))
	})
	return rows, err
}

// Neutralised changes cells in place so that no spreadsheet takes one for a
// formula.
func Neutralised(cells []string) []string {
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

// MachineTime writes a time for programs, and nothing of none.
func MachineTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Result is one row of the results.
type Result struct {
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

// Document shows one row. layout is that of the header.
func (r Results) Document(layout intake.Layout, res store.Result) Result {
	c := res.Change
	return Result{
		Line: res.Line, RowID: res.RowID, Action: string(c.Operation), Principal: c.Principal.ID,
		PrincipalType: string(c.Principal.Type), ResourceType: string(c.Resource.Type), ResourceID: c.Resource.ID,
		Role: c.Terms.Role, ExpiresOn: c.Terms.ExpiresOn.String(), Reason: res.Reason, Ticket: res.Ticket,
		Input:  layout.AppendCells(nil, inputRow(res)),
		Status: res.Status, Code: res.Code, Message: res.Message, Retryable: res.Retryable, Attempts: res.Attempts,
		APICode: res.APICode, RequestID: res.RequestID, FinishedAt: res.FinishedAt,
	}
}
