package intake_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/usher-bi/usher/internal/intake"
)

// pipe hides that a reader can go back.
type pipe struct{ io.Reader }

func TestReadCSVReadsAnyPieces(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	lines.WriteString("row_id," + minimal + ",reason\r\n")
	for i := range 3000 {
		fmt.Fprintf(&lines, "id-%d,grant,u%d,qa_resource,r,2027-01-01,\"\u5165\u804c\r\n%d\"\r\n", i, i, i)
	}
	lines.WriteString("id-7,revoke,v,qa_resource,r,,\u5165\u804c\r\n")
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(lines.String())
	if err != nil {
		t.Fatal(err)
	}
	for encoding, file := range map[string]string{"utf-8": lines.String(), "gb18030": gb} {
		want := readBytes(t, []byte(file))
		equal(t, "encoding", encoding, want.Encoding)
		equal(t, "rows", 3000, want.Len())
		equal(t, "errors", []string{"6002 row_id duplicate_row_id"}, found(want))
		for name, in := range map[string]io.Reader{
			"byte by byte":           iotest.OneByteReader(strings.NewReader(file)),
			"halves, with the error": iotest.DataErrReader(iotest.HalfReader(strings.NewReader(file))),
			"a pipe":                 pipe{strings.NewReader(file)},
			"from where it stands":   &offset{Reader: strings.NewReader("what was read before" + file)},
		} {
			got, err := intake.ReadCSV(in, options)
			if err != nil {
				t.Fatalf("%s, %s: %v", encoding, name, err)
			}
			equal(t, name+": fingerprint", want.Fingerprint(""), got.Fingerprint(""))
			equal(t, name+": how it was read", [3]string{want.SHA256, want.Encoding, want.Delimiter}, [3]string{got.SHA256, got.Encoding, got.Delimiter})
			equal(t, name+": errors", want.Errors, got.Errors)
		}
	}
}

// offset is a file of which a part was read already.
type offset struct {
	*strings.Reader

	begun bool
}

func (o *offset) Read(p []byte) (int, error) {
	if !o.begun {
		o.begun = true
		if _, err := o.Reader.Seek(int64(len("what was read before")), io.SeekStart); err != nil {
			return 0, err
		}
	}
	return o.Reader.Read(p)
}

func (o *offset) Seek(off int64, whence int) (int64, error) {
	if !o.begun {
		return int64(len("what was read before")), nil
	}
	return o.Reader.Seek(off, whence)
}

func TestReadCSVBoundsWhatAnOpenQuoteTakes(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	file.WriteString(minimal + "\n" + `grant,"u,qa_resource,r,2027-01-01` + "\n")
	rows := 0
	for ; file.Len() < 18<<20; rows++ {
		fmt.Fprintf(&file, "grant,%0200d,qa_resource,r,2027-01-01\n", rows)
	}
	b := readBytes(t, file.Bytes())
	equal(t, "errors", []string{"2 principal malformed_quotes"}, found(b))
	equal(t, "rows", rows, b.Len())

	got := refusal(t, options, minimal+"\ngrant,u,qa_resource,r,2027-01-01"+strings.Repeat(" ", 17<<20)+"\n")
	if !strings.Contains(got.Message, "line 2 is longer than") {
		t.Errorf("an endless line is refused with %q", got.Message)
	}
}

func TestReadCSVRefusesTooManyRowsEarly(t *testing.T) {
	t.Parallel()
	o := options
	o.MaxRows = 2
	line := "revoke,u%d,qa_resource,r,\n"
	file := io.MultiReader(strings.NewReader(minimal+"\n"+fmt.Sprintf(line+line+line, 1, 2, 3)), iotest.ErrReader(errors.New("read too far")))
	_, err := intake.ReadCSV(pipe{file}, o)
	refused, ok := errors.AsType[*intake.FileError](err)
	if !ok || refused.Code != intake.CodeTooManyRows {
		t.Errorf("the error is %v", err)
	}
}

// manyObjects is more of NDJSON than is kept unpacked, with a field that only the last
// row has.
func manyObjects() string {
	var lines strings.Builder
	for i := range 12_000 {
		fmt.Fprintf(&lines, `{"action":"grant","principal":"u%d","resource_type":"qa_resource","resource_id":"r","expires_on":"2027-01-01","reason":"\u5165\u804c %d"}`+"\n", i, i%7)
	}
	lines.WriteString(`{"action":"revoke","principal":"v","resource_type":"qa_resource","resource_id":"r","desk":"` + strings.Repeat("x", 100<<10) + `"}`)
	return lines.String()
}

func TestJSONIsReadInAnyPieces(t *testing.T) {
	t.Parallel()
	file := manyObjects()
	want, err := intake.ReadNDJSON(strings.NewReader(file), options)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", 12_001, want.Len())
	equal(t, "header", "desk", want.Header[len(want.Header)-1])
	same := func(name string, got *intake.Batch, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, name+": fingerprint", want.Fingerprint(""), got.Fingerprint(""))
		equal(t, name+": header and errors", fmt.Sprint(want.Header, want.Errors), fmt.Sprint(got.Header, got.Errors))
	}
	for name, in := range map[string]io.Reader{
		"byte by byte":           iotest.OneByteReader(strings.NewReader(file)),
		"halves, with the error": iotest.DataErrReader(iotest.HalfReader(strings.NewReader(file))),
		"a pipe":                 pipe{strings.NewReader(file)},
		"from where it stands":   &offset{Reader: strings.NewReader("what was read before" + file)},
	} {
		got, err := intake.ReadNDJSON(in, options)
		same(name, got, err)
		equal(t, name+": sum", want.SHA256, got.SHA256)
	}
	document := `{"a":{"b":[1,"}"]},"rows" : [` + strings.ReplaceAll(file, "\n", " ,\n") + `], "lane":"bulk"}`
	for name, in := range map[string]io.Reader{
		"document, byte by byte": iotest.OneByteReader(strings.NewReader(document)),
		"document by a pipe":     pipe{strings.NewReader(document)},
		"document":               strings.NewReader(document),
	} {
		d, err := intake.ReadDocument(in, options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, name+": beside", `{"b":[1,"}"]} "bulk"`, string(d.Beside["a"])+" "+string(d.Beside["lane"]))
		got, err := d.Batch(options)
		same(name, got, err)
	}
}

// changing is another file when it is read again.
type changing struct {
	*strings.Reader

	next string
}

func (c *changing) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		c.Reader = strings.NewReader(c.next)
	}
	return c.Reader.Seek(offset, whence)
}

func TestNDJSONThatChangesIsRefused(t *testing.T) {
	t.Parallel()
	for _, next := range []string{sound + "\n" + sound, `{"x":"y"}`, `{"action"`, `{]`, `{"a":}`, `{"`, "{\"action\":\"", ""} {
		if _, err := intake.ReadNDJSON(&changing{Reader: strings.NewReader(sound), next: next}, options); err == nil {
			t.Errorf("a file that becomes %q is read", next)
		}
	}
}

func TestNDJSONRefusesTooManyRowsEarly(t *testing.T) {
	t.Parallel()
	o := options
	o.MaxRows = 2
	file := io.MultiReader(strings.NewReader(strings.Repeat(sound+"\n", 3)), iotest.ErrReader(errors.New("read too far")))
	_, err := intake.ReadNDJSON(pipe{file}, o)
	refused, ok := errors.AsType[*intake.FileError](err)
	if !ok || refused.Code != intake.CodeTooManyRows {
		t.Errorf("the error is %v", err)
	}
}
