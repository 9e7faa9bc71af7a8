package intake

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/usher-bi/usher/internal/access"
)

// builder makes a batch of records, one by one.
type builder struct {
	options Options
	header  header
	batch   *Batch
	cells   []string // of the current record; reused
	rebuilt []string // what its typed fields would give; reused
	ids     map[string]int
	pairs   pairs
	texts   map[string]string
	jobs    map[string]bool // that the file is a result of
	uids    tally
}

// tally counts rows and remembers the first.
type tally struct{ rows, line int }

func newBuilder(h header, o Options) *builder {
	o.MaxRows = cmp.Or(o.MaxRows, DefaultMaxRows)
	return &builder{
		options: o,
		header:  h,
		batch:   &Batch{Header: h.names},
		ids:     map[string]int{},
		pairs:   newPairs(),
		texts:   map[string]string{},
		jobs:    map[string]bool{},
	}
}

// expect makes room for the rows of body.
func (b *builder) expect(body []byte) {
	const shortest = len("grant,u,dataset,d\n")
	rows := min(lineAt(body, len(body)), len(body)/shortest, b.options.MaxRows)
	b.batch.Rows = make([]Row, 0, rows)
	b.pairs.first = make(map[[2]int32]int32, rows)
	if b.header.layout.at[colRowID] >= 0 {
		b.ids = make(map[string]int, rows)
	}
}

// add takes in one record. Its error means that the file is to be refused.
func (b *builder) add(r record) error {
	if !r.broken && blank(r.cells) {
		return nil
	}
	if b.batch.Total() == b.options.MaxRows {
		return fileError(CodeTooManyRows, "the file has more than %d rows, the most that one job takes; split it", b.options.MaxRows)
	}
	b.noteJobs(r.cells)
	b.cells = b.header.cells(b.cells[:0], r.cells)
	row := Row{Line: r.line}
	if id := b.header.layout.get(b.cells, colRowID); strings.TrimSpace(id) != "" {
		row.RowID = strings.Clone(id)
	}
	problems := b.checkRowID(row)
	switch {
	case r.broken:
		problems = append(problems, b.quoteProblem(len(r.cells)))
	case len(r.cells) < b.header.width, !blank(r.cells[b.header.width:]):
		problems = append(problems, problem("", CodeWrongNumberOfCells,
			"the row has %d cells and the header %d; quote a cell that holds the delimiter, and keep empty cells at the end", len(r.cells), b.header.width))
	default:
		problems = append(problems, b.read(&row)...)
	}
	if problems == nil {
		problems = b.pairs.check(&row, b.batch.Rows)
	}
	b.keep(row, problems)
	return nil
}

// noteJobs remembers of which jobs the record is a result.
func (b *builder) noteJobs(cells []string) {
	for _, i := range b.header.jobs {
		if i >= len(cells) {
			continue
		}
		if job := strings.TrimSpace(Restore(cells[i])); job != "" && !b.jobs[job] {
			b.jobs[strings.Clone(job)] = true
		}
	}
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// checkRowID reports an id that names another row already, or cannot be shown.
func (b *builder) checkRowID(row Row) []access.Problem {
	const longest = 256
	column := colRowID.String()
	first, taken := b.ids[row.RowID]
	switch {
	case row.RowID == "":
		return nil
	case len(row.RowID) > longest:
		return []access.Problem{problem(column, CodeInvalidRowID, "the id is %d bytes long; use at most %d", len(row.RowID), longest)}
	case strings.ContainsFunc(row.RowID, unicode.IsControl):
		return []access.Problem{problem(column, CodeInvalidRowID, "%q holds a line break or another control character; remove it", row.RowID)}
	case taken:
		return []access.Problem{problem(column, CodeDuplicateRowID, "%q is the id of line %d too; give each row its own, or leave the column empty", row.RowID, first)}
	}
	b.ids[row.RowID] = row.Line
	return nil
}

// quoteProblem explains a record that broke in the cell at the given place.
func (b *builder) quoteProblem(at int) access.Problem {
	name := ""
	if i := slices.Index(b.header.from, at); i >= 0 {
		name = b.header.names[i]
		if c, ok := columnOf(name); ok {
			name = c.String()
		}
	}
	return problem(name, CodeMalformedQuotes,
		"a quote is not closed, or stands inside a cell; enclose the whole cell in quotes and double those inside it")
}

// read fills in row from its cells and returns what is wrong with it.
func (b *builder) read(row *Row) []access.Problem {
	get := func(c column) string { return b.header.layout.get(b.cells, c) }
	row.Change = access.Change{
		Operation: operationOf(get(colAction)),
		Principal: access.Principal{Type: principalTypeOf(get(colPrincipalType)), ID: get(colPrincipal)},
		Resource:  access.Resource{Type: resourceTypeOf(get(colResourceType)), ID: get(colResourceID)},
		Terms:     access.Terms{Role: roleOf(get(colRole))},
	}
	row.Reason, row.Ticket = get(colReason), get(colTicket)
	if row.Change.Principal.Type == access.User && access.LooksLikeUID(row.Change.Principal.ID) {
		b.uids = tally{rows: b.uids.rows + 1, line: cmp.Or(b.uids.line, row.Line)}
	}
	bad := b.readExpiry(row)
	problems := row.Change.Problems(b.options.Today)
	if bad != nil { // then the zero expiry is none of the sender's
		problems = slices.DeleteFunc(problems, func(p access.Problem) bool { return p.Column == colExpiresOn.String() })
		problems = append(problems, *bad)
	}
	return problems
}

// readExpiry reads the expiry, or fills in the default.
func (b *builder) readExpiry(row *Row) *access.Problem {
	cell := b.header.layout.get(b.cells, colExpiresOn)
	if strings.TrimSpace(cell) == "" {
		if row.Change.TakesExpiry() && b.options.DefaultExpiryDays > 0 {
			row.Change.Terms.ExpiresOn = b.options.Today.AddDays(b.options.DefaultExpiryDays)
			b.header.layout.set(b.cells, colExpiresOn, row.Change.Terms.ExpiresOn.String())
		}
		return nil
	}
	day, err := access.ParseDate(cell)
	if err != nil {
		p := expiryProblem(row.Change.Operation, cell)
		return &p
	}
	row.Change.Terms.ExpiresOn = day
	return nil
}

// keep files the row under Rows or Invalid.
func (b *builder) keep(row Row, problems []access.Problem) {
	if problems != nil {
		row.Cells = slices.Clone(b.cells)
		b.batch.Invalid = append(b.batch.Invalid, InvalidRow{Row: row, Problem: problems[0]})
		for _, p := range problems {
			b.batch.Errors = append(b.batch.Errors, RowError{
				Line: row.Line, Column: p.Column, RowID: row.RowID, Code: p.Code, Message: p.Message,
			})
		}
		return
	}
	row.Reason, row.Ticket, row.Change.Terms.Role = b.text(row.Reason), b.text(row.Ticket), b.text(row.Change.Terms.Role)
	b.rebuilt = b.header.layout.AppendCells(b.rebuilt[:0], row)
	if !slices.Equal(b.rebuilt, b.cells) {
		row.Cells = slices.Clone(b.cells)
	}
	b.batch.Rows = append(b.batch.Rows, row)
}

// text returns one copy of equal texts. Without it each would keep the memory
// of its whole record.
func (b *builder) text(s string) string {
	if s == "" {
		return ""
	}
	kept, ok := b.texts[s]
	if !ok {
		kept = strings.Clone(s)
		b.texts[kept] = kept
	}
	return kept
}
