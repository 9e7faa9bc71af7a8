package intake

import "strings"

// Neutralise returns cell as it may be written to a file that a spreadsheet
// opens: where it would be taken for a formula, an apostrophe goes in front. A
// cell that already has apostrophes before such a beginning gets one more, so
// that [Restore] gives back every cell unchanged.
func Neutralise(cell string) string {
	if risky(cell) {
		return "'" + cell
	}
	return cell
}

// Restore undoes [Neutralise]. It leaves alone what Neutralise cannot have
// written, such as an apostrophe before a letter.
func Restore(cell string) string {
	if strings.HasPrefix(cell, "'") && risky(cell) {
		return cell[1:]
	}
	return cell
}

// risky reports whether cell, apostrophes aside, begins as a formula or as
// white space that a spreadsheet strips before it looks for one.
func risky(cell string) bool {
	rest := strings.TrimLeft(cell, "'")
	return rest != "" && strings.IndexByte("=+-@\t\r", rest[0]) >= 0
}
