package main

import (
	"context"
	"errors"

	"github.com/usher-bi/usher/internal/store"
)

// unverified is a change that is not verified. Its JSON is API.
type unverified struct {
	Line          int           `json:"line"`
	RowID         string        `json:"row_id"`
	Action        string        `json:"action"`
	Principal     string        `json:"principal"`
	PrincipalType string        `json:"principal_type"`
	ResourceType  string        `json:"resource_type"`
	ResourceID    string        `json:"resource_id"`
	Role          string        `json:"role"`
	Verdict       store.Verdict `json:"verdict"`
}

// verifyDocument is what --json prints where there is nothing to list. Its JSON
// is API.
type verifyDocument struct {
	JobID        string              `json:"job_id"`
	ReadJobID    *string             `json:"read_job_id"`  // null: nobody was to be read
	Verification *store.Verification `json:"verification"` // null: nothing was compared
	Changes      []unverified        `json:"changes"`
	Failures     []unreadUser        `json:"failures"`
	Error        *fault              `json:"error,omitempty"`
}

// document is what is known before anything is compared.
func (v *verifying) document(stopped *fault) verifyDocument {
	d := verifyDocument{JobID: v.request.ParentID, Changes: []unverified{}, Failures: []unreadUser{}, Error: stopped}
	if v.read.ID != "" {
		d.ReadJobID = &v.read.ID
	}
	return d
}

// each calls yield for each change that is not verified.
func (v *verifying) each(ctx context.Context, yield func(unverified) error) error {
	r := store.VerifyRequest{JobID: v.request.ParentID, ReadJobID: v.read.ID}
	return v.store.Unverified(ctx, r, func(c store.VerifiedChange) error {
		return yield(unverified{
			Line: c.Line, RowID: c.RowID, Action: string(c.Change.Operation),
			Principal: c.Change.Principal.ID, PrincipalType: string(c.Change.Principal.Type),
			ResourceType: string(c.Change.Resource.Type), ResourceID: c.Change.Resource.ID, Role: c.Change.Terms.Role, Verdict: c.Verdict,
		})
	})
}

// reportJSON tells programs, change by change.
func (v *verifying) reportJSON(ctx context.Context, found store.Verification) (count unread, err error) {
	doc := v.newObject()
	err = errors.Join(doc.field("job_id", v.request.ParentID), doc.field("read_job_id", v.read.ID), doc.field("verification", found))
	if err == nil {
		err = doc.list("changes", func(add func(any) error) error {
			return v.each(ctx, func(c unverified) error { return add(c) })
		})
	}
	if err == nil {
		err = doc.list("failures", func(add func(any) error) error {
			return eachUnread(ctx, v.store, v.read.ID, func(u unreadUser) error {
				count.add(u)
				return add(u)
			})
		})
	}
	return count, doc.end(err)
}
