//go:build unix

package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const byteOrderMark = "\ufeff"

// columns are those of the product and two that only people read.
var columns = []string{
	"row_id", "action", "principal", "resource_type", "resource_id", "expires_on",
	"reason", "ticket", "department", "resource_name",
}

// writeRows writes a file as Excel saves one: with a byte order mark and CRLF.
func writeRows(w io.Writer, rows []row) error {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write(columns) // Error tells
	for _, r := range rows {
		c := r.change
		_ = out.Write([]string{
			r.id, string(c.Operation), c.Principal.ID, string(c.Resource.Type), c.Resource.ID,
			c.Terms.ExpiresOn.String(), r.reason, r.ticket, r.department, r.asset,
		})
	}
	out.Flush()
	return out.Error()
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}

// result is what a result file says of a row.
type result struct {
	rowID     string
	outcome   outcome
	requestID string
}

// readResults reads a result file of the product.
func readResults(path string) ([]result, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), byteOrderMark))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("reading %s: it is empty", path)
	}
	var at [4]int
	for i, name := range []string{"row_id", "result__status", "result__code", "result__request_id"} {
		if at[i] = slices.Index(records[0], name); at[i] < 0 {
			return nil, fmt.Errorf("reading %s: there is no column %s", path, name)
		}
	}
	out := make([]result, 0, len(records))
	for _, r := range records[1:] {
		out = append(out, result{rowID: r[at[0]], outcome: outcome{r[at[1]], r[at[2]]}, requestID: r[at[3]]})
	}
	return out, nil
}
