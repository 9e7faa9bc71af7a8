package intake

import (
	"encoding/binary"
	"iter"

	"github.com/usher-bi/usher/internal/access"
)

// columns are rows in little memory: what they have in common is kept once, and
// what follows from the rest is not kept.
type columns struct {
	changes access.Changes
	lines   []int32
	ids     textColumn      // empty: made from the line
	reasons textColumn      //
	tickets textColumn      //
	cells   textColumn      // in the form of packCells; empty: made from the rest
	repeats map[int32]int32 // row → line of the first row with the same change
	texts   texts
}

// Len returns the number of sound rows, repeats of earlier ones among them.
func (b *Batch) Len() int { return len(b.rows.lines) }

// Row returns one of the sound rows, counted from 0. Its texts share memory with
// the batch.
func (b *Batch) Row(i int) Row {
	c := &b.rows
	row := Row{
		Line: int(c.lines[i]), RowID: c.texts.get(c.ids.at(i)), Change: c.changes.At(i),
		Reason: c.texts.get(c.reasons.at(i)), Ticket: c.texts.get(c.tickets.at(i)),
		Cells: unpackCells(c.texts.get(c.cells.at(i)), len(b.Header)), DuplicateOf: int(c.repeats[small(i)]),
	}
	if row.RowID == "" {
		row.RowID = lineID(row.Line)
	}
	return row
}

// Rows yields the sound rows with their places.
func (b *Batch) Rows() iter.Seq2[int, Row] {
	return func(yield func(int, Row) bool) {
		for i := range b.Len() {
			if !yield(i, b.Row(i)) {
				return
			}
		}
	}
}

// Changes returns what the sound rows ask for, in their order. They must not be
// added to.
func (b *Batch) Changes() *access.Changes { return &b.rows.changes }

// Distinct returns the places of the sound rows that repeat no other one; nil
// stands for all of them.
func (b *Batch) Distinct() []int32 {
	if len(b.rows.repeats) == 0 {
		return nil
	}
	out := make([]int32, 0, b.Len()-len(b.rows.repeats))
	for i := range b.Len() {
		if _, repeat := b.rows.repeats[small(i)]; !repeat {
			out = append(out, small(i))
		}
	}
	return out
}

// retain drops the rows for which keep is false.
func (c *columns) retain(keep func(row int) bool) {
	n, repeats := 0, map[int32]int32{}
	for i := range c.lines {
		if !keep(i) {
			continue
		}
		if first, repeat := c.repeats[small(i)]; repeat {
			repeats[small(n)] = first
		}
		c.lines[n], c.changes.Cells[n] = c.lines[i], c.changes.Cells[i]
		for _, column := range []*textColumn{&c.ids, &c.reasons, &c.tickets, &c.cells} {
			column.set(n, column.at(i))
		}
		n++
	}
	c.lines, c.changes.Cells, c.repeats = c.lines[:n], c.changes.Cells[:n], repeats
	for _, column := range []*textColumn{&c.ids, &c.reasons, &c.tickets, &c.cells} {
		*column = (*column)[:min(n, len(*column))]
	}
}

// packCells appends cells as one text: each after its length.
func packCells(dst []byte, cells []string) []byte {
	for _, cell := range cells {
		dst = binary.AppendUvarint(dst, uint64(len(cell)))
		dst = append(dst, cell...)
	}
	return dst
}

// unpackCells returns n cells of a text, or nil of an empty one.
func unpackCells(packed string, n int) []string {
	if packed == "" {
		return nil
	}
	cells := make([]string, n)
	for i := range cells {
		length, shift := 0, 0
		for {
			digit := packed[0]
			packed = packed[1:]
			length |= int(digit&0x7f) << shift
			if digit < 0x80 {
				break
			}
			shift += 7
		}
		cells[i], packed = packed[:length], packed[length:]
	}
	return cells
}

// small narrows a place or a line: millions of them are kept.
func small(n int) int32 {
	return int32(n) //nolint:gosec // rows are counted against Options.MaxRows, bytes against DefaultMaxBytes
}
