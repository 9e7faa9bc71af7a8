package intake

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake/xlsx"
)

// sheetReader makes a batch of one sheet.
type sheetReader struct {
	book    *xlsx.Workbook
	sheet   xlsx.Sheet
	options Options

	builder *builder // nil before the header was read
	columns []column // what the cells of a row are, by place; noColumn for unknown ones
	top     int      // row of the header
	row     record   // reused
	hidden  tally
	numbers tally // ids that are stored as numbers
}

// noColumn is a column without a meaning here.
const noColumn = column(-1)

func (s *sheetReader) read() (*Batch, error) {
	merged, err := s.book.Rows(s.sheet, s.take)
	if err != nil {
		return nil, err
	}
	if s.builder == nil {
		return nil, fileError(CodeEmptyFile, "the sheet %q is empty", s.sheet.Name)
	}
	elsewhere, err := s.sortMerged(merged)
	if err != nil {
		return nil, err
	}
	batch, err := s.builder.finish()
	if err != nil {
		return nil, err
	}
	s.warn(elsewhere)
	return batch, nil
}

// take takes in a row: the first that is not blank names the columns.
func (s *sheetReader) take(row xlsx.Row) error {
	if row.Hidden {
		s.hidden.add(row.Number)
		return nil
	}
	if s.builder != nil {
		s.fill(row)
		return s.builder.add(s.row)
	}
	names := make([]string, len(row.Cells))
	for i, cell := range row.Cells {
		names[i] = s.text(cell)
	}
	if blank(names) {
		return nil
	}
	h, err := parseHeader(names)
	if err != nil {
		return err
	}
	s.top, s.columns = row.Number, make([]column, h.width)
	for i := range s.columns {
		s.columns[i] = noColumn
	}
	for i, from := range h.from {
		if c, ok := columnOf(h.names[i]); ok {
			s.columns[from] = c
		}
	}
	if s.options.DefaultExpiryDays > 0 {
		h = h.with(colExpiresOn)
	}
	s.builder = newBuilder(h, s.options)
	return nil
}

// fill makes the record of a row, as long as the header.
func (s *sheetReader) fill(row xlsx.Row) {
	s.row = record{line: row.Number, cells: s.row.cells[:0]}
	for i, cell := range row.Cells {
		if i >= len(s.columns) {
			if text := s.text(cell); strings.TrimSpace(text) != "" {
				s.row.faults = append(s.row.faults, problem("", CodeWrongNumberOfCells,
					"the cell %s%d holds %q in a column without a name; name the column, or clear the cell", xlsx.ColumnName(i+1), row.Number, text))
				break
			}
			continue
		}
		text, fault := s.value(s.columns[i], cell)
		if fault != nil {
			s.row.faults = append(s.row.faults, *fault)
		}
		if isID(s.columns[i]) && s.columns[i] != colRowID && cell.Kind == xlsx.Number && fault == nil {
			s.numbers.add(row.Number)
		}
		s.row.cells = append(s.row.cells, text)
	}
	for len(s.row.cells) < len(s.columns) {
		s.row.cells = append(s.row.cells, "")
	}
}

// value returns the text of a cell in column c, and why it cannot be taken.
func (s *sheetReader) value(c column, cell xlsx.Cell) (string, *access.Problem) {
	text := s.text(cell)
	refuse := func(code, format string, args ...any) (string, *access.Problem) {
		return text, new(problem(c.String(), code, format, args...))
	}
	switch {
	case c == noColumn, c == colReason, c == colTicket:
		return text, nil
	case cell.Formula && cell.Kind != xlsx.Text && cell.Kind != xlsx.Fault:
		return refuse(CodeFormula, "the cell holds a formula%s; copy the column and paste it as values", resultText(cell, text))
	case cell.Kind != xlsx.Number:
		return text, nil
	case isID(c) && cell.Format.Date:
		return refuse(access.CodeMangledID, "the cell holds the date %s: the spreadsheet took an id for one; format the column as text and enter the id again", text)
	case isID(c) && !isWholeNumber(cell):
		return refuse(access.CodeMangledID, "the cell holds the number %s, in which digits of an id can be lost; format the column as text and enter the id again", text)
	case c == colExpiresOn && cell.Format.Date && len(text) != len("2026-12-31"):
		return refuse(CodeInvalidExpiry, "the cell holds %s and not a day alone; write the day as YYYY-MM-DD", text)
	default:
		return text, nil
	}
}

func resultText(cell xlsx.Cell, text string) string {
	switch {
	case cell.Kind == xlsx.Empty:
		return " of which no result is stored"
	case cell.Format.Date:
		return " whose result is the date " + text + " and no text"
	default:
		return " whose result is " + text + " and no text"
	}
}

// isWholeNumber reports whether a number has all digits that were ever entered,
// leading zeros aside: spreadsheets keep fifteen.
func isWholeNumber(cell xlsx.Cell) bool {
	const kept = 1e15
	n, err := strconv.ParseFloat(cell.Text, 64)
	exponent := strings.ContainsAny(cell.Text, "eE")
	return err == nil && cell.Format.Plain && !exponent && n >= 0 && n < kept && n == math.Trunc(n)
}

// text returns a cell as text: a number with all its digits, a day as
// YYYY-MM-DD, anything else as it is.
func (s *sheetReader) text(cell xlsx.Cell) string {
	if cell.Kind != xlsx.Number {
		return strings.ReplaceAll(cell.Text, "\r\n", "\n")
	}
	n, err := strconv.ParseFloat(cell.Text, 64)
	switch {
	case err != nil:
		return cell.Text
	case cell.Format.Date:
		if s.book.Days1904() {
			n += 1462
		}
		return dateText(n)
	case math.Abs(n) >= 1e21:
		return strconv.FormatFloat(n, 'g', -1, 64)
	}
	digits := strconv.FormatFloat(n, 'f', -1, 64)
	if pad := cell.Format.Digits - len(digits); pad > 0 && isWholeNumber(cell) {
		digits = strings.Repeat("0", pad) + digits
	}
	return digits
}

// dateText writes the number of a day, and the part of it that has passed, to the
// second. A number that is no day comes out as it is.
func dateText(n float64) string {
	const first, end, day = 61, 2_958_466, 24 * 3600 // 1900-03-01, 10000-01-01, seconds
	if n >= 0 && n < 1 {
		n += first
		return clockText(int(math.Round(n*day)) % day)
	}
	seconds := math.Round(n * day)
	if !(seconds >= first*day && seconds < end*day) { // not a number, perhaps
		return strconv.FormatFloat(n, 'g', -1, 64)
	}
	text := serialDay(int(seconds) / day).String()
	if rest := int(seconds) % day; rest > 0 {
		text += " " + clockText(rest)
	}
	return text
}

func clockText(seconds int) string {
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}
