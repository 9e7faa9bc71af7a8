package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// seal seals what there is, as the worker does in passing.
func (b *bench) seal() store.Seal {
	b.t.Helper()
	seal, sealed, err := b.store.NewSealer().Seal(b.t.Context())
	if err != nil || !sealed {
		b.t.Fatalf("Seal = %t, %v", sealed, err)
	}
	return seal
}

// tamper does what only a superuser can who hides his traces.
func (b *bench) tamper(sql string) {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.vars["DATABASE_URL"])
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(b.t.Context()))
	if _, err := conn.Exec(b.t.Context(), "SET session_replication_role = replica; "+sql); err != nil {
		b.t.Fatal(err)
	}
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.run("audit", "verify").want(t, exitOK)
	b.submit(threeRows)
	b.work(refusing(map[string]store.Exception{"user-2": gone}))
	head := b.seal().Checkpoint()
	checkpoint := fmt.Sprintf("%d:%s", head.No, head.Hash)
	o := b.run("audit", "verify", "--checkpoint", checkpoint).want(t, exitOK)
	for _, want := range []string{"The audit is intact. Checked: 7 rows of 1 seal, 3 changes of 1 job.", "Checkpoint: " + checkpoint} {
		if !strings.Contains(o.out, want) {
			t.Errorf("stdout lacks %q:\n%s", want, o.out)
		}
	}
	b.tamper("UPDATE answers SET message = 'forged' WHERE call_id = (SELECT min(call_id) FROM answers)")
	o = b.run("audit", "verify").want(t, exitJobFailed)
	for _, want := range []string{"answers: rows_changed, seal 1, month ", ": 2 rows recorded, 2 found; written from - to ", "The audit is NOT intact."} {
		if !strings.Contains(o.out, want) {
			t.Errorf("stdout lacks %q:\n%s", want, o.out)
		}
	}
	report := decode[store.AuditReport](t, b.run("audit", "verify", "--json").want(t, exitJobFailed))
	if report.Intact || len(report.Findings) != 1 || report.Findings[0].Kind != store.RowsChanged {
		t.Errorf("report = %+v", report)
	}
	b.run("audit", "verify", "--from", "2030-01-01").want(t, exitOK)
	for _, wrong := range [][]string{{"--from", "yesterday"}, {"--from", "2026-02-01", "--to", "2026-01-31"}, {"--checkpoint", "1"}} {
		b.run(append([]string{"audit", "verify"}, wrong...)...).want(t, exitUsage)
	}
}

// unpack reads a pack and checks its hashes.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := map[string]string{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	for line := range strings.Lines(files["SHA256SUMS"]) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := sha256.Sum256([]byte(files[name])); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s hashes to %x, SHA256SUMS says %s", name, got, sum)
		}
	}
	return files
}

func TestAuditExport(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit("row_id,action,principal,resource_type,resource_id,expires_on,ticket\n"+
		"a,grant,-user-1,qa_resource,res-1,2099-12-31,HR-1\nb,grant,user-2,qa_resource,res-1,2099-12-31,HR-2\n",
		"--source", "hr", "--reason", "=joiners", "--requested-by", "ann", "--key", "k1")
	b.work(refusing(map[string]store.Exception{"user-2": gone}))
	head := b.seal().Checkpoint()
	path := filepath.Join(t.TempDir(), "pack.zip")
	write(t, path, "an older file")
	today := time.Now()
	from, to := today.AddDate(0, 0, -1).Format(time.DateOnly), today.AddDate(0, 0, 1).Format(time.DateOnly)
	done := decode[exportDocument](t, b.run("audit", "export", "--from", from, "--to", to, "-o", path, "--json").want(t, exitOK))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the pack is %v, %v; want it for its owner only", info.Mode(), err)
	}

	files := unpack(t, path)
	var m manifest
	if err := json.Unmarshal([]byte(files["manifest.json"]), &m); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, f := range m.Files {
		rows[f.Name] = f.Rows
		if !strings.Contains(files["SHA256SUMS"], f.SHA256+"  "+f.Name) {
			t.Errorf("%s hashes otherwise in the manifest", f.Name)
		}
	}
	if diff := cmp.Diff(map[string]int{"changes.csv": 2, "calls.csv": 1, "events.csv": 2, "seals.csv": 1}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if m.MadeBy != "tess@desk" || !m.Verification.Intact || *m.Verification.Head != head || done.Verification.Head.Hash != head.Hash {
		t.Errorf("manifest = %+v", m)
	}

	changes := parseCSV(t, strings.TrimPrefix(files["changes.csv"], byteOrderMark))
	accepted, finished := changes[1][1], changes[1][24]
	want := [][]string{
		packedChangeColumns,
		{
			id, accepted, "ann", "hr", "'=joiners", "k1", "2", "a", "grant", "user", "'-user-1", "qa_resource", "res-1", "", "2099-12-31", "", "HR-1", "",
			"succeeded", "", "", "", "req-ok", "1", finished,
		},
		{
			id, accepted, "ann", "hr", "'=joiners", "k1", "3", "b", "grant", "user", "user-2", "qa_resource", "res-1", "", "2099-12-31", "", "HR-2", "",
			"failed", gone.Code, gone.Message, gone.APICode, gone.RequestID, "1", finished,
		},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	calls := parseCSV(t, strings.TrimPrefix(files["calls.csv"], byteOrderMark))
	if got := calls[1]; got[1] != id || got[5] != "w" || got[6] != "SmartqAuthorize" || got[8] != "ok" || got[12] != "req-ok" || got[13] != "1" {
		t.Errorf("call = %q", got)
	}
	seals := parseCSV(t, strings.TrimPrefix(files["seals.csv"], byteOrderMark))
	if sum := sha256.Sum256([]byte(strings.Join(seals[1][:5], "\n"))); hex.EncodeToString(sum[:]) != head.Hash {
		t.Errorf("the first seal hashes to %x, want %s", sum, head.Hash)
	}
	events, err := b.store.VerifyAudit(t.Context(), store.AuditQuery{})
	if err != nil || events.Unsealed != 1 {
		t.Errorf("%d events after the export, %v; want that of the export", events.Unsealed, err)
	}

	b.tamper("DELETE FROM calls")
	b.run("audit", "export", "--from", from, "--to", to, "-o", path).want(t, exitJobFailed).says(t, "NOT intact")
	for _, wrong := range [][]string{{"-o", path}, {"--from", from, "--to", to}, {"--from", from, "--to", to, "-o", t.TempDir()}} {
		b.run(append([]string{"audit", "export"}, wrong...)...).want(t, exitUsage)
	}
}

// A job whose rows retention dropped is not shown with zeros.
func TestDroppedJobSaysSo(t *testing.T) {
	t.Parallel()

	b := setup(t)
	id := b.submit(threeRows)
	b.work(allGood)
	b.tamper("UPDATE jobs SET dropped_at = '2026-08-01'")
	for _, command := range []string{"status", "results", "failures", "retry"} {
		b.run(command, id).want(t, exitUsage).says(t, "the rows of job "+id+" were dropped by retention on 2026-08-01")
		if doc := decode[errorDocument](t, b.run(command, id, "--json").want(t, exitUsage)); doc.Error.Code != "job_dropped" {
			t.Errorf("%s --json: %+v", command, doc.Error)
		}
	}
	if list := b.run("jobs").want(t, exitOK).out; !strings.Contains(list, "completed, rows dropped") {
		t.Errorf("jobs says\n%s", list)
	}
	b.run("jobs", "--before", id).want(t, exitOK)
}
