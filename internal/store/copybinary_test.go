package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// The columns at their edges, and more rows than go out together.
func TestChangesAreWrittenAsTheyAre(t *testing.T) {
	t.Parallel()
	w := setup(t)

	day := func(year int) access.Date { return access.Date{Year: year, Month: time.March, Day: 1} }
	job := grid([]string{"u1"}, []string{"r1"})
	edge := job.Changes[0].Row
	var want []store.Row
	for i, alter := range []func(*store.Row){
		func(r *store.Row) { r.Change.Terms.ExpiresOn = access.Date{} },
		func(r *store.Row) { r.Change.Terms.ExpiresOn = day(1) },
		func(r *store.Row) { r.Change.Terms.ExpiresOn = day(1999) },
		func(r *store.Row) { r.Change.Terms.ExpiresOn = day(2000) },
		func(r *store.Row) { r.Change.Terms.ExpiresOn = day(9999) },
		func(r *store.Row) { r.Cells = []string{} },
		func(r *store.Row) { r.Cells = []string{"", "NULL", `{",}`, "\u5de5\n\t\\"} },
		func(r *store.Row) {
			r.Reason, r.Ticket, r.Change.Terms.Role = "\u5165\u804c", strings.Repeat("x", 200_000), `\N`
		},
		func(r *store.Row) { r.Line = 1<<31 - 1 },
	} {
		row := edge
		row.RowID = string(rune('a' + i))
		alter(&row)
		want = append(want, row)
	}
	for len(want) < 3000 {
		want = append(want, edge)
	}
	job.Changes = nil
	for i, row := range want {
		change := store.NewChange{Row: row, Task: store.NoTask, Exception: &store.Exception{Status: store.Failed, Code: "refused"}}
		if i == 0 {
			change.Task, change.Exception = 0, nil
		}
		job.Changes = append(job.Changes, change)
	}
	written := 0
	job.Progress = func(n int) { written = n }
	created := w.create(t, job)

	var got []store.Row
	err := w.Results(t.Context(), created.ID, nil, func(r store.Result) error {
		got = append(got, r.Row)
		return nil
	})
	if err != nil {
		t.Fatalf("Results: %v", err)
	}
	bySource := map[string]store.Row{}
	for _, row := range got {
		bySource[row.RowID] = row
	}
	for _, row := range want[:9] {
		if diff := cmp.Diff(row, bySource[row.RowID]); diff != "" {
			t.Errorf("row %s (-want +got):\n%s", row.RowID, diff)
		}
	}
	if len(got) != len(want) || written != len(want) {
		t.Errorf("%d of %d rows are there, and progress ended at %d", len(got), len(want), written)
	}
	if report := w.verify(t, store.AuditQuery{}); !report.Intact {
		t.Errorf("what was written is not what was digested: %+v", report)
	}
}
