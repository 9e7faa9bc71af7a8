package e2e_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// auditReport is what audit verify --json prints, as far as it is looked at.
type auditReport struct {
	Intact   bool `json:"intact"`
	Rows     int  `json:"rows"`
	Changes  int  `json:"changes"`
	Unsealed int  `json:"unsealed_rows"`
	Head     struct {
		No   int    `json:"no"`
		Hash string `json:"hash"`
	} `json:"head"`
	Findings []struct {
		Kind  string `json:"kind"`
		Table string `json:"table"`
	} `json:"findings"`
}

// TestAuditIsSealedAndProves follows the audit through programs that have no
// right to rewrite it, a worker that is killed, and somebody who has every right.
func TestAuditIsSealedAndProves(t *testing.T) {
	t.Parallel()

	rows := apart(300)
	d := setup(t, worldOf(rows))
	file := d.file("rows.csv", rows)
	d.env = append(d.env, "WORKER_LEASE=10s")
	first := d.work()
	id := strings.TrimSpace(d.enqueue("csv", file, "--source", "hr", "--requested-by", "ann").want(0).stdout)
	d.tasksDone(1)
	first.kill()
	w := d.work()
	d.enqueue("status", id, "--watch").want(0)
	d.eventually("everything is sealed", func() bool {
		var r auditReport
		d.enqueue("audit", "verify", "--json").want(0).document(&r)
		return r.Unsealed == 0
	})
	var report auditReport
	d.enqueue("audit", "verify", "--json").want(0).document(&report)
	if report.Changes != len(rows) || report.Rows < 2*d.count("SELECT count(*) FROM answers") {
		t.Errorf("report = %+v, want every change and call in it", report)
	}
	if line, ok := w.stderr.logged("audit checkpoint"); !ok || line["hash"] == "" {
		t.Errorf("the worker logged no checkpoint:\n%s", w.stderr.tail())
	}
	checkpoint := fmt.Sprintf("%d:%s", report.Head.No, report.Head.Hash)
	today := time.Now()
	d.enqueue("audit", "export", "--from", today.AddDate(0, 0, -1).Format(time.DateOnly), "--to", today.AddDate(0, 0, 1).Format(time.DateOnly),
		"-o", filepath.Join(d.dir, "pack.zip")).want(0)
	d.enqueue("audit", "verify", "--checkpoint", checkpoint).want(0)

	d.asOwner("retention", "--before", today.AddDate(0, -1, 0).Format("2006-01")).want(2).says("the 3 before it stay")
	d.asOwner("retention", "--before", "2020-01").want(0).says("nothing from before 2020-01")

	if _, err := d.sql.Exec(t.Context(), `SET session_replication_role = replica;
		DELETE FROM calls WHERE id = (SELECT min(id) FROM calls GROUP BY task_no HAVING count(*) = 1 LIMIT 1)`); err != nil {
		t.Fatal(err)
	}
	d.enqueue("audit", "verify", "--json").want(6).document(&report)
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.Kind+" "+f.Table)
	}
	if want := []string{"rows_missing calls", "outcome_unanswered tasks"}; report.Intact || !slices.Equal(found, want) {
		t.Errorf("a call was removed and the report says %q, want %q", found, want)
	}
}

// TestRoleThatCouldRewriteIsNamed has the worker say so, and only then.
func TestRoleThatCouldRewriteIsNamed(t *testing.T) {
	t.Parallel()

	d := setup(t, worldOf(apart(1)))
	const words = "so it could rewrite the audit"
	limited := d.work()
	limited.stop()
	owner := d.work(d.owner)
	owner.stop()
	if text := limited.stderr.tail(); strings.Contains(text, words) {
		t.Errorf("a worker without the right is warned:\n%s", text)
	}
	if text := owner.stderr.tail(); !strings.Contains(text, "owns its tables, "+words) {
		t.Errorf("a worker that is the owner is not warned:\n%s", text)
	}
}
