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
	packed  []byte   // of the current record; reused
	ids     ids
	pairs   pairs
	shapes  shapes
	texts   map[string]text // of reasons and tickets, so that equal ones are kept once
	jobs    map[string]bool // that the file is a result of
	uids    tally
	remarks tally // rows that were taken for remarks
	rounded tally // rows with an id whose last digits a spreadsheet may have lost
}

// tally counts rows and remembers the first.
type tally struct{ rows, line int }

func (t *tally) add(line int) { *t = tally{rows: t.rows + 1, line: cmp.Or(t.line, line)} }

func newBuilder(h header, o Options) *builder {
	o.MaxRows = cmp.Or(o.MaxRows, DefaultMaxRows)
	batch := &Batch{Header: h.names, defaultDays: o.DefaultExpiryDays, faults: newFaults(o)}
	return &builder{
		options: o,
		header:  h,
		batch:   batch,
		ids:     newIDs(batch),
		pairs:   newPairs(),
		shapes:  shapes{known: map[shapeKey]*shape{}},
		texts:   map[string]text{},
		jobs:    map[string]bool{},
	}
}

// current is the record that is being added, as far as it has come.
type current struct {
	Row

	own   bool        // RowID is nobody else's
	plain bool        // cells can be made from the rest
	sound bool        // there is nothing wrong with the change
	cell  access.Cell // of a sound change
}

// add takes in one record. Its error means that the file is to be refused.
func (b *builder) add(r record) error {
	if !r.broken && r.faults == nil && blank(r.cells) {
		return nil
	}
	if !r.broken && !r.exact && isRemark(r.cells) {
		b.remarks.add(r.line)
		return nil
	}
	if b.batch.Total() == b.options.MaxRows {
		return errTooManyRows(b.options.MaxRows)
	}
	if length := lengthOf(r.cells); length > maxRecord {
		return errTooLong(r.line)
	}
	b.noteJobs(r.cells)
	b.cells = b.header.cells(b.cells[:0], r.cells)
	row := current{Row: Row{Line: r.line}}
	problems := b.checkRowID(&row)
	switch {
	case r.broken:
		problems = append(problems, b.quoteProblem(len(r.cells)))
	case r.unread:
		problems = append(problems, r.faults...)
	case len(r.cells) < b.header.width, !blank(r.cells[b.header.width:]):
		problems = append(problems, problem("", CodeWrongNumberOfCells,
			"the row has %d cells and the header %d; quote a cell that holds the delimiter, and keep empty cells at the end", len(r.cells), b.header.width))
	default:
		problems = append(problems, spoiled(b.readNoting(&row), r.faults)...)
	}
	if problems == nil {
		problems = b.pairs.check(&row, &b.batch.rows)
	}
	return b.keep(row, problems)
}

func errTooManyRows(most int) error {
	return fileError(CodeTooManyRows, "the file has more than %d rows, the most that one job takes; split it", most)
}

// lengthOf returns the bytes of all cells.
func lengthOf(cells []string) (n int) {
	for _, cell := range cells {
		n += len(cell)
	}
	return n
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

// checkRowID reads the id and reports one that names another row already, or
// cannot be shown.
func (b *builder) checkRowID(row *current) []access.Problem {
	const longest = 256
	column := colRowID.String()
	id := b.header.layout.get(b.cells, colRowID)
	if strings.TrimSpace(id) != "" {
		row.RowID = id
	}
	first, taken := b.ids.lineOf(row.RowID)
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
	row.own = true
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

// readNoting is read, and notes where the default expiry was filled in: no other
// cell is changed.
func (b *builder) readNoting(row *current) []access.Problem {
	given := b.header.layout.get(b.cells, colExpiresOn)
	problems := b.read(row)
	if b.header.layout.get(b.cells, colExpiresOn) != given {
		b.batch.filled = b.batch.filled.with(row.Line)
	}
	return problems
}

// read fills in row from its cells and returns what is wrong with it.
func (b *builder) read(row *current) []access.Problem {
	get := func(c column) string { return b.header.layout.get(b.cells, c) }
	key := b.shapes.keyOf(b.header.layout, b.cells)
	known := b.shapes.find(key)
	if known != nil {
		row.Change, row.plain = known.change, known.plain
		b.header.layout.set(b.cells, colExpiresOn, known.expires)
	} else {
		row.Change = access.Change{
			Operation: operationOf(get(colAction)),
			Principal: access.Principal{Type: principalTypeOf(get(colPrincipalType))},
			Resource:  access.Resource{Type: resourceTypeOf(get(colResourceType))},
			Terms:     access.Terms{Role: roleOf(get(colRole))},
		}
	}
	row.Change.Principal.ID, row.Change.Resource.ID = get(colPrincipal), get(colResourceID)
	row.Reason, row.Ticket = get(colReason), get(colTicket)
	if row.Change.Principal.Type == access.User && access.LooksLikeUID(row.Change.Principal.ID) {
		b.uids.add(row.Line)
	}
	if lostDigits(row.Change.Principal.ID) || lostDigits(row.Change.Resource.ID) {
		b.rounded.add(row.Line)
	}
	if known != nil {
		if row.cell, row.sound = b.batch.rows.changes.Find(known.kind, row.Change); row.sound {
			return nil
		}
		return row.Change.Problems(b.options.Today)
	}
	bad := b.readExpiry(&row.Row)
	problems := row.Change.Problems(b.options.Today)
	if bad != nil { // then the zero expiry is none of the sender's
		problems = slices.DeleteFunc(problems, func(p access.Problem) bool { return p.Column == colExpiresOn.String() })
		problems = append(problems, *bad)
	}
	if problems == nil {
		row.cell, row.sound = b.batch.rows.changes.Cell(row.Change), true
		row.plain = b.shapes.add(shape{key: key, change: row.Change, kind: row.cell.Kind}, b.header.layout, b.cells)
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

// keep files the row under the sound or the invalid ones.
func (b *builder) keep(row current, problems []access.Problem) error {
	if problems != nil {
		return b.refuse(row, problems)
	}
	c, n := &b.batch.rows, b.batch.Len()
	if row.own {
		c.ids.set(n, c.texts.keep(row.RowID))
		b.ids.add(row.RowID, small(n+1))
	}
	c.reasons.set(n, b.text(row.Reason))
	c.tickets.set(n, b.text(row.Ticket))
	if !row.plain || !b.header.plain(b.cells, row) {
		b.packed = packCells(b.packed[:0], b.cells)
		c.cells.set(n, c.texts.keep(string(b.packed)))
	}
	if row.DuplicateOf != 0 {
		if c.repeats == nil {
			c.repeats = map[int32]int32{}
		}
		c.repeats[small(n)] = small(row.DuplicateOf)
	}
	c.lines, c.changes.Cells = append(c.lines, small(row.Line)), append(c.changes.Cells, row.cell)
	return nil
}

// refuse files the row under the invalid ones. Its error is that of overfull.
func (b *builder) refuse(row current, problems []access.Problem) error {
	if row.own {
		b.ids.addInvalid(row.RowID, row.Line)
	}
	if b.batch.faults.lists(b.batch) || !b.options.DropInvalid {
		row.RowID = strings.Clone(row.RowID)
	}
	for _, p := range problems {
		b.batch.list(RowError{Line: row.Line, Column: p.Column, RowID: row.RowID, Code: p.Code, Message: p.Message})
	}
	b.batch.refuse(InvalidRow{Row: row.Row, Problem: problems[0]}, func(Row) []string { return slices.Clone(b.cells) })
	return b.batch.overfull()
}

// mostTexts is how many different texts are looked for before they are kept once
// more: to look for them takes more memory than they do.
const mostTexts = 1 << 16

// text keeps a reason or a ticket.
func (b *builder) text(s string) text {
	if s == "" {
		return 0
	}
	kept, ok := b.texts[s]
	if !ok {
		kept = b.batch.rows.texts.keep(s)
		if len(b.texts) < mostTexts {
			b.texts[b.batch.rows.texts.get(kept)] = kept
		}
	}
	return kept
}
