package schedule

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/intake/xlsx"
	"github.com/usher-bi/usher/internal/store"
)

// book is the rows of a CSV text as a workbook, with a first sheet of something
// else where the rows have a name.
func book(t *testing.T, sheet, text string) string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := xlsx.NewWriter(&out)
	if sheet != "" {
		if err := w.Sheet("Notes", nil); err != nil {
			t.Fatal(err)
		}
		_ = w.Row([]string{"not", "rows"}) // Close tells
	} else {
		sheet = "rows"
	}
	if err := w.Sheet(sheet, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		_ = w.Row(r) // likewise
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// results reads what lies beside a file of the only run, by the way that files go
// in.
func (w *world) results(name string) *intake.Batch {
	w.t.Helper()
	at := filepath.Join(w.dir, filepath.Dir(name), w.last().Slot.Format("20060102T150405Z")+"-nightly-"+filepath.Base(name))
	content, err := os.ReadFile(at)
	if err != nil {
		w.t.Fatalf("%v, there are %q", err, w.files())
	}
	batch, err := intake.Read(bytes.NewReader(content), intake.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return batch
}

func asked(b *intake.Batch) (all []string) {
	for _, r := range b.Rows() {
		all = append(all, string(r.Change.Operation)+" "+r.Change.Principal.ID)
	}
	return all
}

const bad = "gratn,user-9,qa_resource,res,2099-12-31\n"

// A workbook goes the way of any file, and its results go back in as they are.
func TestWorkbooks(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.FolderSchedule, "in")
	s.Sheet, s.SkipInvalid = "Leavers", true
	w.add(s)
	w.nextNight()
	w.deliver("in/a.XLSX", book(t, "leavers", rows("grant", "user-1", "user-2")+bad))
	w.deliver("in/b.csv", rows("grant", "user-3"))
	w.deliver("in/c.xlsx", book(t, "", rows("grant", "user-4")))
	w.deliver("in/d.xlsx", book(t, "leavers", rows("grant", "user-5"))[:900])
	w.deliver("in/e.csv", strings.TrimSuffix(rows("grant"), "\n")+"\n"+bad)
	w.deliver("in/~$a.xlsx", "somebody has it open")
	w.round()
	if diff := cmp.Diff([]string{
		"grant user-1 qa_resource:res 2099-12-31", "grant user-2 qa_resource:res 2099-12-31", "grant user-3 qa_resource:res 2099-12-31",
	}, w.work("user-2")); diff != "" {
		t.Fatalf("sent (-want +got):\n%s", diff)
	}
	w.round()
	last := w.last()
	var states []string
	for _, in := range last.Inputs {
		states = append(states, in.File+" "+string(in.State))
	}
	if diff := cmp.Diff([]string{"a.XLSX submitted", "b.csv submitted", "c.xlsx rejected", "d.xlsx rejected", "e.csv rejected"}, states); diff != "" {
		t.Fatalf("the inputs (-want +got):\n%s", diff)
	}
	for i, says := range []string{"1 of its 3 rows are invalid; they are recorded as failures and not sent", "", `no sheet "Leavers"`, "cut off", "1 of its 1 rows"} {
		if !strings.Contains(last.Inputs[i].Why, says) {
			t.Errorf("%s: %q, want %q", last.Inputs[i].File, last.Inputs[i].Why, says)
		}
		if want := i == 1; last.Inputs[i].Succeeded != want {
			t.Errorf("%s: succeeded is %t", last.Inputs[i].File, last.Inputs[i].Succeeded)
		}
	}
	if last.State != store.RunRejected || last.Succeeded {
		t.Errorf("the night is %+v", last)
	}
	for name, want := range map[string][]string{
		"in/errors/a.XLSX.results.xlsx": {"grant user-1", "grant user-2"}, "in/done/b.csv.results.csv": {"grant user-3"},
	} {
		got := w.results(name)
		if diff := cmp.Diff(want, asked(got)); diff != "" || len(got.ResultOf) != 1 {
			t.Errorf("%s goes back in as (-want +got):\n%s", name, diff)
		}
		if bad := len(got.Invalid); (bad == 1) != strings.HasPrefix(name, "in/errors") {
			t.Errorf("%s has %d bad rows", name, bad)
		}
	}
	if left := w.files()[len(w.files())-2:]; left[0] != "in/~$a.xlsx" {
		t.Errorf("of the files, %q are left", left)
	}
}

// The full list may be a workbook. A bad row in it revokes nothing.
func TestDesiredWorkbook(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := nightly(store.DesiredSchedule, "access.xlsx")
	s.Sheet = "All"
	w.add(s)
	for _, night := range []struct {
		list  string
		sent  []string
		state store.RunState
	}{
		{rows("grant", "user-1", "user-2", "user-3", "user-4"), []string{
			"grant user-1 qa_resource:res 2099-12-31", "grant user-2 qa_resource:res 2099-12-31",
			"grant user-3 qa_resource:res 2099-12-31", "grant user-4 qa_resource:res 2099-12-31",
		}, store.RunDone},
		{rows("grant", "user-1", "user-2", "user-3") + bad, nil, store.RunRejected},
		{rows("grant", "user-1", "user-2", "user-3"), []string{"revoke user-4 qa_resource:res "}, store.RunDone},
		{rows("grant", "user-3", "user-2", "user-1"), nil, store.RunNothing},
	} {
		w.nextNight()
		w.deliver("access.xlsx", book(t, "all", night.list))
		w.round()
		if diff := cmp.Diff(night.sent, w.work()); diff != "" {
			t.Fatalf("sent (-want +got):\n%s", diff)
		}
		w.round()
		if last := w.last(); last.State != night.state || last.Succeeded == (night.state == store.RunRejected) {
			t.Fatalf("the night is %+v, want %s", last, night.state)
		}
	}
}
