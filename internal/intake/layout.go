package intake

import (
	"slices"
	"strings"
	"unicode"

	"github.com/usher-bi/usher/internal/access"
)

// column is one of the columns that intake knows.
type column int

const (
	colRowID column = iota
	colAction
	colPrincipal
	colPrincipalType
	colResourceType
	colResourceID
	colRole
	colExpiresOn
	colReason
	colTicket
	numColumns
)

// columnNames are the canonical names, by column.
var columnNames = [numColumns]string{
	"row_id", "action", "principal", "principal_type", "resource_type", "resource_id",
	"role", "expires_on", "reason", "ticket",
}

func (c column) String() string { return columnNames[c] }

// required are the columns without which no row means anything.
var required = []column{colAction, colPrincipal, colResourceType, colResourceID}

// resultPrefix marks the columns of a result file that are not input. They are
// dropped, so that a result file can be submitted as it is.
const resultPrefix = "result__"

// resultJob is the column of a result file that names the job of the results.
// Its values are remembered.
const resultJob = resultPrefix + "job_id"

func plainName(name string) string {
	return strings.ToLower(strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }))
}

// Layout says where the cells of a file's columns are.
type Layout struct {
	width int
	at    [numColumns]int // place in a row; -1 if the file has no such column
}

// LayoutOf returns the layout of rows under header, which is [Batch.Header].
func LayoutOf(header []string) Layout {
	l := Layout{width: len(header)}
	for c := range l.at {
		l.at[c] = -1
	}
	for i, name := range header {
		if c, ok := columnOf(name); ok && l.at[c] < 0 {
			l.at[c] = i
		}
	}
	return l
}

// AppendCells appends the cells of r to dst: r.Cells where there are any, else
// what the other fields of r say, and blanks under unknown columns. An id made
// from the line is blank too, as it was in the file.
func (l Layout) AppendCells(dst []string, r Row) []string {
	if r.Cells != nil {
		return append(dst, r.Cells...)
	}
	from := len(dst)
	dst = slices.Grow(dst, l.width)[:from+l.width]
	cells := dst[from:]
	clear(cells)
	l.setShape(cells, r.Change)
	l.set(cells, colPrincipal, r.Change.Principal.ID)
	l.set(cells, colResourceID, r.Change.Resource.ID)
	l.set(cells, colReason, r.Reason)
	l.set(cells, colTicket, r.Ticket)
	if !isLineID(r.RowID, r.Line) {
		l.set(cells, colRowID, r.RowID)
	}
	return dst
}

func (l Layout) set(cells []string, c column, value string) {
	if i := l.at[c]; i >= 0 {
		cells[i] = value
	}
}

// get returns the cell of column c, or "" where the file has no such column.
func (l Layout) get(cells []string, c column) string {
	if i := l.at[c]; i >= 0 {
		return cells[i]
	}
	return ""
}

// fold returns the known spelling of a word whose case and surrounding white
// space do not matter, or the trimmed word if it is not known.
func fold[T ~string](word string, known ...T) T {
	word = strings.TrimSpace(word)
	for _, k := range known {
		if strings.EqualFold(word, string(k)) {
			return k
		}
	}
	return T(word)
}

func operationOf(cell string) access.Operation {
	return fold(meaning(colAction, cell), access.Grant, access.Revoke)
}

// principalTypeOf takes a blank cell for a user.
func principalTypeOf(cell string) access.PrincipalType {
	if strings.TrimSpace(cell) == "" {
		return access.User
	}
	return fold(meaning(colPrincipalType, cell), access.User, access.Group, access.Organization, access.Workspace)
}

func resourceTypeOf(cell string) access.ResourceType {
	return fold(meaning(colResourceType, cell), access.ResourceTypes()...)
}

// roleOf folds the names that the product knows; roles of an organization's own
// keep their spelling.
func roleOf(cell string) string {
	return fold(meaning(colRole, cell), access.RoleView, access.RoleViewExport, access.RoleEdit,
		access.RoleAdmin, access.RoleDeveloper, access.RoleAnalyst, access.RoleViewer)
}
