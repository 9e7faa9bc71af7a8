package tasks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func TestRowsAreKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	row := func(line int, unknown bool, cells ...string) store.RetryRow {
		r := store.RetryRow{Unknown: unknown, Row: store.Row{
			Line: line, RowID: fmt.Sprint("hr-", line), Reason: "离职 \x00,\n", Ticket: strings.Repeat("t", line%300), Cells: cells,
		}}
		r.Change.Principal = access.Principal{Type: access.User, ID: fmt.Sprint("u", line%7)}
		r.Change.Resource = access.Resource{Type: access.Dataset, ID: fmt.Sprint("d", line%3)}
		r.Change.Operation = access.Revoke
		return r
	}
	want := []store.RetryRow{row(1, false), row(2_147_483_647, true, ""), row(3, false, "a", "", "b,c"), row(4, true, strings.Repeat("x", keptPiece)), {Row: store.Row{Line: 5, Cells: []string{}}}}
	for line := 6; line < 20_000; line++ { // of several pieces
		want = append(want, row(line, false, "cell"))
	}
	var k kept
	for _, r := range want {
		k.add(r)
	}
	k.seal()
	if len(k.pieces) < 3 {
		t.Errorf("%d pieces, want several", len(k.pieces))
	}
	columns := k.Columns()
	if columns.Len != len(want) || columns.Changes.Len() != len(want) || len(columns.Unsure) != 2 || len(columns.Changes.Principals) != 8 {
		t.Errorf("columns of %d rows, %d changes, %d principals, %d unsure", columns.Len, columns.Changes.Len(), len(columns.Changes.Principals), len(columns.Unsure))
	}
	for i, r := range want {
		if diff := cmp.Diff(SubmittedRow{Row: r.Row, Unsure: r.Unknown}, k.Row(i)); diff != "" {
			t.Fatalf("row %d (-want +got):\n%s", i, diff)
		}
	}
}
