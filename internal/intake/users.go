package intake

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
)

// Users is a list of users to read.
type Users struct {
	IDs      []string   // Quick BI user ids in the order of the list, repeats among them
	Errors   []RowError // every problem of every other row, in the order of the list
	Rows     int        // of the list; blank lines are none
	Warnings []string   // remarks about the whole list, for a person

	lines []int // of IDs
}

// ReadUsers reads user ids from a file: one id a line, or a CSV file that names
// a column principal or user_id, so that the files which [ReadCSV] takes and
// the result files will do. Only MaxRows and MaxBytes of the options count.
// Bad rows are in Users.Errors; a file of which no row can be read is a
// [*FileError], and any other error came from r.
func ReadUsers(r io.Reader, o Options) (*Users, error) {
	return readFile(r, o, func(in *tape) (*Users, error) { return parseUsers(in, cmp.Or(o.MaxRows, DefaultMaxRows)) })
}

// CheckUsers makes a list of ids that are at hand. The line of an error is the
// place of the id among them, counted from 1.
func CheckUsers(ids []string) *Users {
	l := userList{users: &Users{}}
	for i, id := range ids {
		l.add(i+1, id, "")
	}
	return l.finish()
}

func parseUsers(in *tape, maxRows int) (*Users, error) {
	records := openRecords(in)
	h, err := userHeader(records)
	if err != nil {
		return nil, err
	}
	if h == nil {
		h = &header{names: []string{colPrincipal.String()}, from: []int{0}, width: 1}
		h.layout = LayoutOf(h.names)
	}
	l := userList{users: &Users{}}
	var cells []string
	for record, ok := records.next(); ok; record, ok = records.next() {
		if !record.broken && blank(record.cells) {
			continue
		}
		if l.users.Rows == maxRows {
			return nil, fileError(CodeTooManyRows, "the file has more than %d rows, the most that one job takes; split it", maxRows)
		}
		cells = h.cells(cells[:0], record.cells)
		switch {
		case record.broken:
			l.refuse(record.line, problem("", CodeMalformedQuotes, "a quote is not closed, or stands inside a cell"))
		case len(record.cells) < h.width, !blank(record.cells[h.width:]):
			l.refuse(record.line, problem("", CodeWrongNumberOfCells,
				"the row has %d cells and not %d; write one id a line, or quote a cell that holds the delimiter", len(record.cells), h.width))
		default:
			l.add(record.line, strings.Clone(h.layout.get(cells, colPrincipal)), h.layout.get(cells, colPrincipalType))
		}
	}
	if records.err != nil {
		return nil, records.err
	}
	if l.users.Rows == 0 {
		return nil, fileError(CodeNoRows, "the file names no user")
	}
	return l.finish(), nil
}

// userHeader reads the first line if it names columns, and returns nil if it
// is the first id already.
func userHeader(r *records) (*header, error) {
	first, _ := r.first()
	if r.err != nil {
		return nil, r.err
	}
	if first.broken {
		return nil, fileError(CodeNotACSV, "line %d has a quote that is not closed or not doubled", first.line)
	}
	named := false
	for _, cell := range first.cells {
		c, ok := columnOf(Restore(cell))
		named = named || ok && c == colPrincipal
	}
	if named {
		h, err := parseHeader(first.cells)
		if bad, ok := errors.AsType[*FileError](err); ok && bad.Code == CodeMissingColumn {
			err = nil // nothing but the user is needed
		}
		return &h, err
	}
	if strings.ContainsAny(strings.Join(first.cells, ","), delimiters) {
		return nil, fileError(CodeMissingColumn,
			"the first line does not name the column principal or user_id; found %s; write one id a line, or name the column", quotedList(first.cells))
	}
	r.again = &first
	return nil, nil //nolint:nilnil // no header and no error
}

// userList makes a list row by row.
type userList struct {
	users *Users
	uids  tally
}

// add takes in an id. typ is the cell of the principal type, "" for a user.
func (l *userList) add(line int, id, typ string) {
	change := access.Change{ // the shortest that is sound but for its principal
		Operation: access.Revoke, Principal: access.Principal{Type: principalTypeOf(typ), ID: id},
		Resource: access.Resource{Type: access.QAResource, ID: "any"},
	}
	problems := change.Problems(access.Date{})
	if len(problems) > 0 {
		l.refuse(line, problems...)
		return
	}
	l.users.Rows++
	l.users.IDs, l.users.lines = append(l.users.IDs, id), append(l.users.lines, line)
	if access.LooksLikeUID(id) {
		l.uids = tally{rows: l.uids.rows + 1, line: cmp.Or(l.uids.line, line)}
	}
}

// refuse takes in a row that names no user.
func (l *userList) refuse(line int, problems ...access.Problem) {
	l.users.Rows++
	for _, p := range problems {
		if p.Code == access.CodePrincipalType {
			p.Message = "only what a user was given can be read; name the members one by one"
		}
		l.users.Errors = append(l.users.Errors, RowError{Line: line, Column: p.Column, RowID: lineID(line), Code: p.Code, Message: p.Message})
	}
}

func (l *userList) finish() *Users {
	if l.uids.rows > 0 {
		l.users.Warnings = append(l.users.Warnings, fmt.Sprintf(
			"%d of the ids have 16 digits, the first at %d: make sure that these are Quick BI user ids and not Alibaba Cloud UIDs", l.uids.rows, l.uids.line))
	}
	return l.users
}

// Accounts lists the accounts that the list names in place of ids, each once.
func (u *Users) Accounts() []Account {
	var out []Account
	seen := map[Account]bool{}
	for _, id := range u.IDs {
		if a, named, bad := accountOf(access.Principal{Type: access.User, ID: id}); named && bad == nil && !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

// Resolve puts the ids of users in the place of the accounts that the list names.
// Those that have no user become errors, and so do names that no account can have.
// Accounts that owners lacks stay as they are.
func (u *Users) Resolve(owners map[Account]Owner) {
	ids, lines := u.IDs[:0:0], u.lines[:0:0]
	for i, id := range u.IDs {
		a, named, bad := accountOf(access.Principal{Type: access.User, ID: id})
		owner, answered := owners[a]
		switch {
		case named && bad == nil && answered && owner.UserID == "":
			bad = &access.Problem{Column: colPrincipal.String(), Code: owner.Code, Message: owner.Reason}
		case named && bad == nil && answered:
			id = owner.UserID
		}
		if bad == nil {
			ids, lines = append(ids, id), append(lines, u.lines[i])
			continue
		}
		u.Errors = append(u.Errors, RowError{Line: u.lines[i], Column: bad.Column, RowID: lineID(u.lines[i]), Code: bad.Code, Message: bad.Message})
	}
	u.IDs, u.lines = ids, lines
	slices.SortStableFunc(u.Errors, func(a, b RowError) int { return cmp.Compare(a.Line, b.Line) })
}
