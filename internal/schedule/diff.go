package schedule

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"slices"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// sheet is rows that were found, written as a file would hold them.
type sheet struct {
	rows    []access.Change
	today   access.Date
	refused int // that Quick BI has no call for, or that would end at once
}

// add adds a change, unless it cannot be sent.
func (s *sheet) add(c access.Change) {
	if c.Problems(s.today) != nil {
		s.refused++
		return
	}
	s.rows = append(s.rows, c)
}

// why says what was left out.
func (s *sheet) why(nothing string) string {
	switch {
	case s.refused > 0:
		return fmt.Sprintf("%d changes are needed that cannot be sent", s.refused)
	case len(s.rows) == 0:
		return nothing
	default:
		return ""
	}
}

func (s *sheet) csv() ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write([]string{"action", "principal", "principal_type", "resource_type", "resource_id", "role", "expires_on"}) // Error tells
	for _, c := range s.rows {
		_ = w.Write(view.Neutralised([]string{
			string(c.Operation), c.Principal.ID, string(c.Principal.Type), string(c.Resource.Type), c.Resource.ID,
			c.Terms.Role, c.Terms.ExpiresOn.String(),
		}))
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// batch makes of a sheet what is submitted; where there is nothing, errSettled.
func (w *work) batch(in *store.RunInput, s *sheet, nothing string) (*intake.Batch, error) {
	in.Why = s.why(nothing)
	if len(s.rows) == 0 {
		in.State = store.InputNothing
		return nil, errSettled
	}
	text, err := s.csv()
	if err != nil {
		return nil, err
	}
	return w.rows(text)
}

// desired makes of the full list of who should have what the difference to what
// is in force. It revokes only what the source of the schedule granted, and says
// how much of that there is.
func (w *work) desired(ctx context.Context, in *store.RunInput, list *intake.Batch) (batch *intake.Batch, its int, err error) {
	want, order, err := w.wanted(in, list)
	if err != nil {
		return nil, 0, err
	}
	s := &sheet{today: w.today()}
	err = w.store.Granted(ctx, store.GrantedFilter{Location: w.options.Location}, func(g store.Granted) error {
		terms, wanted := want[g.Pair]
		revocable := g.MayHold() && g.State != store.Expired && grantedBy(g, w.run.Of.Source)
		if revocable {
			its++
		}
		switch {
		case wanted && holds(g, terms):
			delete(want, g.Pair)
		case !wanted && revocable:
			s.add(access.Change{Operation: access.Revoke, Principal: g.Principal, Resource: g.Resource})
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for _, pair := range order {
		if terms, missing := want[pair]; missing {
			s.add(access.Change{Operation: access.Grant, Principal: pair.Principal, Resource: pair.Resource, Terms: terms})
		}
	}
	batch, err = w.batch(in, s, "everybody has what they should have")
	return batch, its, err
}

// wanted are the terms of each access of a list that has not ended by itself,
// and their order.
func (w *work) wanted(in *store.RunInput, list *intake.Batch) (want map[access.Pair]access.Terms, order []access.Pair, err error) {
	const grantsOnly = "a list of who should have what holds grants only"
	want = make(map[access.Pair]access.Terms, list.Total())
	for _, row := range list.Rows() {
		ends, pair := row.Change.Terms.ExpiresOn, row.Change.Pair()
		if row.Change.Operation != access.Grant {
			return nil, nil, w.reject(in, in.File+": "+grantsOnly, []intake.RowError{{
				Line: row.Line, Column: "action", RowID: row.RowID, Code: "not_a_grant", Message: grantsOnly + "; leave out what is to be revoked",
			}})
		}
		if !ends.IsZero() && ends.Before(w.today()) {
			continue
		}
		if _, twice := want[pair]; !twice {
			order = append(order, pair)
		}
		want[pair] = row.Change.Terms
	}
	return want, order, nil
}

// holds reports whether an access is in force under terms, or will be.
func holds(g store.Granted, terms access.Terms) bool {
	newest, ok := g.Newest()
	return ok && newest.Operation == access.Grant && newest.Terms == terms &&
		(g.State == store.InForce && newest.Status != store.Failed || g.State == store.Granting && newest.Status == store.Pending)
}

// grantedBy reports whether a source gave, or may have given, what may be in
// force: a grant that found the access there already gave nothing, and one that was
// refused is nobody's.
func grantedBy(g store.Granted, source string) bool {
	for _, a := range g.Asked {
		switch {
		case a.Operation == access.Revoke && (a.Status == store.Succeeded || a.Status == store.NoChange):
			return false
		case a.Status == store.Canceled, a.Status == store.Failed:
			continue
		case a.Operation == access.Grant && a.Source != source:
			return false
		case a.Operation == access.Grant && slices.Contains([]store.Status{store.Succeeded, store.Unknown, store.Pending}, a.Status):
			return true
		}
	}
	return false
}

// renewals extends what the source of the schedule granted and what is about to
// end, unless somebody has asked to revoke it since: a revoke that failed leaves
// the access in force, and is tried again.
func (w *work) renewals(ctx context.Context, in *store.RunInput) (*intake.Batch, error) {
	s := &sheet{today: w.today()}
	f := store.GrantedFilter{
		Source: w.run.Of.Source, ExpiresBefore: s.today.AddDays(w.run.Of.RenewDays + 1), States: []store.AccessState{store.InForce},
		Location: w.options.Location,
	}
	err := w.store.Granted(ctx, f, func(g store.Granted) error {
		if newest, ok := g.Newest(); !ok || newest.Operation != access.Grant {
			return nil
		}
		terms := g.Terms
		terms.ExpiresOn = s.today.AddDays(w.daysOf(g))
		if g.Terms.ExpiresOn.Before(terms.ExpiresOn) {
			s.add(access.Change{Operation: access.Grant, Principal: g.Principal, Resource: g.Resource, Terms: terms})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	in.Rows = len(s.rows)
	return w.batch(in, s, "nothing ends that soon")
}

// daysOf is for how many days an access is extended: as the schedule says, or as
// it was granted.
func (w *work) daysOf(g store.Granted) int {
	if w.run.Of.ExpiryDays > 0 {
		return w.run.Of.ExpiryDays
	}
	for _, a := range g.Asked {
		if a.Operation == access.Grant && (a.Status == store.Succeeded || a.Status == store.NoChange) {
			from := access.DateOf(a.AcceptedAt.In(w.options.Location))
			return int(g.Terms.ExpiresOn.Time().Sub(from.Time()).Hours() / 24)
		}
	}
	return 0
}
