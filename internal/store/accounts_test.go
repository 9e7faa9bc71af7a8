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
		if err := w.KeepAccounts(t.Context(), found); err != nil {
			t.Fatalf("KeepAccounts: %v", err)
		}
	}
	check := func(maxAge time.Duration, want map[store.Account]string) {
		t.Helper()
		got, err := w.AccountUsers(t.Context(), []store.Account{alice, bob, eve}, maxAge)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("AccountUsers: %v (-want +got)\n%s", err, diff)
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
}
