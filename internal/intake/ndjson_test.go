package intake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-bi/usher/internal/intake"
)

// readLines reads NDJSON and fails t if the file is refused.
func readLines(t *testing.T, lines ...string) *intake.Batch {
	t.Helper()
	b, err := intake.ReadNDJSON(strings.NewReader(strings.Join(lines, "\n")), options)
	if err != nil {
		t.Fatalf("reading %q: %v", lines, err)
	}
	return b
}

const sound = `{"action":"grant","principal":"u1","resource_type":"qa_resource","resource_id":"r1","expires_on":"2027-01-01"}`

func TestNDJSONIsReadAsCSVIs(t *testing.T) {
	t.Parallel()

	got := readLines(t,
		"\ufeff",
		`{"row_id":"a","Action":"GRANT","user_id":"u1","resource_type":"qa_resource","resource_id":"r1","expires_on":"2027-01-01","Desk":"=1+1"}`,
		"",
		`  { "principal" : "u2" , "resource_id":"r\u0031", "action":"grant", "resource_type":"qa_resource","expires_on":"2027-01-01","ticket":null } `+"\r",
		`{"row_id":"a","action":"grant","principal":"u,3","resource_type":"qa_resource","resource_id":"r1"}`,
		`{"action":"grant","principal":"u1","resource_type":"qa_resource","resource_id":"r1","expires_on":"2027-01-01","Desk":7,"result__status":"failed","result__job_id":"01JOB"}`,
	)
	want := read(t, "\ufeffrow_id,Action,user_id,resource_type,resource_id,expires_on,Desk,ticket,result__status,result__job_id",
		"a,GRANT,u1,qa_resource,r1,2027-01-01,'=1+1,,,",
		"",
		",grant,u2,qa_resource,r1,2027-01-01,,,,",
		`a,grant,"u,3",qa_resource,r1,,,,,`,
		",grant,u1,qa_resource,r1,2027-01-01,7,,failed,01JOB",
	)
	want.SHA256, want.Delimiter = got.SHA256, ""
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(intake.Batch{})); diff != "" {
		t.Errorf("against the same rows as CSV (-csv +ndjson):\n%s", diff)
	}
	equal(t, "rows", rows(want), rows(got))
	if want.Fingerprint("hr") != got.Fingerprint("hr") {
		t.Error("the same rows have another fingerprint")
	}
}

func TestNDJSONRowsAtFault(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name, line string
		want       []string
	}{
		{"number as an id", `{"action":"revoke","principal":46053,"resource_type":"dataset","resource_id":"d"}`, []string{"2 principal invalid_type"}},
		{"number beyond precision", `{"action":"revoke","principal":"u","resource_type":"dataset","resource_id":12345678901234567890}`, []string{"2 resource_id invalid_type"}},
		{"and another error", `{"action":"grnat","principal":["u"],"resource_type":"dataset","resource_id":"d"}`, []string{"2 action unknown_action", "2 principal invalid_type"}},
		{"truth as an action", `{"action":true,"principal":"u","resource_type":"dataset","resource_id":"d"}`, []string{"2 action invalid_type"}},
		{"missing fields", `{"action":"revoke"}`, []string{"2 principal missing_value", "2 resource_type missing_value", "2 resource_id missing_value"}},
		{"a field twice", `{"action":"revoke","principal":"u","principal":"v","resource_type":"dataset","resource_id":"d"}`, []string{"2 principal duplicate_field"}},
		{"two names of a field", `{"action":"revoke","principal":"u","USER_ID":"v","resource_type":"dataset","resource_id":"d"}`, []string{"2 principal duplicate_field"}},
		{"cut off", `{"action":"revoke","principal":"u"`, []string{"2  invalid_json"}},
		{"two objects", sound + sound, []string{"2  invalid_json"}},
		{"an array", `[]`, []string{"2  invalid_json"}},
		{"an empty object", `{}`, []string{"2  invalid_json"}},
		{"a field without a name", `{"action":"revoke","principal":"u","resource_type":"dataset","resource_id":"d","":"x"}`, []string{"2  invalid_json"}},
		{"half a character", `{"action":"revoke","principal":"u\ud800","resource_type":"dataset","resource_id":"d"}`, []string{"2 principal invalid_text"}},
		{"a NUL", `{"action":"revoke","principal":"u","resource_type":"dataset","resource_id":"d","reason":"a\u0000b"}`, []string{"2 reason invalid_text"}},
		{"a NUL inside an object", `{"action":"revoke","principal":"u","resource_type":"dataset","resource_id":"d","x":{"y":"a\u0000b"}}`, []string{"2 x invalid_type"}},
		{"a contradiction", `{"action":"revoke","principal":"u1","resource_type":"qa_resource","resource_id":"r1"}`, []string{"2 action conflicting_change"}},
	} {
		b := readLines(t, sound, tt.line)
		if diff := cmp.Diff(tt.want, found(b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if b.Total() != 2 {
			t.Errorf("%s: %d rows, want 2", tt.name, b.Total())
		}
	}
}

func TestNDJSONFilesAtFault(t *testing.T) {
	t.Parallel()

	var many strings.Builder
	for i := range 201 {
		many.WriteString(`"f` + strings.Repeat("x", i) + `":"",`)
	}
	for name, tt := range map[string]struct{ file, want string }{
		"empty":      {" \n\n", intake.CodeEmptyFile},
		"csv":        {minimal + "\ngrant,u,dataset,d,\n", intake.CodeNotNDJSON},
		"array":      {"[" + sound + "]", intake.CodeNotNDJSON},
		"utf-16":     {"\xff\xfe{\x00}\x00", intake.CodeInvalidEncoding},
		"gb18030":    {`{"action":"` + "\xd5\xc5" + `"}`, intake.CodeInvalidEncoding},
		"many names": {"{" + many.String() + `"z":""}`, intake.CodeTooManyFields},
		"too large":  {sound + strings.Repeat(" ", 4096), intake.CodeFileTooLarge},
		"too many":   {strings.Repeat(sound+"\n", 4), intake.CodeTooManyRows},
	} {
		_, err := intake.ReadNDJSON(strings.NewReader(tt.file), intake.Options{Today: today, MaxRows: 3, MaxBytes: 24_000})
		if tt.want == intake.CodeFileTooLarge {
			_, err = intake.ReadNDJSON(strings.NewReader(tt.file), intake.Options{Today: today, MaxBytes: 4096})
		}
		if refused, ok := errors.AsType[*intake.FileError](err); !ok || refused.Code != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

// What is carried through stands in the results as it was written.
func TestNDJSONCarriesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()

	b := readLines(t, strings.Replace(sound, "{", `{"n":1.50e3,"o":{"a":[1,"}"]},"s":"'=x","t":true,"u":"\u5f20",`, 1))
	if diff := cmp.Diff([]string{"1.50e3", `{"a":[1,"}"]}`, "'=x", "true", "张"}, b.Row(0).Cells[:5]); diff != "" || b.Invalid != nil {
		t.Errorf("errors %v, cells (-want +got):\n%s", b.Errors, diff)
	}
	if len(b.Warnings) != 1 || !strings.Contains(b.Warnings[0], `"n", "o", "s", "t", "u"`) {
		t.Errorf("warnings are %q", b.Warnings)
	}
}

func TestDocumentIsReadAsNDJSONIs(t *testing.T) {
	t.Parallel()

	other := strings.ReplaceAll(sound, "u1", "u2")
	d, err := intake.ReadDocument(strings.NewReader(` {"reason":"Q4", "rows" : [`+sound+",\n"+other+` ], "skip_invalid":true} `), options)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Batch(options)
	if err != nil {
		t.Fatal(err)
	}
	want := readLines(t, sound, other)
	want.SHA256 = got.SHA256
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(intake.Batch{})); diff != "" {
		t.Errorf("of the file (-ndjson +json):\n%s", diff)
	}
	equal(t, "rows", rows(want), rows(got))
	if diff := cmp.Diff(map[string]json.RawMessage{"reason": []byte(`"Q4"`), "skip_invalid": []byte("true")}, d.Beside); diff != "" {
		t.Errorf("beside (-want +got):\n%s", diff)
	}
}

func TestDocumentsAtFault(t *testing.T) {
	t.Parallel()

	var members strings.Builder
	for i := range 33 {
		fmt.Fprintf(&members, `,"m%d":1`, i)
	}
	for file, want := range map[string]string{
		"":                                     intake.CodeEmptyFile,
		"[]":                                   intake.CodeInvalidJSON,
		`{"rows":[` + sound:                    intake.CodeInvalidJSON,
		sound:                                  intake.CodeNoRows,
		`{"rows":[]}`:                          intake.CodeNoRows,
		`{"rows":"x"}`:                         intake.CodeInvalidType,
		`{"rows":[],"rows":[]}`:                intake.CodeDuplicateField,
		`{"rows":[1],"a":1,"a":2}`:             intake.CodeDuplicateField,
		`{"rows":[1]` + members.String() + `}`: intake.CodeTooManyFields,
		"{\"rows\":[\"\xd5\xc5\"]}":            intake.CodeInvalidEncoding,
	} {
		_, err := intake.ReadDocument(strings.NewReader(file), options)
		if refused, ok := errors.AsType[*intake.FileError](err); !ok || refused.Code != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	d, err := intake.ReadDocument(strings.NewReader(`{"rows":[1,`+sound+`]}`), options)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := d.Batch(options); err != nil || !cmp.Equal(found(b), []string{"1  invalid_json"}) {
		t.Errorf("%v, %v", err, b)
	}
}

// Whatever comes in, every object of it is a row, sound or not, and a sound row
// asks for something sound.
func FuzzNDJSON(f *testing.F) {
	for _, seed := range []string{
		sound, sound + "\n\n" + sound, "{}", "{\"a\":\n1}", `{"action":1}`, `{"\u0000":"x"}`, `{"a":{"b":["}",{}]}}`, "\ufeff{", `{"a":"\ud800"}`,
		`{"rows":[` + sound + `]}`, `{"rows":[{},[],1,"x",null]}`, `{"rows":[` + sound + `],"lane":"bulk","x":[]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := intake.ReadNDJSON(strings.NewReader(text), options)
		checkRead(t, b, err)
		d, err := intake.ReadDocument(strings.NewReader(text), options)
		if err != nil {
			checkRead(t, nil, err)
			return
		}
		var plain struct {
			Rows []json.RawMessage `json:"rows"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &plain); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		b, err = d.Batch(options)
		checkRead(t, b, err)
	})
}

func checkRead(t *testing.T, b *intake.Batch, err error) {
	t.Helper()
	if err != nil {
		if _, refused := errors.AsType[*intake.FileError](err); !refused {
			t.Fatalf("error %v is no FileError", err)
		}
		return
	}
	checkBatch(t, b)
	for _, name := range b.Header {
		if strings.IndexByte(name, 0) >= 0 {
			t.Fatalf("the header has %q", name)
		}
	}
}
