package intake

import (
	"cmp"
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
)

// accountPrefix begins a principal that is the name of an account in place of an
// id: account:alice, or account:parent/alice.
const accountPrefix = "account:"

// The codes of accounts that stand for nobody, and for several. They are API.
const (
	CodeAccountUnknown   = "account_unknown"
	CodeAccountAmbiguous = "account_ambiguous"
)

// Account names a user as people know them.
type Account struct {
	Name   string
	Parent string // the main account of a RAM user, where rows name it; "" for none
}

// String returns what rows write after "account:".
func (a Account) String() string {
	if a.Parent == "" {
		return a.Name
	}
	return a.Parent + "/" + a.Name
}

// ParseAccount reads what rows write in place of an id, with or without "account:".
// ok is false for what can be no account.
func ParseAccount(text string) (a Account, ok bool) {
	a, _, bad := accountOf(access.Principal{Type: access.User, ID: accountPrefix + strings.TrimPrefix(text, accountPrefix)})
	return a, bad == nil
}

// Owner says who has an account: a user, or nobody for a reason.
type Owner struct {
	UserID string
	Code   string // where there is no UserID
	Reason string // likewise, for a person, with what to do
}

// accountOf reads a principal. named tells whether it names an account, and
// problem why that cannot be one.
func accountOf(p access.Principal) (a Account, named bool, bad *access.Problem) {
	text, named := strings.CutPrefix(p.ID, accountPrefix)
	if !named {
		return a, false, nil
	}
	if p.Type != access.User {
		found := problem(colPrincipal.String(), access.CodePrincipalType, "%q names an account, and only users have one; write the id of the %s", p.ID, p.Type)
		return a, true, &found
	}
	if parent, name, has := strings.Cut(text, "/"); has {
		a = Account{Name: name, Parent: parent}
		if parent == "" {
			a.Name = ""
		}
	} else {
		a.Name = text
	}
	if a.Name == "" {
		found := problem(colPrincipal.String(), access.CodeInvalidID, "%q names no account; write account:name or account:parent/name", p.ID)
		return a, true, &found
	}
	return a, true, nil
}

// Accounts lists the accounts that sound rows name in place of ids, each once.
func (b *Batch) Accounts() []Account {
	var out []Account
	seen := map[Account]bool{}
	for _, p := range b.rows.changes.Principals {
		if a, named, bad := accountOf(p); named && bad == nil && !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

// Resolve puts the ids of users in the place of the accounts that rows name. Rows
// keep their cells as they are written. A row whose account has no user becomes
// an invalid one, and so do rows that turn out to contradict each other; those
// that turn out to ask for the same are repeats. Accounts that owners lacks stay
// as they are, but names that no account can have are errors.
func (b *Batch) Resolve(owners map[Account]Owner) {
	r := resolving{batch: b, layout: LayoutOf(b.Header), number: map[int32]int32{}, bad: map[int32]access.Problem{}}
	r.judge(owners)
	if len(r.number)+len(r.bad) == 0 {
		return
	}
	r.keepCells()
	r.renumber()
	r.compare()
	r.drop()
}

// resolving is one resolution under way.
type resolving struct {
	batch   *Batch
	layout  Layout
	number  map[int32]int32          // principal that is an account → the user
	bad     map[int32]access.Problem // principal that is none
	touched map[int32]bool           // users who stand in for accounts
	refused map[int]access.Problem   // rows
	quiet   map[int]bool             // of these: the error stands at another row
}

// judge decides what becomes of each principal. Users who are not in the list yet
// are added to it.
func (r *resolving) judge(owners map[Account]Owner) {
	changes := &r.batch.rows.changes
	known := map[access.Principal]int32{}
	for i, p := range changes.Principals {
		known[p] = small(i)
	}
	for i, p := range changes.Principals { // those that are added are users
		a, named, bad := accountOf(p)
		owner, answered := owners[a]
		switch {
		case !named:
		case bad != nil:
			r.bad[small(i)] = *bad
		case !answered:
		case owner.UserID == "":
			r.bad[small(i)] = access.Problem{Column: colPrincipal.String(), Code: owner.Code, Message: owner.Reason}
		default:
			user := access.Principal{Type: access.User, ID: owner.UserID}
			to, there := known[user]
			if !there {
				to = small(len(changes.Principals))
				changes.Principals, known[user] = append(changes.Principals, user), to
			}
			r.number[small(i)] = to
		}
	}
	changes.Seal() // it numbers anew what it is asked for
}

// keepCells writes down how the rows were written, while that can be told.
func (r *resolving) keepCells() {
	c := &r.batch.rows
	for i := range r.batch.Len() {
		if _, replaced := r.number[c.changes.Cells[i].Principal]; replaced && c.cells.at(i) == 0 {
			c.cells.set(i, c.texts.keep(string(packCells(nil, r.layout.AppendCells(nil, r.batch.Row(i))))))
		}
	}
}

// renumber puts users in the place of accounts, and refuses rows that have none.
func (r *resolving) renumber() {
	r.touched, r.refused, r.quiet = map[int32]bool{}, map[int]access.Problem{}, map[int]bool{}
	for _, to := range r.number {
		r.touched[to] = true
	}
	for i := range r.batch.rows.changes.Cells {
		cell := &r.batch.rows.changes.Cells[i]
		if problem, bad := r.bad[cell.Principal]; bad {
			r.refused[i] = problem
		} else if to, replaced := r.number[cell.Principal]; replaced {
			cell.Principal = to
		}
	}
}

// compare finds the repeats and contradictions among the rows of the users who
// stand in for accounts.
func (r *resolving) compare() {
	type pair struct{ principal, resource int32 }
	c, first := &r.batch.rows, map[pair]int{}
	disputed := map[int]int{} // first row → line of the first that contradicts it
	for i, cell := range c.changes.Cells {
		if _, refused := r.refused[i]; refused || !r.touched[cell.Principal] {
			continue
		}
		delete(c.repeats, small(i))
		at, seen := first[pair{cell.Principal, cell.Resource}]
		switch {
		case !seen:
			first[pair{cell.Principal, cell.Resource}] = i
		case c.changes.Cells[at] == cell:
			if c.repeats == nil {
				c.repeats = map[int32]int32{}
			}
			c.repeats[small(i)] = c.lines[at]
		default:
			r.refused[i] = conflict(r.batch.Row(at), r.batch.Row(i))
			if _, known := disputed[at]; !known {
				disputed[at] = int(c.lines[i])
			}
		}
	}
	for i, cell := range c.changes.Cells {
		by, isDisputed := disputed[first[pair{cell.Principal, cell.Resource}]]
		if _, refused := r.refused[i]; refused || !isDisputed || !r.touched[cell.Principal] {
			continue
		}
		r.refused[i] = problem(colAction.String(), CodeConflictingChange, "line %d asks for something else with the same pair; keep one of the two", by)
		r.quiet[i] = true
	}
}

// drop moves the rows that were refused to the invalid ones.
func (r *resolving) drop() {
	if len(r.refused) == 0 {
		return
	}
	b := r.batch
	for i := range b.Len() {
		bad, refused := r.refused[i]
		if !refused {
			continue
		}
		row := b.Row(i)
		row.DuplicateOf = 0
		b.refuse(InvalidRow{Row: row, Problem: bad}, r.layout.cellsOf)
		if !r.quiet[i] {
			b.list(RowError{Line: row.Line, Column: bad.Column, RowID: row.RowID, Code: bad.Code, Message: bad.Message})
		}
	}
	b.rows.retain(func(i int) bool { _, refused := r.refused[i]; return !refused })
	slices.SortStableFunc(b.Invalid, func(a, b InvalidRow) int { return cmp.Compare(a.Line, b.Line) })
	slices.SortStableFunc(b.Errors, func(a, b RowError) int { return cmp.Compare(a.Line, b.Line) })
}
