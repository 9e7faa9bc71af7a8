package intake_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/intake"
)

const fullHeader = "row_id,action,principal,principal_type,resource_type,resource_id,role,expires_on,reason,ticket\n"

// soundRow is the row on the given line of a large file.
func soundRow(line int) []string {
	return []string{
		"hr-" + strconv.Itoa(line), "grant", fmt.Sprintf("%032x", line/50), "user", "qa_resource", fmt.Sprintf("%016x", line%50),
		"", "2027-01-01", "joiner", "HR-8812",
	}
}

// faults spoil a sound row; each leads to exactly one error.
var faults = []struct {
	error string // "column code"
	spoil func(cells []string)
}{
	{"action unknown_action", func(c []string) { c[1] = "add" }},
	{"principal missing_value", func(c []string) { c[2] = "" }},
	{"principal invalid_id", func(c []string) { c[2] += "\u00a0" }},
	{"principal excel_mangled_id", func(c []string) { c[2] = "7.39E+10" }},
	{"principal_type unknown_principal_type", func(c []string) { c[3] = "robot" }},
	{"resource_type unknown_resource_type", func(c []string) { c[4] = "chart" }},
	{"resource_id missing_value", func(c []string) { c[5] = "" }},
	{"role role_not_allowed", func(c []string) { c[6] = "view" }},
	{"expires_on missing_expiry", func(c []string) { c[7] = "" }},
	{"expires_on expiry_in_the_past", func(c []string) { c[7] = "2026-01-01" }},
	{"expires_on invalid_expiry", func(c []string) { c[7] = "31.12.2026" }},
	{"row_id duplicate_row_id", func(c []string) { c[0] = "hr-2" }},
	{"principal malformed_quotes", func(c []string) { c[2] = `"` + c[2] }},
	{"reason malformed_quotes", func(c []string) { c[8] = `a 5" pipe` }},
	{" wrong_number_of_cells", func(c []string) { c[8] = "a,b" }},
}

// largeFile returns a file of rows rows, of which one in every is spoiled, and
// the errors that it deserves. Nothing is spoiled if every is 0.
func largeFile(rows, every int) (file []byte, deserved []string) {
	random := rand.New(rand.NewPCG(7, 0))
	var buf bytes.Buffer
	buf.WriteString(fullHeader)
	spoiled := 0
	for line := 2; line < rows+2; line++ {
		cells := soundRow(line)
		if every > 0 && line%every == 3 {
			fault := faults[random.IntN(len(faults))]
			fault.spoil(cells)
			deserved = append(deserved, fmt.Sprintf("%d %s", line, fault.error))
			spoiled++
		}
		buf.WriteString(strings.Join(cells, ",") + "\n")
	}
	return buf.Bytes(), deserved
}

func TestReadCSVFindsEveryPlantedError(t *testing.T) {
	t.Parallel()
	const rows, planted = 100_000, 500
	file, deserved := largeFile(rows, rows/planted)
	if len(deserved) != planted {
		t.Fatalf("%d errors planted", len(deserved))
	}
	b := readBytes(t, file)
	equal(t, "errors", deserved, found(b))
	equal(t, "sound rows", rows-planted, b.Len())
	equal(t, "invalid rows", planted, len(b.Invalid))
	for i, e := range b.Errors {
		want := "hr-" + strconv.Itoa(e.Line)
		if e.Code == intake.CodeDuplicateRowID {
			want = "hr-2"
		}
		if e.RowID != want || e.Message == "" || slices.Contains(b.Warnings, e.Message) {
			t.Fatalf("error %d: %+v, want row id %s", i, e, want)
		}
	}
}

func BenchmarkReadCSV(b *testing.B) {
	for _, bench := range []struct {
		name        string
		rows, every int
	}{
		{"100000 rows", 100_000, 0},
		{"100000 rows, 500 errors", 100_000, 200},
		{"1000000 rows", 1_000_000, 0},
	} {
		b.Run(bench.name, func(b *testing.B) {
			file, _ := largeFile(bench.rows, bench.every)
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := intake.ReadCSV(bytes.NewReader(file), options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
