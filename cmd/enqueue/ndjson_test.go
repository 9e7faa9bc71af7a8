package main

import (
	"strings"
	"testing"
)

const threeObjects = `{"row_id":"a","action":"grant","principal":"user-1","resource_type":"qa_resource","resource_id":"res-1","expires_on":"2026-12-31"}
{"row_id":"b","action":"grant","principal":"user-2","resource_type":"qa_resource","resource_id":"res-1","expires_on":"2026-12-31","desk":7}
{"row_id":"c","action":"revoke","principal":"user-3","resource_type":"qa_theme","resource_id":"theme-1"}
`

// The same rows are the same job, whichever way they come.
func TestNDJSONSubmits(t *testing.T) {
	t.Parallel()

	b := setup(t)
	o := b.run("ndjson", b.file(threeObjects), "--source", "hr", "--json").want(t, exitOK)
	job := decode[jobDocument](t, o)
	if job.Counts.Total != 3 || job.Source != "hr" || job.Input.Encoding != "utf-8" || job.Input.Delimiter != "" {
		t.Errorf("the job is %+v", job.Job)
	}
	if again := b.submit(threeRows, "--source", "hr"); again != job.ID {
		t.Errorf("the same rows as CSV are job %s, want %s", again, job.ID)
	}
	b.stdin = strings.NewReader(threeObjects)
	if again := decode[jobDocument](t, b.run("ndjson", "-", "--source", "hr", "--json").want(t, exitOK)); !*again.Replayed {
		t.Error("the same rows again were not replayed")
	}
	b.work(allGood)
	results := b.run("results", job.ID).want(t, exitOK)
	if !strings.Contains(results.out, ",desk,result__line") || !strings.Contains(results.out, ",7,2,succeeded") {
		t.Errorf("the results are\n%s", results.out)
	}
}

func TestNDJSONIsRejected(t *testing.T) {
	t.Parallel()

	b := offline(t)
	bad := b.file(strings.Replace(threeObjects, `"user-2"`, "46053", 1))
	b.run("ndjson", bad, "--dry-run").want(t, exitRejected).says(t, "line 2, principal:", "[invalid_type]", "1 error in 3 rows; nothing was written or sent")
	b.run("ndjson", b.file(threeRows), "--dry-run").want(t, exitRejected).says(t, "one JSON object a line")
}
