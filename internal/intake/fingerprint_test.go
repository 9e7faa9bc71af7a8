package intake_test

import (
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/intake"
)

func TestFingerprintIsOfWhatRowsMean(t *testing.T) {
	t.Parallel()
	want := read(t, minimal+",row_id,reason,ticket,role", "grant,u,qa_resource,r,2027-01-01,7,joiner,,", "revoke,v,qa_theme,s,,,,T,").Fingerprint("hr")
	for name, file := range map[string][]string{
		"column order": {"role,ticket,reason,row_id,expires_on,resource_id,resource_type,principal,action", ",,joiner,7,2027-01-01,r,qa_resource,u,grant", ",T,,,,s,qa_theme,v,revoke"},
		"alias, case and spelling": {
			"ACTION,user_id,resource_type,resource_id,expires_on,row_id,reason,ticket", " Grant,u,QA_Resource,r,2027-01-01,7,joiner,", "REVOKE,v,qa_theme,s,,,,T",
		},
		"delimiter":           {"action;principal;resource_type;resource_id;expires_on;row_id;reason;ticket", "grant;u;qa_resource;r;2027-01-01;7;joiner;", "revoke;v;qa_theme;s;;;;T"},
		"unknown columns":     {"x," + minimal + ",row_id,reason,ticket", "1,grant,u,qa_resource,r,2027-01-01,7,joiner,", "2,revoke,v,qa_theme,s,,,,T"},
		"type written out":    {minimal + ",row_id,reason,ticket,principal_type", "grant,u,qa_resource,r,2027-01-01,7,joiner,,user", "revoke,v,qa_theme,s,,,,T,"},
		"lines and quotes":    {minimal + ",row_id,reason,ticket", "", `grant,"u",qa_resource,r,2027-01-01,7,joiner,`, "", "revoke,v,qa_theme,s,,,,T"},
		"columns of a result": {minimal + ",row_id,reason,ticket,result__status", "grant,u,qa_resource,r,2027-01-01,7,joiner,,failed", "revoke,v,qa_theme,s,,,,T,"},
	} {
		if got := read(t, file...).Fingerprint("hr"); got != want {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	if len(want) != 64 || strings.Trim(want, "0123456789abcdef") != "" {
		t.Errorf("%q is no SHA-256 in hex", want)
	}
}

func TestFingerprintsDiffer(t *testing.T) {
	t.Parallel()
	const header = minimal + ",row_id,reason,ticket"
	seen := map[string]string{}
	add := func(name, fingerprint string) {
		if other, ok := seen[fingerprint]; ok {
			t.Errorf("%q has the fingerprint of %q", name, other)
		}
		seen[fingerprint] = name
	}
	for _, rows := range [][]string{
		{"grant,u,qa_resource,r,2027-01-01,7,ab,c"},
		{"grant,u,qa_resource,r,2027-01-01,7,a,bc"},
		{"grant,u,qa_resource,r,2027-01-01,7,abc,"},
		{"grant,u,qa_resource,r,2027-01-01,,ab,c"},
		{"grant,u,qa_resource,r,2027-01-01,8,ab,c"},
		{"grant,u,qa_resource,r,2027-01-02,7,ab,c"},
		{"grant,u,qa_resource,R,2027-01-01,7,ab,c"},
		{"grant,U,qa_resource,r,2027-01-01,7,ab,c"},
		{"grant,u,qa_theme,r,2027-01-01,7,ab,c"},
		{"revoke,u,qa_resource,r,,7,ab,c"},
		{"revoke,u,qa_resource,r,,7,ab,c", "revoke,v,qa_resource,r,,8,ab,c"},
		{"revoke,v,qa_resource,r,,8,ab,c", "revoke,u,qa_resource,r,,7,ab,c"},
		{"revoke,u,qa_resource,r,,7,ab,c", "revoke,u,qa_resource,r,,8,ab,c"},
		{"revoke,u,qa_resource,r,,7,ab,c", "revoke,u v,qa_resource,r,,8,ab,c"},
		{"revoke,u,qa_resource,r,,7,ab,c", "revoke,u w,qa_resource,r,,8,ab,c"},
	} {
		add(strings.Join(rows, "\n"), read(t, append([]string{header}, rows...)...).Fingerprint("hr"))
	}
	b := read(t, header, "revoke,u,qa_resource,r,,7,ab,c")
	add("no source", b.Fingerprint(""))
	add("other source", b.Fingerprint("nightly"))
}

func TestFingerprintOfAResultFile(t *testing.T) {
	t.Parallel()
	file := func(jobs ...string) *intake.Batch {
		lines := []string{minimal + ", Result__Job_ID ,result__status"}
		for i, job := range jobs {
			lines = append(lines, "revoke,u"+string(rune('a'+i))+",dataset,r,,"+job+",failed")
		}
		return read(t, lines...)
	}
	equal(t, "jobs", []string{"01A", "01B"}, file("01B", " 01A ", "", "01B").ResultOf)
	if got := file("", "").ResultOf; got != nil {
		t.Errorf("a file that names no job is a result of %q", got)
	}
	plain, one, other := file("", "").Fingerprint("hr"), file("01A", "01A").Fingerprint("hr"), file("01A", "01B").Fingerprint("hr")
	if plain == one || one == other || plain == other {
		t.Errorf("result files of different jobs have one fingerprint: %s, %s, %s", plain, one, other)
	}
	if again := file("01B", "01A").Fingerprint("hr"); again != other {
		t.Error("the same jobs in another order have another fingerprint")
	}
	if again := file("01A", "").Fingerprint("hr"); again != one {
		t.Error("the same result file has another fingerprint")
	}
	if got := read(t, minimal, "revoke,ua,dataset,r,", "revoke,ub,dataset,r,").Fingerprint("hr"); got != plain {
		t.Error("an empty column result__job_id counts")
	}
	short := read(t, minimal+",result__job_id", "revoke,ua,dataset,r", `revoke,u"b,dataset,r,,01B`, "revoke,uc,dataset,r,,01A")
	equal(t, "jobs of a file with bad rows", []string{"01A"}, short.ResultOf)
}

func TestFingerprintCountsTheDefaultExpiry(t *testing.T) {
	t.Parallel()
	file := []string{minimal, "grant,u,qa_resource,r,", "grant,v,qa_resource,r,", "grant,,qa_resource,r,", "grant,w,qa_resource,r,2027-01-01"}
	short, long := options, options
	short.DefaultExpiryDays, long.DefaultExpiryDays = 30, 40
	later := long
	later.Today = today.AddDays(1)
	first := readWith(t, long, file...)
	got := first.Fingerprint("hr")
	if again := readWith(t, later, file...).Fingerprint("hr"); again != got {
		t.Error("the same file has another fingerprint on the next day")
	}
	if readWith(t, short, file...).Fingerprint("hr") == got {
		t.Error("two default expiries have one fingerprint")
	}
	dated := first.DatedFingerprint("hr")
	if readWith(t, later, file...).DatedFingerprint("hr") == dated {
		t.Error("the next day does not count")
	}
	written := read(t, strings.Split(strings.ReplaceAll(strings.Join(file, "\n"), "r,\n", "r,2027-01-01\n"), "\n")...)
	if written.Fingerprint("hr") != dated || written.DatedFingerprint("hr") != dated || written.FillsIn() || !first.FillsIn() {
		t.Error("a default expiry is not dated as the same day written out")
	}
}

func TestAppendCells(t *testing.T) {
	t.Parallel()
	layout := intake.LayoutOf([]string{"Ticket", "USER_ID ", "Team", "\ufeffaction", "principal", "row_id"})
	row := intake.Row{Line: 9, RowID: "hr-9", Change: revoke("u", "r"), Ticket: "T"}
	equal(t, "rebuilt", []string{"before", "T", "u", "", "revoke", "", "hr-9"}, layout.AppendCells([]string{"before"}, row))
	row.RowID = "line-9"
	equal(t, "without an id", []string{"T", "u", "", "revoke", "", ""}, layout.AppendCells(nil, row))
	row.Cells = []string{"T", " u ", "", "Revoke", "", ""}
	equal(t, "as given", row.Cells, layout.AppendCells(nil, row))
}
