package intake

import (
	"archive/zip"
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/usher-bi/usher/internal/intake/xlsx"
)

// encodingXLSX is the [Batch.Encoding] of a workbook, which has no delimiter.
const encodingXLSX = "xlsx"

// maxWorkbook is how large a workbook may be, packed. The largest sheet that
// there is packs to less.
const maxWorkbook = 256 << 20

// Read reads a file of rows, whatever it is by its content: an Excel workbook as
// [ReadXLSX] does, anything else as [ReadCSV] does.
func Read(r io.Reader, o Options) (*Batch, error) {
	in, zipped, err := peek(r)
	switch {
	case err != nil:
		return nil, err
	case zipped:
		return ReadXLSX(in, o)
	case o.Sheet != "":
		return nil, fileError(CodeNoSuchSheet, "the file is no Excel workbook and has no sheet %q; leave the sheet out", o.Sheet)
	default:
		return ReadCSV(in, o)
	}
}

// zipMark is how a workbook begins, as any other ZIP file does.
const zipMark = "PK\x03\x04"

// peek reports whether r begins as a workbook does, and returns a reader of all of
// it: r itself if that can seek.
func peek(r io.Reader) (in io.Reader, zipped bool, err error) {
	if s, ok := r.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			start := make([]byte, len(zipMark))
			n, _ := io.ReadFull(r, start) // reading on gives the error again
			_, err = s.Seek(at, io.SeekStart)
			return r, string(start[:n]) == zipMark, err
		}
	}
	buffered := bufio.NewReader(r)
	start, _ := buffered.Peek(len(zipMark))
	return buffered, string(start) == zipMark, nil
}

// ReadXLSX reads the rows of one sheet of an Excel workbook: of Options.Sheet, or
// of the first that is not hidden. They are those of the same sheet saved as CSV,
// but that no digit of an id is lost without an error, and that a day in
// expires_on which is stored as one is taken for that day. The line of a row is
// its number in the sheet. Hidden rows are not read, and a formula counts by the
// text that is stored as its result; where that is no text, it is an error.
//
// Errors are those of [ReadCSV]. The packed file is held in memory.
func ReadXLSX(r io.Reader, o Options) (*Batch, error) {
	raw, err := readAll(r, min(cmp.Or(o.MaxBytes, maxWorkbook), maxWorkbook))
	if err != nil {
		return nil, err
	}
	book, err := xlsx.Open(raw)
	if err != nil {
		return nil, workbookError(raw, err)
	}
	s := sheetReader{book: book, options: o}
	if s.sheet, err = chooseSheet(book.Sheets(), o.Sheet); err != nil {
		return nil, err
	}
	batch, err := s.read()
	if err != nil {
		return nil, workbookError(raw, err)
	}
	sum := sha256.Sum256(raw)
	batch.SHA256, batch.Encoding = hex.EncodeToString(sum[:]), encodingXLSX
	return batch, nil
}

// readAll reads a file that is not too large.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if int64(len(raw)) > limit {
		return nil, fileError(CodeFileTooLarge, "the file is larger than %d bytes; split it", limit)
	}
	return raw, nil
}

// chooseSheet returns the sheet of that name, or the first that is not hidden.
func chooseSheet(sheets []xlsx.Sheet, name string) (xlsx.Sheet, error) {
	names := make([]string, len(sheets))
	for i, sheet := range sheets {
		if name == "" && !sheet.Hidden || name != "" && strings.EqualFold(sheet.Name, name) {
			return sheet, nil
		}
		names[i] = sheet.Name
	}
	if name == "" {
		return xlsx.Sheet{}, fileError(CodeNoSuchSheet, "every sheet of the workbook is hidden; name the one to read: %s", quotedList(names))
	}
	return xlsx.Sheet{}, fileError(CodeNoSuchSheet, "the workbook has no sheet %q; it has %s", name, quotedList(names))
}

// workbookError says in words for the sender why a workbook cannot be read.
func workbookError(raw []byte, err error) error {
	switch {
	case errors.Is(err, xlsx.ErrTooLarge):
		return fileError(CodeFileTooLarge, "the workbook unpacks to more than is allowed; save it as CSV UTF-8, or split it")
	case errors.Is(err, xlsx.ErrNotAWorkbook):
		return fileError(CodeNotAWorkbook, "%s", zipKind(raw, err))
	default:
		return err
	}
}

// zipKind says what a ZIP file is that is no workbook, by the names in it.
func zipKind(raw []byte, err error) string {
	has := func(name string) bool { return strings.Contains(string(raw), name) }
	switch {
	case has("application/vnd.oasis.opendocument.spreadsheet"):
		return "this is an OpenDocument spreadsheet (.ods); open it and save it as .xlsx or as CSV UTF-8"
	case has("xl/workbook.bin"):
		return "this is a binary Excel workbook (.xlsb); open it and save it as .xlsx or as CSV UTF-8"
	case has("word/document.xml"), has("ppt/presentation.xml"):
		return "this is an Office file but no workbook; put the rows into a sheet and save it as .xlsx or as CSV UTF-8"
	case errors.Is(err, zip.ErrFormat):
		return "the file begins as an Excel workbook and is cut off; copy it again once it is complete"
	case has("xl/workbook.xml"):
		return "the workbook cannot be read (" + err.Error() + "); open it and save it again, or save it as CSV UTF-8"
	default:
		return "this is a ZIP file but no Excel workbook; unpack it first"
	}
}
