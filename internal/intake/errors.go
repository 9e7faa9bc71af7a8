package intake

import (
	"fmt"

	"github.com/usher-bi/usher/internal/access"
)

// The codes of rows that intake itself finds at fault, beside those of
// [access.Change.Problems]. They are API: scripts switch on them.
const (
	CodeConflictingChange  = "conflicting_change"
	CodeDuplicateField     = "duplicate_field" // of JSON
	CodeDuplicateRowID     = "duplicate_row_id"
	CodeFormula            = "formula_result"
	CodeInvalidExpiry      = "invalid_expiry"
	CodeInvalidJSON        = "invalid_json"
	CodeInvalidRowID       = "invalid_row_id"
	CodeInvalidText        = "invalid_text" // of JSON
	CodeInvalidType        = "invalid_type" // of JSON
	CodeMalformedQuotes    = "malformed_quotes"
	CodeWrongNumberOfCells = "wrong_number_of_cells"
)

// The codes of files of which no row can be read. They are API too.
const (
	CodeDuplicateColumn = "duplicate_column"
	CodeEmptyFile       = "empty_file"
	CodeFileTooLarge    = "file_too_large"
	CodeInvalidEncoding = "invalid_encoding"
	CodeMergedCells     = "merged_cells"
	CodeMissingColumn   = "missing_column"
	CodeNoRows          = "no_rows"
	CodeNoSuchSheet     = "no_such_sheet"
	CodeNotACSV         = "not_a_csv"
	CodeNotAWorkbook    = "not_a_workbook"
	CodeNotNDJSON       = "not_ndjson"
	CodeNULByte         = "nul_byte"
	CodeTooManyFields   = "too_many_fields"
	CodeTooManyRows     = "too_many_rows"

	CodeTooManyInvalidRows = "too_many_invalid_rows"
)

// RowError is one problem of one row, which a person can go and mend.
type RowError struct {
	Line    int    `json:"line"`
	Column  string `json:"column"` // its canonical name; empty if the whole row is meant
	RowID   string `json:"row_id"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error returns line, column and message.
func (e RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("line %d, %s: %s", e.Line, e.Column, e.Message)
}

// FileError means that a file as a whole cannot be read. Its message says what
// to do.
type FileError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *FileError) Error() string { return e.Message }

func fileError(code, format string, args ...any) *FileError {
	return &FileError{Code: code, Message: fmt.Sprintf(format, args...)}
}

func problem(column, code, format string, args ...any) access.Problem {
	return access.Problem{Column: column, Code: code, Message: fmt.Sprintf(format, args...)}
}
