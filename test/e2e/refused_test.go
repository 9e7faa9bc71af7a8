package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// TestRefusedAtSubmission is one file of all that Quick BI cannot do, or would
// do in silence otherwise than asked for. The same file with the one cell of
// each row mended is accepted.
func TestRefusedAtSubmission(t *testing.T) {
	t.Parallel()

	// It is about noon where days are counted, so that none ends during the test.
	now := time.Now().UTC()
	zone := fmt.Sprintf("QUICKBI_TIMEZONE=Etc/GMT%+d", now.Hour()-12) // that is so many hours west
	noon := now.Add(time.Duration(12-now.Hour()) * time.Hour)
	today, tomorrow := noon.Format(time.DateOnly), noon.AddDate(0, 0, 1).Format(time.DateOnly)
	yesterday := noon.AddDate(0, 0, -1).Format(time.DateOnly)

	// An asterisk in an id becomes the number of the row.
	type cells = change
	tests := []struct {
		cells

		column, code, mended string
	}{
		{cells{revoke, "group", "g*", "dashboard", "w*", "", ""}, "principal_type", "principal_type_not_supported", "user"},
		{cells{revoke, "organization", "o*", "cube", "w*", "", ""}, "principal_type", "principal_type_not_supported", "user"},
		{cells{revoke, "workspace", "s*", "dataForm", "w*", "", ""}, "principal_type", "principal_type_not_supported", ""},
		{cells{grant, "workspace", "s*", "share", "w*", "view", expiry}, "principal_type", "principal_type_not_supported", "organization"},
		{cells{revoke, "workspace", "s*", "share", "w*", "", ""}, "principal_type", "principal_type_not_supported", "group"},
		{cells{grant, "group", "g*", "workspace", "s*", "viewer", ""}, "principal_type", "principal_type_not_supported", "user"},
		{cells{revoke, "organization", "o*", "workspace", "s*", "", ""}, "principal_type", "principal_type_not_supported", "user"},
		{cells{grant, "group", "g*", qaResource, "q*", "", expiry}, "principal_type", "principal_type_not_supported", "user"},
		{cells{grant, "everybody", "o*", "report", "w*", "view", expiry}, "principal_type", "unknown_principal_type", "organization"},

		{cells{grant, "user", "u*", "report", "w*", "", expiry}, "role", "missing_role", "view"},
		{cells{grant, "user", "u*", "share", "w*", "", expiry}, "role", "missing_role", "view_export"},
		{cells{grant, "user", "u*", "workspace", "s*", "", ""}, "role", "missing_role", "30"},
		{cells{grant, "user", "u*", "report", "w*", "viewer", expiry}, "role", "unknown_role", "view"},
		{cells{grant, "user", "u*", "share", "w*", "edit", expiry}, "role", "unknown_role", "view"},
		{cells{grant, "user", "u*", "workspace", "s*", "view_export", ""}, "role", "unknown_role", "Data steward"},
		{cells{grant, "user", "u*", qaTheme, "t*", "view", expiry}, "role", "role_not_allowed", ""},
		{cells{revoke, "user", "u*", "screen", "w*", "edit", ""}, "role", "role_not_allowed", ""},

		{cells{grant, "user", "u*", "datasource", "w*", "edit", expiry}, "expires_on", "expiry_not_allowed", ""},
		{cells{grant, "user", "u*", "workspace", "s*", "admin", expiry}, "expires_on", "expiry_not_allowed", ""},
		{cells{revoke, "user", "u*", "share", "w*", "", expiry}, "expires_on", "expiry_not_allowed", ""},
		{cells{grant, "group", "g*", "ANALYSIS", "w*", "view", ""}, "expires_on", "missing_expiry", expiry},
		{cells{grant, "user", "u*", "share", "w*", "view", ""}, "expires_on", "missing_expiry", expiry},
		{cells{grant, "user", "u*", dataset, "d*", "", ""}, "expires_on", "missing_expiry", expiry},
		{cells{grant, "user", "u*", "dashboardOfflineQuery", "w*", "view", today}, "expires_on", "expiry_too_soon", tomorrow},
		{cells{grant, "user", "u*", "share", "w*", "view", yesterday}, "expires_on", "expiry_in_the_past", today},
		{cells{grant, "user", "u*", qaResource, "q*", "", yesterday}, "expires_on", "expiry_in_the_past", today},
		{cells{grant, "user", "u*", "dashboard", "w*", "view", "31/12/2099"}, "expires_on", "invalid_expiry", expiry},

		{cells{grant, "user", "u*,u0", "dashboard", "w*", "view", expiry}, "principal", "invalid_id", "u*-u0"},
		{cells{grant, "user", "u* ", "share", "w*", "view", expiry}, "principal", "invalid_id", "u*"},
		{cells{grant, "user", "u*", "workspace", "s* ", "viewer", ""}, "resource_id", "invalid_id", "s*"},
		{cells{grant, "user", "u*", "cube", "w*,w0", "view", expiry}, "resource_id", "invalid_id", "w*"},
		{cells{grant, "user", "u*", "report", "4.2E+10", "view", expiry}, "resource_id", "excel_mangled_id", "42*"},
		{cells{grant, "user", "u*", "portal", "w*", "view", expiry}, "resource_type", "unknown_resource_type", "share"},
		{cells{grant, "user", "u*", "Dashboards", "w*", "view", expiry}, "resource_type", "unknown_resource_type", "dashboard"},
		{cells{"remove", "user", "u*", "workspace", "s*", "", ""}, "action", "unknown_action", revoke},
	}
	bad, mended := make([]change, len(tests)), make([]change, len(tests))
	want := make([]rowError, len(tests))
	for i, tt := range tests {
		bad[i] = tt.numbered(i)
		mended[i] = tt.with(tt.column, tt.mended).numbered(i)
		want[i] = rowError{Line: i + 2, Column: tt.column, Code: tt.code}
	}
	d := setup(t, quickbitest.Options{})
	d.env = append(d.env, zone)

	var got rejection
	d.enqueue("csv", d.sheet("bad.csv", bad), "--json").want(3).document(&got)
	for i, e := range got.Errors {
		if e.Message == "" {
			t.Errorf("line %d: no word of what to do", e.Line)
		}
		got.Errors[i].Message, got.Errors[i].RowID = "", ""
	}
	if diff := cmp.Diff(want, got.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	d.wantNothingKept()
	if calls := d.sandbox.calls(); len(calls) > 0 {
		t.Errorf("%d calls were sent", len(calls))
	}

	var plan struct{ Rows, Changes int }
	d.enqueue("csv", d.sheet("mended.csv", mended), "--dry-run", "--json").want(0).document(&plan)
	if plan.Changes != len(tests) {
		t.Errorf("the mended file is %+v, want %d changes", plan, len(tests))
	}
}

// with is c with another value in one column.
func (c change) with(column, value string) change {
	*map[string]*string{
		"action": &c.action, "principal_type": &c.principalType, "principal": &c.principal,
		"resource_type": &c.resourceType, "resource_id": &c.resource, "role": &c.role, "expires_on": &c.expires,
	}[column] = value
	return c
}

// numbered is c with n in place of the asterisks in its ids.
func (c change) numbered(n int) change {
	for _, id := range []*string{&c.principal, &c.resource} {
		*id = strings.ReplaceAll(*id, "*", strconv.Itoa(n))
	}
	return c
}
