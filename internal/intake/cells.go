package intake

import (
	"slices"
	"strings"

	"github.com/usher-bi/usher/internal/access"
)

// isRemark reports whether a row is there for people only: its first cell begins
// with a number sign and a space. The examples of a template do.
func isRemark(cells []string) bool {
	return len(cells) > 0 && strings.HasPrefix(strings.TrimSpace(cells[0]), "# ")
}

// lostDigits reports whether id looks like a number of which a spreadsheet kept
// the 15 digits that it keeps. One id in ten of 16 digits looks like that too,
// so it is worth a warning and no more.
func lostDigits(id string) bool {
	const kept = 15
	return len(id) > kept && strings.Trim(id[kept:], "0") == "" && strings.Trim(id, "0123456789") == ""
}

// spoiled returns what is wrong with a row of which some cells are at fault:
// what else would be said of those cells is none of the sender's.
func spoiled(problems, faults []access.Problem) []access.Problem {
	if faults == nil {
		return problems
	}
	problems = slices.DeleteFunc(problems, func(p access.Problem) bool {
		return slices.ContainsFunc(faults, func(f access.Problem) bool { return f.Column == p.Column })
	})
	return append(problems, faults...)
}

// warnOfCells remarks on what is no error and may still be a mistake.
func (b *builder) warnOfCells() {
	if b.rounded.rows > 0 {
		b.warnf("rows with an id of more than 15 digits that ends in zeros: %d, the first on line %d; a spreadsheet keeps 15 digits of a number, so make sure that these ids are whole",
			b.rounded.rows, b.rounded.line)
	}
	if b.remarks.rows > 0 {
		b.warnf("rows that begin with \"# \" are remarks and not submitted: %d, the first on line %d", b.remarks.rows, b.remarks.line)
	}
}
