package intake_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
)

func TestAccountsAreListedOnce(t *testing.T) {
	t.Parallel()

	b := read(t, minimal,
		"grant,account:alice,qa_resource,r1,2027-01-01", "grant,account:corp/bob,qa_resource,r1,2027-01-01",
		"revoke,account:alice,qa_resource,r2,", "grant,u1,qa_resource,r1,2027-01-01")
	want := []intake.Account{{Name: "alice"}, {Name: "bob", Parent: "corp"}}
	if diff := cmp.Diff(want, b.Accounts()); diff != "" {
		t.Errorf("accounts (-want +got)\n%s", diff)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()

	b := read(t, minimal+",note",
		"grant,account:alice,qa_resource,r1,2027-01-01,x",
		"grant,u1,qa_resource,r1,2027-01-01,",                 // who is alice
		"grant,account:corp/alice,qa_resource,r2,2027-01-01,", // likewise
		"revoke,u1,qa_resource,r2,,",                          // contradicts it
		"grant,account:eve,qa_resource,r1,2027-01-01,",
		"revoke,u2,qa_resource,r1,,")
	b.Resolve(map[intake.Account]intake.Owner{
		{Name: "alice"}: {UserID: "u1"}, {Name: "alice", Parent: "corp"}: {UserID: "u1"},
		{Name: "eve"}: {Code: intake.CodeAccountUnknown, Reason: "nobody has it"},
	})

	type line struct {
		Line, DuplicateOf int
		Change            access.Change
	}
	var got []line
	for _, row := range b.Rows() {
		got = append(got, line{row.Line, row.DuplicateOf, row.Change})
	}
	want := []line{{2, 0, grant("u1", "r1")}, {3, 2, grant("u1", "r1")}, {7, 0, revoke("u2", "r1")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sound rows (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"grant", "account:alice", "qa_resource", "r1", "2027-01-01", "x"}, b.Row(0).Cells); diff != "" {
		t.Errorf("cells (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]int32{0, 2}, b.Distinct()); diff != "" {
		t.Errorf("distinct rows (-want +got)\n%s", diff)
	}
	invalid := map[int]string{}
	for _, row := range b.Invalid {
		invalid[row.Line] = row.Problem.Code + " " + row.Cells[1]
	}
	wantInvalid := map[int]string{
		4: intake.CodeConflictingChange + " account:corp/alice", 5: intake.CodeConflictingChange + " u1", 6: intake.CodeAccountUnknown + " account:eve",
	}
	if diff := cmp.Diff(wantInvalid, invalid); diff != "" {
		t.Errorf("invalid rows (-want +got)\n%s", diff)
	}
	var lines []int
	for _, e := range b.Errors {
		lines = append(lines, e.Line)
	}
	if diff := cmp.Diff([]int{5, 6}, lines); diff != "" {
		t.Errorf("errors (-want +got)\n%s", diff)
	}
	if b.Total() != 6 || b.Accounts() != nil && b.Len() == 0 {
		t.Errorf("%d rows", b.Total())
	}
}

// A plain row is kept as it was written, and means the same as one with the id.
func TestResolvedRowsKeepTheirCells(t *testing.T) {
	t.Parallel()

	b, plain := read(t, minimal, "grant,account:alice,qa_resource,r1,2027-01-01"), read(t, minimal, "grant,u1,qa_resource,r1,2027-01-01")
	b.Resolve(map[intake.Account]intake.Owner{{Name: "alice"}: {UserID: "u1"}})
	if got := intake.LayoutOf(b.Header).AppendCells(nil, b.Row(0)); got[1] != "account:alice" || b.Row(0).Change != grant("u1", "r1") {
		t.Errorf("cells %q of %+v", got, b.Row(0).Change)
	}
	if b.Fingerprint("s") != plain.Fingerprint("s") {
		t.Error("the fingerprint is another one than that of the row with the id")
	}
}

func TestNamesThatNoAccountHas(t *testing.T) {
	t.Parallel()

	b := read(t, "action,principal,principal_type,resource_type,resource_id,role,expires_on",
		"revoke,account:,user,qa_resource,r1,,", "revoke,account:/bob,,qa_resource,r1,,", "revoke,account:corp/,,qa_resource,r1,,",
		"grant,account:team,group,dashboard,d1,view,2027-01-01", "revoke,account:alice,,qa_resource,r1,,")
	b.Resolve(nil)
	var got []string
	for _, e := range b.Errors {
		got = append(got, e.Code)
	}
	want := []string{access.CodeInvalidID, access.CodeInvalidID, access.CodeInvalidID, access.CodePrincipalType}
	if diff := cmp.Diff(want, got); diff != "" || b.Len() != 1 {
		t.Errorf("codes, %d sound rows (-want +got)\n%s", b.Len(), diff)
	}
}
