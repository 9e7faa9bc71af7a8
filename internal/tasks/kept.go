package tasks

import (
	"encoding/binary"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// kept are rows at hand in little memory: each principal, resource and kind of
// change once, and the texts of a row in one piece, among those of others. The zero
// value holds none.
type kept struct {
	changes access.Changes
	unsure  map[int32]bool
	pieces  []*strings.Builder
	places  []uint64 // of each row: the number of a piece, and where in it the row begins
	packed  []byte   // the row that is being added
}

const (
	keptPieceBits = 20
	keptPiece     = 1 << keptPieceBits // bytes; a longer row has a piece of its own
)

// add appends a row that is to be sent. There must be fewer than 2³¹.
func (k *kept) add(r store.RetryRow) {
	if r.Unknown {
		if k.unsure == nil {
			k.unsure = map[int32]bool{}
		}
		k.unsure[int32(len(k.places))] = true //nolint:gosec // fewer than 2³¹
	}
	k.changes.Add(r.Change)
	k.packed = binary.AppendUvarint(k.packed[:0], uint64(r.Line)) //nolint:gosec // lines count from 1
	k.text(r.RowID)
	k.text(r.Reason)
	k.text(r.Ticket)
	cells := 0 // of none; else one more than there are
	if r.Cells != nil {
		cells = len(r.Cells) + 1
	}
	k.packed = binary.AppendUvarint(k.packed, uint64(cells))
	for _, cell := range r.Cells {
		k.text(cell)
	}
	k.keep()
}

func (k *kept) text(s string) {
	k.packed = append(binary.AppendUvarint(k.packed, uint64(len(s))), s...)
}

// keep puts what is packed into a piece.
func (k *kept) keep() {
	n := len(k.pieces)
	if n == 0 || k.pieces[n-1].Len()+len(k.packed) > keptPiece {
		piece := new(strings.Builder)
		piece.Grow(max(keptPiece, len(k.packed)))
		k.pieces = append(k.pieces, piece)
		n++
	}
	last := k.pieces[n-1]
	k.places = append(k.places, uint64(n-1)<<keptPieceBits|uint64(last.Len())) //nolint:gosec // no negative numbers
	last.Write(k.packed)
}

// seal gives up the memory that only add needs.
func (k *kept) seal() {
	k.changes.Seal()
	k.packed = nil
}

// Columns implements [Rows].
func (k *kept) Columns() Columns {
	return Columns{Len: len(k.places), Changes: &k.changes, Unsure: k.unsure}
}

// Row implements [Rows].
func (k *kept) Row(i int) SubmittedRow {
	place := k.places[i]
	p := packedRow(k.pieces[place>>keptPieceBits].String()[place&(keptPiece-1):])
	row := store.Row{Line: p.number(), RowID: p.text(), Change: k.changes.At(i), Reason: p.text(), Ticket: p.text()}
	if n := p.number(); n > 0 {
		row.Cells = make([]string, n-1)
		for i := range row.Cells {
			row.Cells[i] = p.text()
		}
	}
	return SubmittedRow{Row: row, Unsure: k.unsure[int32(i)]} //nolint:gosec // fewer than 2³¹
}

// packedRow is what is left of a row while it is taken apart.
type packedRow string

func (p *packedRow) number() int {
	n, size := binary.Uvarint([]byte((*p)[:min(binary.MaxVarintLen64, len(*p))]))
	*p = (*p)[size:]
	return int(n) //nolint:gosec // it was one
}

func (p *packedRow) text() string {
	n := p.number()
	s := (*p)[:n]
	*p = (*p)[n:]
	return string(s)
}
