package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/intake/xlsx"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// resultsRequest is which results to write where.
type resultsRequest struct {
	job      string
	statuses []store.Status // none means all
	file     string         // "" or "-" means stdout
}

func (a *app) resultsCommand() *cobra.Command {
	var r resultsRequest
	cmd := &cobra.Command{
		Use:   "results JOB",
		Short: "Write what became of each row, as CSV or as a workbook",
		Long: `Writes the columns of the input in their order, and result__ columns that say
what became of each row. The file can be submitted again as it is: result__
columns are ignored then. Cells that a spreadsheet would take for a formula get
a leading apostrophe, which is removed on submission.

A FILE whose name ends in .xlsx is an Excel workbook, in which ids are text. Any
other is CSV and begins with a byte order mark, for Excel. A FILE can be read by its
owner only, and appears whole or not at all. With --json stdout gets {"results":[…]} or,
beside -o, {"file":…,"rows":…}.`,
		Example: `  enqueue results 01JD3Z5S2M8H0T6W9K4Q7XBRNE -o results.csv
  enqueue results 01JD3Z5S2M8H0T6W9K4Q7XBRNE --status failed,unknown -o failed.csv
  enqueue results 01JD3Z5S2M8H0T6W9K4Q7XBRNE -o results.xlsx`,
		Args:              oneArg("the JOB"),
		ValidArgsFunction: a.completeJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.job = args[0]
			return a.results(cmd.Context(), r)
		},
	}
	cmd.Flags().Var(wordsFlag[store.Status]{&r.statuses, store.Statuses()}, "status", "only rows with one of these `STATUSES`: "+join(store.Statuses()))
	cmd.Flags().StringVarP(&r.file, "output", "o", "", "write to this `FILE` instead of stdout")
	complete(cmd, "status", store.Statuses())
	return cmd
}

func (a *app) results(ctx context.Context, r resultsRequest) error {
	return a.reading(ctx, func(st *store.Store) error {
		header, err := st.Header(ctx, r.job)
		if err != nil {
			return err
		}
		res := view.Results{Store: st, JobID: r.job, Header: header, Statuses: r.statuses}
		switch {
		case r.file != "" && r.file != "-":
			return a.resultsFile(ctx, res, r.file)
		case a.json:
			return a.resultsJSON(ctx, res)
		}
		out := bufio.NewWriter(a.Stdout)
		if _, err := res.WriteCSV(ctx, out); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		a.next("enqueue failures " + r.job)
		return nil
	})
}

// byteOrderMark makes Excel read a CSV file as UTF-8.
const byteOrderMark = view.ByteOrderMark

// resultsFile writes a file that is there whole or not at all, a workbook if its
// name says so.
func (a *app) resultsFile(ctx context.Context, res view.Results, file string) error {
	rows := 0
	err := replaceFile(file, func(w io.Writer) (err error) {
		if formatOf(file) == formatXLSX {
			if rows, err = res.WriteXLSX(ctx, w); errors.Is(err, xlsx.ErrTooManyRows) || errors.Is(err, xlsx.ErrTextTooLong) {
				err = usageError{err: fmt.Errorf("the results do not fit into a workbook: %w; write CSV instead, for example with -o results.csv", err)}
			}
			return err
		}
		if _, err := io.WriteString(w, byteOrderMark); err != nil {
			return err
		}
		rows, err = res.WriteCSV(ctx, w)
		return err
	})
	if err != nil {
		return err
	}
	if a.json {
		return a.emit(map[string]any{"file": file, "rows": rows})
	}
	a.sayf("Wrote %s to %s.", plural(rows, "row"), printable(file))
	a.next("enqueue csv "+shellWord(file)+" --dry-run", "enqueue failures "+res.JobID)
	return nil
}
