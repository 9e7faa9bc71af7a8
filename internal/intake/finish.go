package intake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// finish completes the batch once all records are in.
func (b *builder) finish() (*Batch, error) {
	if b.batch.Total() == 0 {
		if b.remarks.rows > 0 {
			return nil, fileError(CodeNoRows, "the file names columns but has no rows: those that begin with \"# \" are remarks")
		}
		return nil, fileError(CodeNoRows, "the file names columns but has no rows")
	}
	b.nameRows()
	if err := b.dropDisputed(); err != nil {
		return nil, err
	}
	b.batch.rows.changes.Seal()
	b.batch.ResultOf = slices.Sorted(maps.Keys(b.jobs))
	if b.batch.Encoding == encodingGB18030 {
		b.warnf("the file is not UTF-8 and was read as GB18030; if names in it look wrong, save it as CSV UTF-8")
	}
	if unknown := b.header.unknown(); unknown != nil {
		b.warnf("columns without a meaning here are carried through to the result file: %s", quotedList(unknown))
	}
	if b.uids.rows > 0 {
		b.warnf("rows with a principal of 16 digits: %d, the first on line %d; make sure that these are Quick BI user ids and not Alibaba Cloud UIDs",
			b.uids.rows, b.uids.line)
	}
	b.warnOfCells()
	return b.batch, nil
}

// dropDisputed moves the rows that a later row contradicts, and their repeats,
// to the invalid ones: which of the two is meant only the sender knows, so
// neither may be sent. The error of the later row names both.
func (b *builder) dropDisputed() (err error) {
	if len(b.pairs.disputed) == 0 {
		return nil
	}
	b.batch.rows.retain(func(i int) bool {
		line := int(b.batch.rows.lines[i])
		by, disputed := b.pairs.disputed[cmp.Or(int(b.batch.rows.repeats[small(i)]), line)]
		if disputed && err == nil {
			row := b.batch.Row(i)
			row.DuplicateOf = 0
			b.batch.refuse(InvalidRow{
				Row: row, Problem: problem(colAction.String(), CodeConflictingChange, "line %d asks for something else with the same pair; keep one of the two", by),
			}, b.header.layout.cellsOf)
			err = b.batch.overfull()
		}
		return !disputed
	})
	slices.SortFunc(b.batch.Invalid, func(a, b InvalidRow) int { return cmp.Compare(a.Line, b.Line) })
	return err
}

func (b *builder) warnf(format string, args ...any) {
	b.batch.Warnings = append(b.batch.Warnings, fmt.Sprintf(format, args...))
}

// nameRows gives an id to each row whose sender gave none.
func (b *builder) nameRows() {
	for i := range b.batch.Len() {
		b.nameRow(i)
	}
	for i := range b.batch.Invalid {
		if row := &b.batch.Invalid[i]; row.RowID == "" {
			row.RowID = b.freeID(row.Line)
		}
	}
	for i := range b.batch.Errors {
		if e := &b.batch.Errors[i]; e.RowID == "" {
			e.RowID = b.freeID(e.Line)
		}
	}
}

// nameRow gives an id to a sound row if its sender gave none and the one made from
// its line is another row's.
func (b *builder) nameRow(i int) {
	c := &b.batch.rows
	if b.ids.index.used == 0 || c.ids.at(i) != 0 {
		return
	}
	line := int(c.lines[i])
	id := b.freeID(line)
	if isLineID(id, line) {
		return
	}
	if c.cells.at(i) == 0 { // only a plain id is known not to be the sender's
		c.cells.set(i, c.texts.keep(string(packCells(nil, b.header.layout.AppendCells(nil, b.batch.Row(i))))))
	}
	c.ids.set(i, c.texts.keep(id))
}

// freeID returns an id for the row on line that is nobody else's.
func (b *builder) freeID(line int) string {
	id := lineID(line)
	for n := 2; ; n++ {
		if _, taken := b.ids.lineOf(id); !taken {
			return id
		}
		id = lineID(line) + "-" + strconv.Itoa(n)
	}
}

// lineID is the id of a row on the given line whose sender gave none.
func lineID(line int) string { return linePrefix + strconv.Itoa(line) }

const linePrefix = "line-"

// isLineID reports whether id is that of a row on the given line.
func isLineID(id string, line int) bool {
	number, ok := strings.CutPrefix(id, linePrefix)
	return ok && number == strconv.Itoa(line)
}
