package intake

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// header is what the first record of a file says about the others.
type header struct {
	names  []string // for Batch.Header
	from   []int    // from[i] is where the cell under names[i] is in a record
	width  int      // how many cells a record has
	jobs   []int    // where a record names the jobs that it is a result of
	others []int    // places under names that mean nothing here
	layout Layout
}

// named returns h with the names of its columns.
func (h header) named() header {
	h.layout, h.others = LayoutOf(h.names), nil
	for i := range h.names {
		if !slices.Contains(h.layout.at[:], i) {
			h.others = append(h.others, i)
		}
	}
	return h
}

// mostColumns bounds the columns of a file, because each wrong row has a cell for
// each.
const mostColumns = 1000

// parseHeader reads the first record.
func parseHeader(record []string) (header, error) {
	h := header{width: len(record)}
	for h.width > 0 && plainName(record[h.width-1]) == "" {
		h.width-- // what a spreadsheet leaves of emptied columns
	}
	if h.width > mostColumns {
		return header{}, fileError(CodeTooManyFields, "the first line names %d columns, more than %d; leave out those that are not needed", h.width, mostColumns)
	}
	named := map[column]string{}
	for i, name := range record[:h.width] {
		name = Restore(strings.TrimLeft(name, "\ufeff"))
		if plain := plainName(name); strings.HasPrefix(plain, resultPrefix) {
			if plain == resultJob {
				h.jobs = append(h.jobs, i)
			}
			continue
		}
		if c, ok := columnOf(name); ok {
			if other, twice := named[c]; twice {
				return header{}, fileError(CodeDuplicateColumn, "the columns %q and %q both name the %s; remove one", other, name, c)
			}
			named[c] = name
		}
		h.names = append(h.names, name)
		h.from = append(h.from, i)
	}
	h = h.named()
	return h, h.missing()
}

// missing returns an error that names the required columns which h lacks.
func (h header) missing() error {
	var names []string
	for _, c := range required {
		if h.layout.at[c] < 0 {
			names = append(names, c.String())
		}
	}
	if names == nil {
		return nil
	}
	title := ""
	if len(h.names) == 1 {
		title = "; if that is a title, remove it, so that the columns are named first"
	}
	return fileError(CodeMissingColumn, "the first line does not name the column %s; found %s%s; the columns are %s",
		strings.Join(names, ", "), quotedList(h.names), title, strings.Join(columnNames[:], ", "))
}

// with returns h with column c, blank in every record, unless the file has it.
// What is filled in there then stands in result files too.
func (h header) with(c column) header {
	if h.layout.at[c] >= 0 {
		return h
	}
	h.names = append(h.names, c.String())
	h.from = append(h.from, math.MaxInt)
	return h.named()
}

// unknown returns the names of columns that mean nothing to intake.
func (h header) unknown() []string {
	var names []string
	for _, name := range h.names {
		if _, ok := columnOf(name); !ok {
			names = append(names, name)
		}
	}
	return names
}

// cells appends to dst the cells of a record under h.names, as many as there
// are, and blanks for the rest.
func (h header) cells(dst, record []string) []string {
	for _, i := range h.from {
		cell := ""
		if i < len(record) {
			cell = Restore(record[i])
		}
		dst = append(dst, cell)
	}
	return dst
}

// quotedList quotes names for a message, and cuts off what is out of measure.
func quotedList(names []string) string {
	const most, longest = 20, 40
	if len(names) == 0 {
		return "nothing"
	}
	var out []string
	for _, name := range names[:min(len(names), most)] {
		if runes := []rune(name); len(runes) > longest {
			name = string(runes[:longest]) + "…"
		}
		out = append(out, fmt.Sprintf("%q", name))
	}
	if more := len(names) - most; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}
