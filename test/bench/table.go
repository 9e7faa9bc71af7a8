//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	Scenario string             `json:"scenario"`
	Case     string             `json:"case"`
	Measured string             `json:"measured"`
	Wanted   string             `json:"wanted,omitempty"` // empty: nothing was promised
	OK       *bool              `json:"ok"`               // nil where nothing was promised
	Figures  map[string]float64 `json:"figures"`          // the measured, for programs
}

func (r row) verdict() string {
	switch {
	case r.OK == nil:
		return "–"
	case *r.OK:
		return "yes"
	default:
		return "NO"
	}
}

// write prints the rows as a table that is Markdown too, or as one JSON
// document.
func write(w io.Writer, rows []row, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string][]row{"rows": rows})
	}
	table := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	line := func(cells ...string) { fmt.Fprintf(table, "| %s\t|\n", strings.Join(cells, "\t| ")) }
	line("scenario", "case", "measured", "wanted", "ok")
	line("---", "---", "---", "---", "---")
	for _, r := range rows {
		wanted := r.Wanted
		if wanted == "" {
			wanted = "–"
		}
		line(r.Scenario, r.Case, r.Measured, wanted, r.verdict())
	}
	return table.Flush()
}
