package intake

import (
	"github.com/usher-bi/usher/internal/intake/xlsx"
)

// NotesPrefix begins the name of a sheet that is there for people only: of
// others it is said that they were not read.
const NotesPrefix = "#"

// sortMerged returns the merged areas that mean nothing, and refuses the others:
// only the first of merged cells has a value, and which of the rest are meant to
// have it nobody can tell.
func (s *sheetReader) sortMerged(areas []xlsx.Area) (elsewhere []string, err error) {
	var bad []string
	for _, area := range areas {
		if area.Bottom >= s.top && s.meant(area) {
			bad = append(bad, area.Name)
		} else {
			elsewhere = append(elsewhere, area.Name)
		}
	}
	if bad != nil {
		return nil, fileError(CodeMergedCells, "cells are merged, so that only the first of them has a value: %s; unmerge them and fill in each", quotedList(bad))
	}
	return elsewhere, nil
}

// meant reports whether an area holds a cell of a column that means something.
func (s *sheetReader) meant(area xlsx.Area) bool {
	for i := area.Left - 1; i < min(area.End, len(s.columns)); i++ {
		if s.columns[i] != noColumn {
			return true
		}
	}
	return false
}

// warn says what of the workbook was not read, and what may have been lost
// before.
func (s *sheetReader) warn(merged []string) {
	b := s.builder
	if s.numbers.rows > 0 {
		b.warnf("ids that are stored as numbers: %d, the first in row %d; zeros that such an id began with are lost, so format the column as text if there were any",
			s.numbers.rows, s.numbers.line)
	}
	if s.hidden.rows > 0 {
		b.warnf("hidden rows that were not read: %d, the first is row %d; show them to have them submitted", s.hidden.rows, s.hidden.line)
	}
	if merged != nil {
		b.warnf("merged cells have one value, that of the first: %s", quotedList(merged))
	}
	var others []string
	for _, sheet := range s.book.Sheets() {
		if sheet.Name != s.sheet.Name && sheet.Name[:min(1, len(sheet.Name))] != NotesPrefix {
			others = append(others, sheet.Name)
		}
	}
	if others != nil {
		b.warnf("the sheet %q was read; not read: %s", s.sheet.Name, quotedList(others))
	}
}
