package intake

import (
	"bytes"
	"strings"
)

// kinds are the files that people submit by mistake, by how they begin.
var kinds = []struct{ begin, message string }{
	{zipMark, "this is an Excel workbook (.xlsx) or another ZIP file, not a CSV; open it and save it as CSV UTF-8"},
	{"\xd0\xcf\x11\xe0", "this is an old Excel workbook (.xls) or one with a password, not a CSV; open it and save it as .xlsx without a password, or as CSV UTF-8"},
	{"%PDF-", "this is a PDF, not a CSV; ask for the list as a CSV file"},
	{"\x1f\x8b", "this is a gzip file, not a CSV; unpack it first, for example with gunzip"},
	{"<", "this is HTML or XML, not a CSV; a download page may have been saved in place of the file"},
	{"{", "this is JSON, not a CSV; export the rows as CSV"},
	{"[", "this is JSON, not a CSV; export the rows as CSV"},
}

// explain replaces an error about a file that is no CSV by one that says what
// the file is, if that can be seen.
func explain(raw []byte, err *FileError) *FileError {
	switch err.Code {
	case CodeMissingColumn, CodeInvalidEncoding, CodeNULByte, CodeNotACSV:
	default:
		return err
	}
	start := bytes.TrimLeft(bytes.TrimPrefix(raw[:min(len(raw), 1024)], []byte("\xef\xbb\xbf")), " \t\r\n")
	for _, k := range kinds {
		if strings.HasPrefix(string(start), k.begin) {
			return fileError(CodeNotACSV, "%s", k.message)
		}
	}
	return err
}
