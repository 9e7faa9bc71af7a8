package xlsx

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// position reads the name of a cell, such as AB12.
func position(ref string) (column, row int, ok bool) {
	i := 0
	for ; i < len(ref) && ref[i] >= 'A' && ref[i] <= 'Z' && column <= maxColumns; i++ {
		column = column*26 + int(ref[i]-'A') + 1
	}
	row, err := strconv.Atoi(ref[i:])
	return column, row, err == nil && column > 0 && row > 0
}

// ColumnName returns the letters of a column that is counted from 1.
func ColumnName(column int) string {
	var name []byte
	for ; column > 0; column = (column - 1) / 26 {
		name = append([]byte{byte('A' + (column-1)%26)}, name...)
	}
	return string(name)
}

// areaOf reads the name of an area of more than one cell.
func areaOf(ref string) (Area, bool) {
	from, to, _ := strings.Cut(ref, ":")
	left, top, ok := position(from)
	end, bottom, ok2 := position(to)
	return Area{Name: ref, Top: top, Left: left, Bottom: bottom, End: end}, ok && ok2 && (left < end || top < bottom)
}

var escape = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape replaces what stands for characters that XML cannot hold. A NUL, which
// no text may hold, stays as it is written.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escape.ReplaceAllStringFunc(s, func(code string) string {
		n, err := strconv.ParseUint(code[2:6], 16, 16)
		if err != nil || n == 0 || utf16.IsSurrogate(rune(n)) {
			return code
		}
		return string(rune(n))
	})
}
