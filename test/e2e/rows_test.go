package e2e_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// expiry is the last day of grants whose day does not matter.
const expiry = "2099-12-31"

// The words of the input.
const (
	grant      = "grant"
	revoke     = "revoke"
	qaResource = "qa_resource"
	qaTheme    = "qa_theme"
	dataset    = "dataset"
)

// row is one row of a file. Row i of a file is on line i+2.
type row struct{ action, user, kind, resource, expires string }

// grants is every user × every Q&A resource, a user at a time.
func grants(users, resources []string) []row {
	rows := make([]row, 0, len(users)*len(resources))
	for _, user := range users {
		for _, resource := range resources {
			rows = append(rows, row{grant, user, qaResource, resource, expiry})
		}
	}
	return rows
}

// apart is n users with a resource each, which no call can combine: n tasks.
func apart(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{grant, fmt.Sprintf("u%d", i+1), qaResource, fmt.Sprintf("r%d", i+1), expiry}
	}
	return rows
}

// worldOf is an organisation in which rows can succeed.
func worldOf(rows []row) quickbitest.Options {
	var o quickbitest.Options
	o.Datasets = map[string]string{}
	seen := map[string]bool{}
	for _, r := range rows {
		if !seen["user "+r.user] {
			o.Users = append(o.Users, r.user)
		}
		if key := r.kind + " " + r.resource; !seen[key] {
			switch r.kind {
			case qaResource:
				o.QAResources = append(o.QAResources, r.resource)
			case qaTheme:
				o.QAThemes = append(o.QAThemes, r.resource)
			case dataset:
				o.Datasets[r.resource] = behind(r.resource)
			}
		}
		seen["user "+r.user], seen[r.kind+" "+r.resource] = true, true
	}
	return o
}

// behind is the Q&A resource of a dataset.
func behind(datasetID string) string { return "behind-" + datasetID }

// ids returns prefix1 to prefixN.
func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return out
}

// file writes rows as a CSV file and returns its path.
func (d *deployment) file(name string, rows []row) string {
	d.t.Helper()
	var text strings.Builder
	out := csv.NewWriter(&text)
	_ = out.Write([]string{"action", "principal", "resource_type", "resource_id", "expires_on"})
	for _, r := range rows {
		_ = out.Write([]string{r.action, r.user, r.kind, r.resource, r.expires})
	}
	out.Flush() // a builder takes everything
	return d.write(name, text.String())
}

// pair is who has access to what, as Quick BI names it.
type pair struct{ user, kind, resource string }

// held is access in force: the last day of each pair.
type held map[pair]string

// apply changes h as carrying out rows would, in their order.
func (h held) apply(rows ...row) held {
	for _, r := range rows {
		p := pair{r.user, r.kind, r.resource}
		if r.kind == dataset {
			p = pair{r.user, qaResource, behind(r.resource)}
		}
		if delete(h, p); r.action == grant {
			h[p] = r.expires
		}
	}
	return h
}

// readCSV reads a CSV with a header into one map a row, and its columns.
func readCSV(t *testing.T, text string) (columns []string, rows []map[string]string) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
	if err != nil || len(records) == 0 {
		t.Fatalf("reading CSV: %v\n%s", err, text)
	}
	columns = records[0]
	for _, record := range records[1:] {
		cells := map[string]string{}
		for i, name := range columns {
			cells[name] = record[i]
		}
		rows = append(rows, cells)
	}
	return columns, rows
}
