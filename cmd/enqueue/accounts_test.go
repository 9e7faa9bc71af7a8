package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
)

// quickBI gives the bench an organisation in which accounts can be looked up.
func (b *bench) quickBI() *quickbitest.Server {
	b.t.Helper()
	s := quickbitest.New(&quickbitest.Options{
		Users:    []string{"u1", "u2", "u3"},
		Accounts: []quickbitest.Account{{Name: "alice", User: "u1"}, {Name: "bob", Parent: "east", User: "u2"}, {Name: "bob", Parent: "west", User: "u3"}},
	})
	server := httptest.NewServer(s)
	b.t.Cleanup(server.Close)
	b.vars["QUICKBI_ENDPOINT"] = server.URL
	b.vars["ALIBABA_CLOUD_ACCESS_KEY_ID"], b.vars["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = quickbitest.DefaultAccessKeyID, quickbitest.DefaultAccessKeySecret
	return s
}

const byAccount = `action,principal,resource_type,resource_id,expires_on
grant,account:alice,qa_resource,res-1,2026-12-31
grant,account:west/bob,qa_resource,res-1,2026-12-31
`

func TestRowsNameAccounts(t *testing.T) {
	t.Parallel()

	b := setup(t)
	missing := b.run("csv", b.file(byAccount), "--json").want(t, exitUsage)
	if d := decode[errorDocument](t, missing); d.Error.Code != "settings" || !strings.Contains(d.Error.Message, "ALIBABA_CLOUD_ACCESS_KEY_ID") ||
		!strings.Contains(d.Error.Message, "2 accounts") {
		t.Errorf("without an access key: %+v", d.Error)
	}

	quickBI := b.quickBI()
	id := b.submit(byAccount)
	b.work(func(principal string) *store.Exception {
		if principal != "u3" {
			return nil
		}
		return &store.Exception{Status: store.Failed, Code: "c", Message: "m", Retryable: true}
	})
	results := b.run("results", id).want(t, exitOK).out
	if !strings.Contains(results, "grant,account:alice,") || !strings.Contains(results, "grant,account:west/bob,") || strings.Contains(results, "u1") {
		t.Errorf("results do not have the cells as they were written:\n%s", results)
	}
	bob := store.Account{Name: "bob", Parent: "west"}
	if found, err := b.store.AccountOwners(t.Context(), []store.Account{bob}, store.AccountAges{Known: time.Hour}); err != nil || found[bob].UserID != "u3" {
		t.Errorf("remembered: %v, %v", found, err)
	}

	delete(b.vars, "ALIBABA_CLOUD_ACCESS_KEY_ID") // what is remembered needs none
	again := b.run("ndjson", b.file(`{"action":"grant","principal":"account:alice","resource_type":"qa_resource","resource_id":"res-2","expires_on":"2026-12-31"}`), "--yes").want(t, exitOK)
	if again.out == "" || len(quickBI.Calls()) != 2 {
		t.Errorf("%d look-ups, want those of the first file", len(quickBI.Calls()))
	}
}

func TestAccountsOfNobodyAndOfSeveral(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.quickBI()
	file := b.file(byAccount + "grant,account:bob,qa_resource,res-1,2026-12-31\ngrant,account:eve,qa_resource,res-1,2026-12-31\n")
	o := b.run("csv", file, "--json").want(t, exitRejected)
	d := decode[rejectionDocument](t, o)
	if d.Rows != 4 || len(d.Errors) != 2 || d.Errors[0].Code != "account_ambiguous" || d.Errors[1].Code != "account_unknown" || d.Errors[1].Line != 5 {
		t.Errorf("rejection %+v", d)
	}
	b.run("csv", file).want(t, exitRejected).says(t, "line 4, principal:", "write account:parent/bob", "[account_ambiguous]")

	id := strings.TrimSpace(b.run("csv", file, "--skip-invalid").want(t, exitOK).out)
	failed := b.run("results", id, "--status", "failed").want(t, exitOK).out
	if !strings.Contains(failed, "account:bob") || !strings.Contains(failed, "account_unknown") || strings.Contains(failed, "account:alice") {
		t.Errorf("failed rows:\n%s", failed)
	}
}

func TestADryRunLooksNoAccountUp(t *testing.T) {
	t.Parallel()

	b := offline(t)
	o := b.run("csv", b.file(byAccount), "--dry-run", "--json").want(t, exitOK)
	if d := decode[planDocument](t, o); d.Rows != 2 || d.Changes != 2 || len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "2 accounts") {
		t.Errorf("plan %+v", d)
	}
	b.run("csv", b.file(strings.ReplaceAll(byAccount, "alice", "")), "--dry-run").want(t, exitRejected).says(t, "names no account")
}

// The users of a read may be named by account, too.
func TestSharesNameAccounts(t *testing.T) {
	t.Parallel()

	b := setup(t)
	quickBI := b.quickBI()
	for range 2 {
		b.run("shares", "u2", "account:eve", "account:bob", "account:").want(t, exitRejected).
			says(t, "user 2, principal: ", "[account_unknown]", "user 3, principal: ", "[account_ambiguous]", "user 4, principal: ", "[invalid_id]")
	}
	if n := len(quickBI.Calls()); n != 2 {
		t.Errorf("%d look-ups, want one of each account", n)
	}
	b.run("accounts", "forget", "eve").want(t, exitOK).says(t, "Next: ")
	b.run("shares", "account:eve").want(t, exitRejected)
	if n := len(quickBI.Calls()); n != 3 {
		t.Errorf("%d look-ups, want one more of what was forgotten", n)
	}
	id := strings.TrimSpace(b.run("shares", "-f", b.file("user_id\naccount:west/bob\nu1\naccount:alice\n"), "--no-wait").want(t, exitOK).out)
	if rows := records(t, b.run("results", id).want(t, exitOK).out); len(rows) != 4 || rows[1][0] != "u3" || rows[3][0] != "u1" || rows[3][2] != "no_change" {
		t.Errorf("the read is of %q, want of u3, and of u1 once", rows)
	}
}
