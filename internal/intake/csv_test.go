package intake_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
)

func TestReadCSVReadsEveryColumn(t *testing.T) {
	t.Parallel()
	file := "row_id,action,principal,principal_type,resource_type,resource_id,role,expires_on,reason,ticket\n" +
		"hr-17,grant,46e53a5ba4b6,user,qa_resource,6b407e50e774,,2027-01-01,joiner,HR-8812\n" +
		"hr-18,revoke,de4bc5f94291,user,dataset,95296e95-ca89,,,leaver,HR-8830\n"
	got, err := intake.ReadCSV(strings.NewReader(file), options)
	if err != nil {
		t.Fatal(err)
	}
	second := revoke("de4bc5f94291", "95296e95-ca89")
	second.Resource.Type = access.Dataset
	sum := sha256.Sum256([]byte(file))
	equal(t, "header", strings.Split(strings.SplitN(file, "\n", 2)[0], ","), got.Header)
	equal(t, "rows", []intake.Row{
		{Line: 2, RowID: "hr-17", Change: grant("46e53a5ba4b6", "6b407e50e774"), Reason: "joiner", Ticket: "HR-8812"},
		{Line: 3, RowID: "hr-18", Change: second, Reason: "leaver", Ticket: "HR-8830"},
	}, rows(got))
	equal(t, "how it was read", [3]string{hex.EncodeToString(sum[:]), "utf-8", ","}, [3]string{got.SHA256, got.Encoding, got.Delimiter})
	if got.Invalid != nil || got.Errors != nil || got.Warnings != nil || got.ResultOf != nil {
		t.Errorf("a plain file has more to say: %+v", got)
	}
}

func TestReadCSVTakesColumnsAsTheyCome(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]string{
		"any order":       {"expires_on,resource_id,resource_type,principal,action", "2027-01-01,r,qa_resource,u,grant"},
		"any case":        {" ACTION ,Principal,Resource_Type,resource_ID\u00a0,Expires_On", "grant,u,qa_resource,r,2027-01-01"},
		"alias":           {"action,User_ID,resource_type,resource_id,expires_on", "grant,u,qa_resource,r,2027-01-01"},
		"values in case":  {minimal, " GRANT,u,Qa_Resource ,r,2027-01-01"},
		"blank lines":     {"", minimal, "", ",,,,", "  ", "grant,u,qa_resource,r,2027-01-01", ""},
		"trailing cells":  {minimal + ",,", "grant,u,qa_resource,r,2027-01-01,,", "", ""},
		"longer rows":     {minimal, "grant,u,qa_resource,r,2027-01-01,, ,"},
		"quoted":          {`"action","principal","resource_type","resource_id","expires_on"`, `"grant","u","qa_resource","r","2027-01-01"`},
		"semicolons":      {strings.ReplaceAll(minimal, ",", ";"), "grant;u;qa_resource;r;2027-01-01"},
		"tabs":            {strings.ReplaceAll(minimal, ",", "\t"), "grant\tu\tqa_resource\tr\t2027-01-01"},
		"bars":            {strings.ReplaceAll(minimal, ",", "|"), "grant|u|qa_resource|r|2027-01-01"},
		"decoys":          {`"a,b,c,d,e,f,g,h";` + strings.ReplaceAll(minimal, ",", ";"), "x;grant;u;qa_resource;r;2027-01-01"},
		"principal type":  {minimal + ",principal_type", "grant,u,qa_resource,r,2027-01-01, User "},
		"no type":         {minimal + ",principal_type", "grant,u,qa_resource,r,2027-01-01,"},
		"result columns":  {"result__line,Result__Status," + minimal + ",result__x", "2,failed,grant,u,qa_resource,r,2027-01-01,y"},
		"apostrophes":     {"'=x," + minimal, "'=1,grant,u,qa_resource,r,2027-01-01"},
		"CRLF":            {minimal + "\r", "grant,u,qa_resource,r,2027-01-01\r"},
		"two CRs":         {minimal + "\r\r", "grant,u,qa_resource,r,2027-01-01\r\r"},
		"byte order mark": {"\ufeff" + minimal, "grant,u,qa_resource,r,2027-01-01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := read(t, file...)
			equal(t, "changes", []access.Change{grant("u", "r")}, changes(b))
			equal(t, "errors", nil, b.Errors)
		})
	}
}

func TestReadCSVNeedsNoLastLineEnd(t *testing.T) {
	t.Parallel()
	b := readBytes(t, []byte(minimal+"\ngrant,u,qa_resource,r,2027-01-01"))
	equal(t, "changes", []access.Change{grant("u", "r")}, changes(b))
}

func TestReadCSVReportsEveryProblemOfARow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, header string
		rows         []string
		want         []string // "line column code"
	}{
		{"unknown action", minimal, []string{"add,u,qa_resource,r,"}, []string{"2 action unknown_action"}},
		{"nothing in it", minimal, []string{",,,,2027-01-01"}, []string{
			"2 action missing_value", "2 principal missing_value", "2 resource_type missing_value", "2 resource_id missing_value",
		}},
		{"space around an id", minimal, []string{"grant, u,qa_resource,r ,2027-01-01"}, []string{"2 principal invalid_id", "2 resource_id invalid_id"}},
		{"comma in an id", minimal, []string{`grant,"u,v",qa_resource,r,2027-01-01`}, []string{"2 principal invalid_id"}},
		{"mangled id", minimal, []string{"grant,7.39E+10,qa_resource,r,2027-01-01"}, []string{"2 principal excel_mangled_id"}},
		{"other resource type", minimal, []string{"grant,u,Dashboards,r,2027-01-01"}, []string{"2 resource_type unknown_resource_type"}},
		{"group", minimal + ",principal_type", []string{"grant,u,qa_theme,r,2027-01-01,group"}, []string{"2 principal_type principal_type_not_supported"}},
		{"role", minimal + ",role", []string{"grant,u,qa_theme,r,2027-01-01,view"}, []string{"2 role role_not_allowed"}},
		{"no expiry", minimal, []string{"grant,u,qa_theme,r,"}, []string{"2 expires_on missing_expiry"}},
		{"no expiry column", "action,principal,resource_type,resource_id", []string{"grant,u,qa_theme,r"}, []string{"2 expires_on missing_expiry"}},
		{"expired", minimal, []string{"grant,u,qa_theme,r,2026-11-21"}, []string{"2 expires_on expiry_in_the_past"}},
		{"ends today", minimal, []string{"grant,u,qa_theme,r,2026-11-22"}, nil},
		{"other date", minimal, []string{"grant,u,qa_theme,r,2026/12/31"}, []string{"2 expires_on invalid_expiry"}},
		{"space around a date", minimal, []string{"grant,u,qa_theme,r, 2026-12-31"}, []string{"2 expires_on invalid_expiry"}},
		{"no such day", minimal, []string{"grant,u,qa_theme,r,2027-02-29"}, []string{"2 expires_on invalid_expiry"}},
		{"revoke with a date", minimal, []string{"revoke,u,qa_theme,r,2027-01-01"}, []string{"2 expires_on expiry_not_allowed"}},
		{"revoke with a bad date", minimal, []string{"revoke,u,qa_theme,r,never"}, []string{"2 expires_on expiry_not_allowed"}},
		{"two problems", minimal, []string{"grand,u v,qa_theme,r,1.1.27"}, []string{
			"2 action unknown_action", "2 principal invalid_id", "2 expires_on invalid_expiry",
		}},
		{"too few cells", minimal, []string{"revoke,u,qa_theme,r"}, []string{"2  wrong_number_of_cells"}},
		{"too many cells", minimal, []string{"grant,u,qa_theme,r,2027-01-01,x"}, []string{"2  wrong_number_of_cells"}},
		{"the same id", "row_id," + minimal, []string{"7,grant,u,qa_theme,r,2027-01-01", "7,grant,v,qa_theme,r,2027-01-01"}, []string{"3 row_id duplicate_row_id"}},
		{"the id of an invalid row", "row_id," + minimal, []string{"7,grant,u,qa_theme,r,", "7,grant,v,qa_theme,r,2027-01-01"}, []string{
			"2 expires_on missing_expiry", "3 row_id duplicate_row_id",
		}},
		{"line break in an id", "row_id," + minimal, []string{"\"7\n8\",grant,u,qa_theme,r,2027-01-01"}, []string{"2 row_id invalid_row_id"}},
		{"endless id", "row_id," + minimal, []string{strings.Repeat("x", 257) + ",grant,u,qa_theme,r,2027-01-01"}, []string{"2 row_id invalid_row_id"}},
		{"id and action", "row_id," + minimal, []string{"7,revoke,u,qa_theme,r,", "7,x,u,qa_theme,r,"}, []string{
			"3 row_id duplicate_row_id", "3 action unknown_action",
		}},
		{"quote inside a cell", minimal, []string{`grant,u"v,qa_theme,r,2027-01-01`, "revoke,u,qa_theme,r,"}, []string{"2 principal malformed_quotes"}},
		{"text after a quote", minimal, []string{`grant,"u"v,qa_theme,r,2027-01-01`, "revoke,u,qa_theme,r,"}, []string{"2 principal malformed_quotes"}},
		{"bad quote in an unknown column", "Note," + minimal, []string{`5" pipe,revoke,u,qa_theme,r,`}, []string{"2 Note malformed_quotes"}},
		{"open quote", minimal, []string{`grant,"u,qa_theme,r,2027-01-01`, "revoke,u,qa_theme,r,", "revoke,u,qa_theme,s,x"}, []string{
			"2 principal malformed_quotes", "4 expires_on expiry_not_allowed",
		}},
		{"two open quotes", minimal, []string{`grant,"u,qa_theme,r,2027-01-01`, "revoke,u,qa_theme,r,", `revoke,u,"qa_theme,s,`, "revoke,v,qa_theme,r,"}, []string{
			"2 principal malformed_quotes", "4 resource_type malformed_quotes",
		}},
		{"open quote after blank lines", minimal, []string{"revoke,u,qa_theme,r,", "", "", `grant,"u,qa_theme,r,2027-01-01`, "", "revoke,x x,qa_theme,r,"}, []string{
			"5 principal malformed_quotes", "7 principal invalid_id",
		}},
		{"open quote in the last line", minimal, []string{"revoke,u,qa_theme,r,", `grant,"u,qa_theme,r,2027-01-01`}, []string{"3 principal malformed_quotes"}},
		{"grant and revoke", minimal, []string{"grant,u,qa_theme,r,2027-01-01", "revoke,u,qa_theme,r,"}, []string{"3 action conflicting_change"}},
		{"two expiries", minimal, []string{"grant,u,qa_theme,r,2027-01-01", "grant,u,qa_theme,r,2027-01-02"}, []string{"3 expires_on conflicting_change"}},
		{"another resource type is another resource", minimal, []string{"grant,u,qa_theme,r,2027-01-01", "revoke,u,qa_resource,r,"}, nil},
		{"a row at fault conflicts with none", minimal, []string{"grant,u,qa_theme,r,", "revoke,u,qa_theme,r,"}, []string{"2 expires_on missing_expiry"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := read(t, append([]string{test.header}, test.rows...)...)
			equal(t, "errors", test.want, found(b))
		})
	}
}

func TestReadCSVMessagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	b := read(t, "row_id,"+minimal,
		"a,grant,u,qa_resource,r,31/12/2026",
		"a,grant,u,qa_resource,r,05/06/2027",
		"b,revoke,v,qa_resource,r,",
		"c,grant,v,qa_resource,r,2027-01-01",
		"d,grant,v,qa_resource,s")
	want := []intake.RowError{
		{
			Line: 2, Column: "expires_on", RowID: "a", Code: intake.CodeInvalidExpiry,
			Message: `"31/12/2026" is not of the form YYYY-MM-DD; if it means that day, write 2026-12-31`,
		},
		{
			Line: 3, Column: "row_id", RowID: "a", Code: intake.CodeDuplicateRowID,
			Message: `"a" is the id of line 2 too; give each row its own, or leave the column empty`,
		},
		{
			Line: 3, Column: "expires_on", RowID: "a", Code: intake.CodeInvalidExpiry,
			Message: `"05/06/2027" is ambiguous: it can be read as 2027-06-05 or as 2027-05-06; write the day that is meant as YYYY-MM-DD`,
		},
		{
			Line: 5, Column: "action", RowID: "c", Code: intake.CodeConflictingChange,
			Message: "this row asks to grant what line 4 asks to revoke; keep one of the two",
		},
		{
			Line: 6, RowID: "d", Code: intake.CodeWrongNumberOfCells,
			Message: "the row has 5 cells and the header 6; quote a cell that holds the delimiter, and keep empty cells at the end",
		},
	}
	equal(t, "errors", want, b.Errors)
	got, err := json.Marshal(b.Errors[3])
	equal(t, "as JSON", `{"line":5,"column":"action","row_id":"c","code":"conflicting_change",`+
		`"message":"this row asks to grant what line 4 asks to revoke; keep one of the two"}`, string(got))
	equal(t, "marshalling", nil, err)
	equal(t, "as text", "line 5, action: this row asks to grant what line 4 asks to revoke; keep one of the two", b.Errors[3].Error())
	equal(t, "as text", "line 6: "+want[4].Message, b.Errors[4].Error())
}

func TestReadCSVFilesEveryRowOnce(t *testing.T) {
	t.Parallel()
	b := read(t, minimal+",Team",
		"grant,u,qa_resource,r,2027-01-01,A",
		"grant,u,qa_resource,r,,B",
		"GRANT,u,qa_resource,r,2027-01-01,",
		`grant,"u,qa_resource`,
		"grant,w,qa_resource,r,2027-01-01,A,B",
		"revoke,z,qa_resource,r,2027-01-01,'=A")
	invalid := func(line int, id string, change access.Change, column, code string, cells ...string) intake.InvalidRow {
		out := intake.InvalidRow{Row: intake.Row{Line: line, RowID: id, Change: change, Cells: cells}}
		out.Problem.Column, out.Problem.Code = column, code
		for _, e := range b.Errors {
			if e.Line == line {
				out.Problem.Message = e.Message
			}
		}
		return out
	}
	noExpiry := grant("u", "r")
	noExpiry.Terms = access.Terms{}
	lateRevoke := revoke("z", "r")
	lateRevoke.Terms = grant("z", "r").Terms
	equal(t, "rows", []intake.Row{
		{Line: 2, RowID: "line-2", Change: grant("u", "r"), Cells: []string{"grant", "u", "qa_resource", "r", "2027-01-01", "A"}},
		{Line: 4, RowID: "line-4", Change: grant("u", "r"), Cells: []string{"GRANT", "u", "qa_resource", "r", "2027-01-01", ""}, DuplicateOf: 2},
	}, rows(b))
	equal(t, "invalid", []intake.InvalidRow{
		invalid(3, "line-3", noExpiry, "expires_on", access.CodeMissingExpiry, "grant", "u", "qa_resource", "r", "", "B"),
		invalid(5, "line-5", access.Change{}, "principal", intake.CodeMalformedQuotes, "grant", "", "", "", "", ""),
		invalid(6, "line-6", access.Change{}, "", intake.CodeWrongNumberOfCells, "grant", "w", "qa_resource", "r", "2027-01-01", "A"),
		invalid(7, "line-7", lateRevoke, "expires_on", access.CodeExpiryNotAllowed, "revoke", "z", "qa_resource", "r", "2027-01-01", "=A"),
	}, b.Invalid)
	equal(t, "total", 6, b.Total())
	equal(t, "warnings", []string{`columns without a meaning here are carried through to the result file: "Team"`}, b.Warnings)
}

func TestReadCSVSendsNeitherOfTwoRowsThatContradict(t *testing.T) {
	t.Parallel()
	b := read(t, minimal,
		"grant,u,qa_resource,r,2027-01-01",
		"grant,v,qa_resource,r,2027-01-01",
		"grant,u,qa_resource,r,2027-01-01",
		"revoke,u,qa_resource,r,")
	equal(t, "sound rows", 1, b.Len())
	equal(t, "the sound row", 3, b.Row(0).Line)
	var lines []int
	for _, row := range b.Invalid {
		lines = append(lines, row.Line)
		equal(t, "code", intake.CodeConflictingChange, row.Problem.Code)
		equal(t, "cells", 5, len(row.Cells))
	}
	equal(t, "invalid lines", []int{2, 4, 5}, lines)
	equal(t, "errors", 1, len(b.Errors))
	equal(t, "line of the error", 5, b.Errors[0].Line)
	equal(t, "total", 4, b.Total())
}

func TestReadCSVCountsLinesAsAnEditorDoes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.ReplaceAll("\n"+minimal+",\"Note\nto self\"\n\n"+ // lines 1 to 4
				"grant,u,qa_resource,r,2027-01-01,\"two\nlines\"\n"+ // 5
				"grant,v,qa_resource,r,2027-01-01,\"\n\n\"\n"+ // 7
				"grant,w,qa_resource,r,,\n"+ // 10
				"grant,x,qa_resource,r,2027-01-01,", "\n", end)
			b, err := intake.ReadCSV(strings.NewReader(file), options)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "lines of rows", []int{5, 7, 11}, each(rows(b), func(r intake.Row) int { return r.Line }))
			equal(t, "errors", []string{"10 expires_on missing_expiry"}, found(b))
			equal(t, "cells", "two\nlines", b.Row(0).Cells[5])
		})
	}
}

func TestReadCSVKeepsALoneCRInAFileOfLF(t *testing.T) {
	t.Parallel()
	b := read(t, minimal+",reason", "grant,u\r,qa_resource,r,2027-01-01,", "grant,u,qa_resource,r,2027-01-01,\"'\rx\ry\"")
	equal(t, "errors", []string{"2 principal invalid_id"}, found(b))
	equal(t, "reason", "\rx\ry", b.Row(0).Reason)
}

func TestReadCSVFillsInTheDefaultExpiry(t *testing.T) {
	t.Parallel()
	o := options
	o.DefaultExpiryDays = 40
	b := readWith(t, o, minimal+",Team",
		"grant,u,qa_resource,r,,A",
		"grant,v,qa_resource,r,2027-02-01,A",
		"grant,w,qa_resource,r,soon,A",
		"revoke,x,qa_resource,r,,A")
	equal(t, "filled in", newYear, b.Row(0).Change.Terms.ExpiresOn)
	equal(t, "filled in, as a cell", "2027-01-01", b.Row(0).Cells[4])
	equal(t, "given", "2027-02-01", b.Row(1).Change.Terms.ExpiresOn.String())
	equal(t, "revoke", revoke("x", "r"), b.Row(2).Change)
	equal(t, "errors", []string{"4 expires_on invalid_expiry"}, found(b))

	absent := readWith(t, o, "action,principal,resource_type,resource_id", "grant,u,qa_resource,r")
	equal(t, "without the column", []access.Change{grant("u", "r")}, changes(absent))
	equal(t, "the column is added", strings.Split(minimal, ","), absent.Header)
	equal(t, "and comes back", changes(absent), changes(readBytes(t, write(absent))))
}

func TestReadCSVNamesRowsWithoutAnID(t *testing.T) {
	t.Parallel()
	b := read(t, "row_id,"+minimal,
		",grant,a,qa_resource,r,2027-01-01",
		"line-2,grant,b,qa_resource,r,2027-01-01",
		" ,grant,c,qa_resource,r,",
		"line-5,grant,d,qa_resource,r,2027-01-01",
		"line-2-2,grant,e,qa_resource,r,2027-01-01")
	equal(t, "ids", []string{"line-2-3", "line-2", "line-5", "line-2-2"}, each(rows(b), func(r intake.Row) string { return r.RowID }))
	equal(t, "id of the invalid row", "line-4", b.Invalid[0].RowID)
	equal(t, "id of its error", "line-4", b.Errors[0].RowID)
	again := readBytes(t, write(b))
	equal(t, "cells written again", write(b), write(again))
	equal(t, "a made-up id is not written", "", intake.LayoutOf(b.Header).AppendCells(nil, b.Row(0))[0])
	equal(t, "a given one is, though it looks made-up", "line-5", intake.LayoutOf(b.Header).AppendCells(nil, b.Row(2))[0])
}

func TestReadCSVWarnsAboutUIDs(t *testing.T) {
	t.Parallel()
	b := read(t, minimal,
		"revoke,u,qa_resource,r,",
		"revoke,1234567890123456,qa_resource,r,",
		"revoke,1234567890123457,qa_resource,r,")
	equal(t, "warnings", []string{"rows with a principal of 16 digits: 2, the first on line 3; " +
		"make sure that these are Quick BI user ids and not Alibaba Cloud UIDs"}, b.Warnings)
}

func TestReadCSVRefusesWhatIsNoFileOfRows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, file, code, says string }{
		{"nothing", "", intake.CodeEmptyFile, "empty"},
		{"white space", "\ufeff \r\n\t\n", intake.CodeEmptyFile, "empty"},
		{"header only", minimal + "\n\n,,,,\n", intake.CodeNoRows, "no rows"},
		{"xlsx", "PK\x03\x04\x14\x00\x06\x00", intake.CodeNotACSV, "Excel workbook (.xlsx)"},
		{"xls", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", intake.CodeNotACSV, "old Excel workbook"},
		{"pdf", "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", intake.CodeNotACSV, "PDF"},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00", intake.CodeNotACSV, "gzip"},
		{"html", "\r\n <!DOCTYPE html><html lang=\"en\">", intake.CodeNotACSV, "HTML"},
		{"json", "\ufeff[{\"action\":\"grant\"}]", intake.CodeNotACSV, "JSON"},
		{"ndjson", "{\"action\":\"grant\"}\n{}\n", intake.CodeNotACSV, "JSON"},
		{"other binary", "\x89PNG\r\n\x1a\n\x00\x00\x00\x0d", intake.CodeNULByte, "binary"},
		{"UTF-16 without a mark", "a\x00c\x00t\x00i\x00o\x00n\x00", intake.CodeNULByte, "UTF-16 without a byte order mark"},
		{"a NUL", minimal + "\ngrant,u,qa_resource,r\x00,2027-01-01\n", intake.CodeNULByte, "line 2 "},
		{"no header", "grant,u,qa_resource,r,2027-01-01\n", intake.CodeMissingColumn, `found "grant", "u"`},
		{"columns missing", "action,resource_id,Note\n", intake.CodeMissingColumn, "the column principal, resource_type; found"},
		{"another delimiter", "action:principal:resource_type:resource_id\n", intake.CodeMissingColumn, "found \"action:principal:"},
		{"a column twice", minimal + ",Action\n", intake.CodeDuplicateColumn, `"action" and "Action"`},
		{"a column and its alias", minimal + ",user_id\n", intake.CodeDuplicateColumn, `"principal" and "user_id"`},
		{"quote in the header", "\naction,\"principal,resource_type\n", intake.CodeNotACSV, "line 2"},
		{"no encoding", minimal + "\n\xff\xff\n", intake.CodeInvalidEncoding, "line 2 "},
		{"damaged UTF-8 with a mark", "\ufeff" + minimal + "\n\n\xc4\xe3\n", intake.CodeInvalidEncoding, "line 3 "},
		{"half a UTF-16 character", "\xff\xfea\x00\n\x00b", intake.CodeInvalidEncoding, "line 2 "},
		{"half a surrogate pair", "\xfe\xff\x00a\xd8\x00\x00b", intake.CodeInvalidEncoding, "line 1 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := refusal(t, options, test.file)
			if got.Code != test.code || !strings.Contains(got.Error(), test.says) {
				t.Errorf("%s: %s; want %s and %q", got.Code, got.Message, test.code, test.says)
			}
		})
	}
}

func TestReadCSVRefusesWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	row := "revoke,u,qa_resource,r,\n"
	file := minimal + "\n" + strings.Repeat(row+"x\n\n", 3)
	few, exact := options, options
	few.MaxRows, exact.MaxRows = 5, 6
	equal(t, "one row over", &intake.FileError{
		Code: intake.CodeTooManyRows, Message: "the file has more than 5 rows, the most that one job takes; split it",
	}, refusal(t, few, file))
	equal(t, "rows at the limit", 6, readWith(t, exact, strings.TrimSuffix(file, "\n")).Total())

	small := options
	small.MaxBytes = int64(len(file)) - 1
	equal(t, "one byte over", intake.CodeFileTooLarge, refusal(t, small, file).Code)
	small.MaxBytes++
	equal(t, "bytes at the limit", 6, readWith(t, small, strings.TrimSuffix(file, "\n")).Total())
}

// A small file must not take much memory, whatever is in it.
func TestSmallFilesTakeLittleMemory(t *testing.T) {
	t.Parallel()
	equal(t, "many columns", intake.CodeTooManyFields, refusal(t, options, minimal+strings.Repeat(",x", 996)+"\nx\n").Code)
	// Each of the short rows has a cell for each of the columns.
	short := refusal(t, options, minimal+strings.Repeat(",x", 995)+"\n"+strings.Repeat("x\n", 20_000))
	equal(t, "short rows", intake.CodeTooManyInvalidRows, short.Code)
	if !strings.Contains(short.Message, "line 2: ") {
		t.Errorf("%q does not say what is wrong first", short.Message)
	}
}

func TestReadCSVPassesOnWhatTheReaderSays(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	if _, err := intake.ReadCSV(iotest.ErrReader(gone), options); !errors.Is(err, gone) {
		t.Errorf("error %v, want %v", err, gone)
	}
}
