package access_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-bi/usher/internal/access"
)

var today = access.Date{Year: 2026, Month: time.November, Day: 22}

// a change that is sound, adjusted.
func sound(adjust ...func(*access.Change)) access.Change {
	c := access.Change{
		Operation: access.Grant,
		Principal: access.Principal{Type: access.User, ID: "46e53a5ba4b6"},
		Resource:  access.Resource{Type: access.QAResource, ID: "6b407e50-e774"},
		Terms:     access.Terms{ExpiresOn: today.AddDays(30)},
	}
	for _, a := range adjust {
		a(&c)
	}
	return c
}

func of(typ access.ResourceType, role string, expires access.Date) func(*access.Change) {
	return func(c *access.Change) { c.Resource.Type, c.Terms = typ, access.Terms{Role: role, ExpiresOn: expires} }
}

func by(typ access.PrincipalType) func(*access.Change) {
	return func(c *access.Change) { c.Principal.Type = typ }
}

func revoked(c *access.Change) { c.Operation, c.Terms = access.Revoke, access.Terms{} }

func TestProblems(t *testing.T) {
	t.Parallel()
	var never access.Date
	month := today.AddDays(30)
	for _, tt := range []struct {
		name   string
		change access.Change
		want   []string // "column code"
	}{
		{"a grant of Smart Q", sound(), nil},
		{"a revoke of Smart Q", sound(revoked), nil},
		{"an expiry today", sound(of(access.QATheme, "", today)), nil},
		{"an expiry yesterday", sound(of(access.QATheme, "", today.AddDays(-1))), []string{"expires_on expiry_in_the_past"}},
		{"no expiry", sound(of(access.Dataset, "", never)), []string{"expires_on missing_expiry"}},
		{"a role on Smart Q", sound(of(access.Dataset, "view", month)), []string{"role role_not_allowed"}},
		{"Smart Q for a group", sound(by(access.Group)), []string{"principal_type principal_type_not_supported"}},
		{"an expiry on a revoke", sound(func(c *access.Change) { c.Operation = access.Revoke }), []string{"expires_on expiry_not_allowed"}},

		{"a work for a workspace", sound(of(access.Dashboard, "view", month), by(access.Workspace)), nil},
		{"a work to edit", sound(of(access.Cube, "edit", never), by(access.Organization)), nil},
		{"a work to edit with an expiry", sound(of(access.Cube, "edit", month)), []string{"expires_on expiry_not_allowed"}},
		{"a work without a role", sound(of(access.Screen, "", month)), []string{"role missing_role"}},
		{"a work with a workspace role", sound(of(access.Report, "viewer", month)), []string{"role unknown_role"}},
		{"a work until today", sound(of(access.Analysis, "view", today)), []string{"expires_on expiry_too_soon"}},
		{"a work until tomorrow", sound(of(access.Analysis, "view", today.AddDays(1))), nil},
		{"a work taken from a user", sound(of(access.DataForm, "", never), revoked), nil},
		{"a work taken from a group", sound(of(access.DataForm, "", never), by(access.Group), revoked), []string{"principal_type principal_type_not_supported"}},
		{"a role on a revoke", sound(revoked, of(access.DataForm, "view", never)), []string{"role role_not_allowed"}},

		{"a share for a group", sound(of(access.Share, "view_export", month), by(access.Group)), nil},
		{"a share for a workspace", sound(of(access.Share, "view", month), by(access.Workspace)), []string{"principal_type principal_type_not_supported"}},
		{"a share to edit", sound(of(access.Share, "edit", month)), []string{"role unknown_role"}},
		{"a share taken from an organization", sound(of(access.Share, "", never), by(access.Organization), revoked), nil},

		{"a membership", sound(of(access.Membership, "admin", never)), nil},
		{"a membership by role id", sound(of(access.Membership, "25", never)), nil},
		{"a membership by a role of one's own", sound(of(access.Membership, "财务审核", never)), nil},
		{"a membership with an expiry", sound(of(access.Membership, "viewer", month)), []string{"expires_on expiry_not_allowed"}},
		{"a membership with a level", sound(of(access.Membership, "view", never)), []string{"role unknown_role"}},
		{"a membership without a role", sound(of(access.Membership, "", never)), []string{"role missing_role"}},
		{"a membership of a group", sound(of(access.Membership, "viewer", never), by(access.Group)), []string{"principal_type principal_type_not_supported"}},

		{"nothing at all", access.Change{}, []string{
			"action missing_value", "principal missing_value", "principal_type unknown_principal_type", "resource_type missing_value", "resource_id missing_value",
		}},
		{"words that mean nothing", sound(func(c *access.Change) { c.Operation, c.Resource.Type = "gratn", "folder" }), []string{
			"action unknown_action", "resource_type unknown_resource_type",
		}},
		{"a read is no row of an input", sound(func(c *access.Change) { c.Operation, c.Resource.Type = access.Read, access.Shares }), []string{
			"action unknown_action", "resource_type unknown_resource_type",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range tt.change.Problems(today) {
				got = append(got, p.Column+" "+p.Code)
				if p.Message == "" {
					t.Errorf("%s: no word of what to do", p.Code)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"46e53a5ba4b679ee22e2a2927": "", "95296e95-ca89-4d3c": "", "1234567890123456": "", "用户一": "", "a:b": "", "-x": "",
		"7.39E+10": access.CodeMangledID, "1e+15": access.CodeMangledID, "1e15": "",
		"a,b": access.CodeInvalidID, "\u0020a": access.CodeInvalidID, "a\tb": access.CodeInvalidID, "a\u00a0b": access.CodeInvalidID,
		"\ufeffa": access.CodeInvalidID, "a\x00": access.CodeInvalidID, "a\xff": access.CodeInvalidID,
		fmt.Sprintf("%0300d", 1): access.CodeInvalidID, "": access.CodeMissingValue,
	} {
		for _, column := range []string{"principal", "resource_id"} {
			change := sound(func(c *access.Change) {
				if column == "principal" {
					c.Principal.ID = id
				} else {
					c.Resource.ID = id
				}
			})
			got := ""
			for _, p := range change.Problems(today) {
				if p.Column == column {
					got = p.Code
				}
			}
			if got != want {
				t.Errorf("%s %q: code %q, want %q", column, id, got, want)
			}
		}
	}
}

func TestEveryResourceTypeHasItsOperations(t *testing.T) {
	t.Parallel()
	known := map[access.Action]bool{}
	for _, a := range access.Actions() {
		known[a] = true
	}
	for _, typ := range access.ResourceTypes() {
		for _, op := range []access.Operation{access.Grant, access.Revoke} {
			c := access.Change{Operation: op, Resource: access.Resource{Type: typ}}
			if !known[c.Action()] {
				t.Errorf("%s of %s goes by %q, which is no action", op, typ, c.Action())
			}
		}
	}
	if a := (access.Change{Operation: access.Grant, Resource: access.Resource{Type: "folder"}}).Action(); a != "" {
		t.Errorf("an unknown type goes by %q", a)
	}
}

func TestWorkspaceRoles(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]int64{"admin": 25, "developer": 26, "analyst": 27, "viewer": 30, "9001": 9001, "Auditor": 0, "-1": 0, "0": 0} {
		id, known := access.WorkspaceRole(role)
		if known != (want != 0) || known && id != want {
			t.Errorf("WorkspaceRole(%q) = %d, %t, want %d", role, id, known, want)
		}
	}
	if !access.IsPresetRole(25) || access.IsPresetRole(9001) {
		t.Error("25 is a preset role, 9001 is not")
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "2026-02-30", "2026-2-3", "2026/12/31", "31.12.2026", "2026-12-31T00:00:00Z", " 2026-12-31"} {
		if d, err := access.ParseDate(bad); err == nil {
			t.Errorf("ParseDate(%q) = %s", bad, d)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := today.AddDays(rapid.IntRange(-400_000, 400_000).Draw(t, "days"))
		back, err := access.ParseDate(d.String())
		if err != nil || back != d {
			t.Fatalf("%s reads back as %s (%v)", d, back, err)
		}
		if next := d.AddDays(1); !d.Before(next) || next.Before(d) {
			t.Fatalf("%s is not before %s", d, next)
		}
	})
}

func TestHalvesHoldExactlyTheCells(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := access.Rectangle{}
		for i := range rapid.IntRange(1, 12).Draw(t, "principals") {
			r.Principals = append(r.Principals, access.Principal{ID: strconv.Itoa(i)})
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "resources") {
			r.Resources = append(r.Resources, access.Resource{ID: strconv.Itoa(i)})
		}
		if r.Cells() == 1 {
			return
		}
		first, second := r.Halves()
		seen := map[access.Pair]int{}
		for _, half := range []access.Rectangle{first, second} {
			if half.Cells() == 0 || half.Cells() == r.Cells() {
				t.Fatalf("a half of %d cells has %d", r.Cells(), half.Cells())
			}
			for _, p := range half.Principals {
				for _, res := range half.Resources {
					seen[access.Pair{Principal: p, Resource: res}]++
				}
			}
		}
		if len(seen) != r.Cells() {
			t.Fatalf("the halves hold %d of %d cells", len(seen), r.Cells())
		}
	})
}

func TestResourcesReadBack(t *testing.T) {
	t.Parallel()
	for _, r := range []access.Resource{{Type: access.Dataset, ID: "d"}, {Type: access.Report, ID: "a:b:c"}} {
		if got, err := access.ParseResource(r.String()); err != nil || got != r {
			t.Errorf("%s reads back as %v (%v)", r, got, err)
		}
	}
	for _, bad := range []string{"", "dataset", ":d", "dataset:"} {
		if r, err := access.ParseResource(bad); err == nil {
			t.Errorf("ParseResource(%q) = %v", bad, r)
		}
	}
}
