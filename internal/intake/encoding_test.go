package intake_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/intake"
)

// TestReadCSVReadsEveryEncoding reads one list as different programs save it.
// The files under testdata were written by another implementation of the
// encodings than the one that reads them.
func TestReadCSVReadsEveryEncoding(t *testing.T) {
	t.Parallel()
	theme, dataset := revoke("de4bc5f94291", "95296e95-ca89"), grant("46e53a5ba4b6", "0d0d")
	theme.Resource.Type, dataset.Resource.Type = access.QATheme, access.Dataset
	dataset.Terms.ExpiresOn = access.Date{Year: 2027, Month: 6, Day: 30}
	want := []access.Change{grant("46e53a5ba4b6", "6b407e50e774"), theme, dataset}
	// "R&D | unit one; "Yoshino", Beijing", with a character beyond 16 bits.
	const team = "\u7814\u53d1|\u4e00\u90e8; \"\U00020bb7\u91ce\"\uff0c\u5317\u4eac"

	for name, format := range map[string][2]string{
		"utf-8.csv":              {"utf-8", ","},
		"utf-8-bom-crlf.csv":     {"utf-8-bom", ","},
		"utf-8-cr.csv":           {"utf-8", ","},
		"utf-16le-tabs-crlf.csv": {"utf-16le", "\t"},
		"utf-16be.csv":           {"utf-16be", ","},
		"gb18030-crlf.csv":       {"gb18030", ","},
		"gb18030-semicolons.csv": {"gb18030", ";"},
		"gb18030-bars-cr.csv":    {"gb18030", "|"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := readBytes(t, fixture(t, name))
			equal(t, "format", format, [2]string{b.Encoding, b.Delimiter})
			equal(t, "changes", want, changes(b))
			equal(t, "errors", []string{"5 expires_on invalid_expiry"}, found(b))
			equal(t, "reason", "\u5165\u804c", b.Row(0).Reason)
			equal(t, "reason of two lines", "\n\u4e24\u884c", b.Invalid[0].Reason)
			equal(t, "unknown column", team, b.Row(1).Cells[6])
			equal(t, "warnings", format[0] == "gb18030", strings.Contains(strings.Join(b.Warnings, "\n"), "GB18030"))
			equal(t, "fingerprint", readBytes(t, fixture(t, "utf-8.csv")).Fingerprint("hr"), b.Fingerprint("hr"))
		})
	}
}

func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	file, err := fs.ReadFile(os.DirFS("testdata"), name)
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestReadCSVRefusesWesternEuropeanText(t *testing.T) {
	t.Parallel()
	got := refusal(t, options, minimal+",Name\nrevoke,u,qa_resource,r,,Andr\xe9\n")
	equal(t, "code", intake.CodeInvalidEncoding, got.Code)
}
