package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/store"
)

func TestAccountsAreRememberedForAWhile(t *testing.T) {
	t.Parallel()

	w := setup(t)
	alice, bob, eve := store.Account{Name: "alice"}, store.Account{Name: "bob", Parent: "corp"}, store.Account{Name: "bob"}
	keep := func(found map[store.Account]string) {
		t.Helper()
		owners := map[store.Account]store.AccountOwner{}
		for a, user := range found {
			owners[a] = store.AccountOwner{UserID: user}
		}
		if err := w.KeepAccounts(t.Context(), owners); err != nil {
			t.Fatalf("KeepAccounts: %v", err)
		}
	}
	check := func(maxAge time.Duration, want map[store.Account]string) {
		t.Helper()
		owners, err := w.AccountOwners(t.Context(), []store.Account{alice, bob, eve}, store.AccountAges{Known: maxAge})
		got := map[store.Account]string{}
		for a, o := range owners {
			got[a] = o.UserID
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("AccountOwners: %v (-want +got)\n%s", err, diff)
		}
	}
	check(time.Hour, map[store.Account]string{})
	keep(map[store.Account]string{alice: "u1", bob: "u2"})
	keep(map[store.Account]string{alice: "u3"})
	check(time.Hour, map[store.Account]string{alice: "u3", bob: "u2"})
	w.exec(t, `UPDATE accounts SET looked_up_at = looked_up_at - interval '2 hours' WHERE account = 'bob'`)
	check(time.Hour, map[store.Account]string{alice: "u3"})
	keep(map[store.Account]string{bob: "u4"})
	check(time.Hour, map[store.Account]string{alice: "u3", bob: "u4"})

	nobody := map[store.Account]store.AccountOwner{eve: {Code: "account_unknown", Reason: "nobody has it"}}
	for _, found := range []map[store.Account]store.AccountOwner{nobody, {alice: {UserID: "u3"}}} {
		if err := w.KeepAccounts(t.Context(), found); err != nil {
			t.Fatalf("KeepAccounts: %v", err)
		}
	}
	got, err := w.AccountOwners(t.Context(), []store.Account{eve}, store.AccountAges{Unknown: time.Hour})
	if diff := cmp.Diff(nobody, got); err != nil || diff != "" {
		t.Errorf("of nobody: %v (-want +got)\n%s", err, diff)
	}
	w.exec(t, `UPDATE accounts SET looked_up_at = looked_up_at - interval '25 hours'`)
	if err := w.KeepAccounts(t.Context(), map[store.Account]store.AccountOwner{{Name: "mallory"}: {Code: "account_unknown", Reason: "likewise"}}); err != nil {
		t.Fatalf("KeepAccounts: %v", err)
	}
	if n := w.number(t, `SELECT count(*) FROM accounts`); n != 3 {
		t.Errorf("%d accounts are kept, want those of two users and the newest of nobody", n)
	}
}
