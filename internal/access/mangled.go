package access

import (
	"regexp"
	"strings"
)

// errorValue matches what spreadsheets show in place of a result, and of a
// number for which the column is too narrow.
var errorValue = regexp.MustCompile(`^(#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|FIELD!|BLOCKED!|CONNECT!|BUSY!|UNKNOWN!|GETTING_DATA)|Err:[0-9]{3}|#{3,})$`)

// manglings are the forms in which a spreadsheet writes what it did not take
// for text.
var manglings = []struct {
	form *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`^[0-9]([.,][0-9]+)?[eE]\+[0-9]+$|^[0-9][.,][0-9]+[eE]-[0-9]+$`), "a number"},
	{regexp.MustCompile(`^[0-9]+\.[0-9]+$`), "a number"},
	{regexp.MustCompile(`^[0-9]{4}([-/.])[0-9]{1,2}([-/.])[0-9]{1,2}( [0-9:]+)?$|^[0-9]{1,2}([-/.])[0-9]{1,2}([-/.])([0-9]{2}|[0-9]{4})$`), "a date"},
	{regexp.MustCompile(`(?i)^([0-9]{1,2}-)?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(-[0-9]{1,4})?$|^([0-9]{4}年)?[0-9]{1,2}月([0-9]{1,2}日)?$`), "a date"},
	{regexp.MustCompile(`^[0-9]{1,3}:[0-9]{2}(:[0-9]{2})?$`), "a time"},
	{regexp.MustCompile(`^(TRUE|FALSE)$`), "a truth value"},
	{errorValue, "an error value"},
	{regexp.MustCompile(`^=("[^"]*"|[A-Za-z.]+\(.*)$`), "a formula"},
}

// mangled returns what a spreadsheet has turned id into, and "" for an id that
// none has touched. Ids are plain letters, digits and dashes, so that few are
// looked at closely.
func mangled(id string) string {
	const longestDate = len("2026-12-31")
	short := len(id) <= longestDate && (strings.Contains(id, "-") || id[0] >= 'A' && id[0] <= 'z')
	if !short && !strings.ContainsAny(id, "+/.,:#=") && !strings.Contains(id, "月") {
		return ""
	}
	for _, m := range manglings {
		if m.form.MatchString(id) {
			return m.what
		}
	}
	return ""
}

// isTypography reports whether r is what a word processor or an input method
// writes where a plain character was meant: curly quotes, long dashes, and
// letters and digits of full width.
func isTypography(r rune) bool {
	return r >= '\u2010' && r <= '\u201f' || r >= '\uff01' && r <= '\uff5e'
}
