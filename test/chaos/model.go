//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

const (
	grant  = "grant"
	revoke = "revoke"

	qaResource = "qa_resource"
	qaTheme    = "qa_theme"
	dashboard  = "dashboard"
	share      = "share"
	workspace  = "workspace"
)

// pair is a user and a resource: what changes are about.
type pair struct{ user, kind, resource string }

func (p pair) String() string { return p.user + " on " + p.kind + " " + p.resource }

// change is one row of a file.
type change struct {
	pair

	op      string
	expires string // of a grant that ends
}

// role is what a grant of each kind is given with.
func (c change) role() string {
	switch {
	case c.op == revoke, c.kind == qaResource, c.kind == qaTheme:
		return ""
	case c.kind == workspace:
		return "viewer"
	default:
		return "view"
	}
}

// terms are what is in force once c was carried out; "" is nothing.
func (c change) terms() string {
	switch {
	case c.op == revoke:
		return ""
	case c.kind == workspace:
		return "viewer"
	default:
		return "until " + c.expires
	}
}

// result is what the product says became of a change.
type result struct {
	change

	job       int64 // in the order of acceptance
	rank      int64 // the job of the first attempt, for a retry
	ulid      string
	status    string
	code      string
	requestID string
	sent      bool // in some call
}

// settled says what may be in force for a pair after its changes: the terms of
// the newest one that was carried out, and of those after it of which the
// product says that it does not know, or that they were refused, or superseded
// after they had been sent (what superseded them may have been canceled). results
// must be about one pair and in the order of acceptance.
func settled(results []result) (allowed []string, problem string) {
	byRank := slices.Clone(results)
	slices.SortStableFunc(byRank, func(a, b result) int { return int(a.rank - b.rank) })
	for i, r := range slices.Backward(byRank) {
		switch r.status {
		case "succeeded", "no_change":
			return append(allowed, r.terms()), problem
		case "superseded":
			if i == len(byRank)-1 {
				problem = fmt.Sprintf("the newest change (%s by %s) is said to be superseded", r.op, r.ulid)
			}
			if r.sent {
				allowed = append(allowed, r.terms())
			}
		default:
			allowed = append(allowed, r.terms())
		}
	}
	return append(allowed, ""), problem
}

// inForce reads what Quick BI has, by pair.
func inForce(s *quickbitest.Server) map[pair]string {
	held := map[pair]string{}
	add := func(p pair, terms string) {
		if other, twice := held[p]; twice {
			terms = other + " and " + terms
		}
		held[p] = terms
	}
	for _, g := range s.Grants() {
		add(pair{g.User, string(g.Kind), g.Resource}, "until "+g.ExpiresOn)
	}
	for _, a := range s.Authorizations() {
		add(pair{a.Principal, a.ResourceType, a.Resource}, "until "+a.ExpiresOn)
	}
	for _, h := range s.Shares() {
		add(pair{h.Principal, share, h.Work}, "until "+time.UnixMilli(h.ExpiresAt).In(china).Format(time.DateOnly))
	}
	for _, m := range s.Members() {
		if slices.Equal(m.Roles, []int64{quickbitest.RoleViewer}) {
			add(pair{m.User, workspace, m.Workspace}, "viewer")
		} else {
			add(pair{m.User, workspace, m.Workspace}, fmt.Sprint("roles ", m.Roles))
		}
	}
	return held
}

var china = time.FixedZone("Asia/Shanghai", 8*60*60)

// writes lists the changes that a call asks for; a call that only reads, or
// whose parameters could not be read, asks for none.
func writes(c quickbitest.Call) []change {
	op := revoke
	var users, resources []string
	kind := ""
	p := c.Params
	switch c.Action {
	case "SmartqAuthorize":
		if p["OperationType"] == "0" {
			op = grant
		}
		return append(cross(op, p["UserIds"], qaResource, p["LlmCubes"]), cross(op, p["UserIds"], qaTheme, p["LlmCubeThemes"])...)
	case "AddWorksAuthorization":
		op, kind, users, resources = grant, p["ResourceType"], []string{p["AuthorizedId"]}, []string{p["ResourceId"]}
	case "DeleteAuthorizationByUserId":
		kind, users, resources = p["ResourceType"], []string{p["QbiUserId"]}, []string{p["ResourceId"]}
	case "AddShareReport":
		op, kind, users, resources = grant, share, []string{p["ShareToId"]}, []string{p["WorksId"]}
	case "CancelReportShare":
		kind, users, resources = share, []string{p["ShareToIds"]}, []string{p["ReportId"]}
	case "AddUserToWorkspace":
		op, kind, users, resources = grant, workspace, []string{p["UserId"]}, []string{p["WorkspaceId"]}
	case "AddWorkspaceUsers":
		op, kind, users, resources = grant, workspace, strings.Split(p["UserIds"], ","), []string{p["WorkspaceId"]}
	case "DeleteUserFromWorkspace":
		kind, users, resources = workspace, []string{p["UserId"]}, []string{p["WorkspaceId"]}
	}
	return cross(op, strings.Join(users, ","), kind, strings.Join(resources, ","))
}

func cross(op, users, kind, resources string) []change {
	var out []change
	for user := range strings.SplitSeq(users, ",") {
		for resource := range strings.SplitSeq(resources, ",") {
			if user != "" && resource != "" {
				out = append(out, change{pair: pair{user, kind, resource}, op: op})
			}
		}
	}
	return out
}
