package tasks

import (
	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// Rows are the rows of a submission. They are read several times, and need not
// be in memory as they are returned.
type Rows interface {
	// Row returns the row at a place, counted from 0.
	Row(i int) SubmittedRow

	// Columns says what all rows are about.
	Columns() Columns
}

// Columns is what the plan for a submission is made of.
type Columns struct {
	Len     int             // rows
	Changes *access.Changes // of as many rows as are asked about by Open, at their places
	Open    []int32         // places of the rows that are to be sent, in ascending order; nil for all of Changes
	Unsure  map[int32]bool  // places of those that were sent before, and nobody knows what became of them
}

// SubmittedRow is one row of a submission. One that is settled is recorded
// with its exception and never sent: an invalid row, or a duplicate.
type SubmittedRow struct {
	store.Row

	Settled *store.Exception
	Unsure  bool // it was sent before, and nobody knows what became of it
}

// RowList is Rows at hand.
type RowList []SubmittedRow

// Row implements [Rows].
func (l RowList) Row(i int) SubmittedRow { return l[i] }

// Columns implements [Rows].
func (l RowList) Columns() Columns {
	c := Columns{Len: len(l), Changes: &access.Changes{}, Open: make([]int32, 0, len(l)), Unsure: map[int32]bool{}}
	for i, row := range l {
		c.Changes.Add(row.Change)
		place := int32(i)
		if row.Settled == nil {
			c.Open = append(c.Open, place)
		}
		if row.Unsure {
			c.Unsure[place] = true
		}
	}
	c.Changes.Seal()
	return c
}
