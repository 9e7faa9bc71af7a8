package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Account is the name of a user's account.
type Account struct {
	Name   string
	Parent string // the main account of a RAM user; "" where none was named
}

// AccountOwner is who has an account, or why rows must not name it.
type AccountOwner struct {
	UserID string // Quick BI id; "" for none
	Code   string // of the error of rows that name it, where there is no UserID
	Reason string // likewise, for a person
}

// AccountAges says for how long look-ups are believed.
type AccountAges struct {
	Known   time.Duration // those that found a user
	Unknown time.Duration // those that found none, or several
}

const selectAccounts = `
SELECT a.account, a.parent, a.user_id, a.code, a.reason
FROM unnest($1::text[], $2::text[]) AS x (account, parent)
JOIN accounts a ON a.account = x.account AND a.parent = x.parent
WHERE a.looked_up_at > now() - CASE a.code WHEN '' THEN $3::interval ELSE $4::interval END`

// AccountOwners returns what is believed of those accounts that were looked up.
func (s *Store) AccountOwners(ctx context.Context, accounts []Account, ages AccountAges) (map[Account]AccountOwner, error) {
	names, parents := columnsOf(accounts)
	rows, err := s.pool.Query(ctx, selectAccounts, names, parents, ages.Known, ages.Unknown)
	if err != nil {
		return nil, outward("reading accounts", err)
	}
	found := map[Account]AccountOwner{}
	var a Account
	var o AccountOwner
	_, err = pgx.ForEachRow(rows, []any{&a.Name, &a.Parent, &o.UserID, &o.Code, &o.Reason}, func() error {
		found[a] = o
		return nil
	})
	return found, outward("reading accounts", err)
}

func columnsOf(accounts []Account) (names, parents []string) {
	names, parents = make([]string, len(accounts)), make([]string, len(accounts))
	for i, a := range accounts {
		names[i], parents[i] = a.Name, a.Parent
	}
	return names, parents
}

// They are written in one order, lest two writers wait for each other.
const keepAccounts = `
INSERT INTO accounts (account, parent, user_id, code, reason)
SELECT x.account, x.parent, x.user_id, x.code, x.reason
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS x (account, parent, user_id, code, reason)
ON CONFLICT (account, parent) DO UPDATE
SET user_id = excluded.user_id, code = excluded.code, reason = excluded.reason, looked_up_at = excluded.looked_up_at`

// Anybody can think of names that nobody has.
const dropAccounts = `
DELETE FROM accounts WHERE (account, parent) IN (
    SELECT account, parent FROM accounts WHERE code <> '' AND looked_up_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED)`

// KeepAccounts remembers what was found of accounts that were looked up just now.
// Those of nobody are forgotten after a day.
func (s *Store) KeepAccounts(ctx context.Context, found map[Account]AccountOwner) error {
	accounts := slices.SortedFunc(maps.Keys(found), func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Parent, b.Parent))
	})
	names, parents := columnsOf(accounts)
	users, codes, reasons := make([]string, len(accounts)), make([]string, len(accounts)), make([]string, len(accounts))
	nobody := false
	for i, a := range accounts {
		users[i], codes[i], reasons[i] = found[a].UserID, found[a].Code, found[a].Reason
		nobody = nobody || codes[i] != ""
	}
	_, err := s.pool.Exec(ctx, keepAccounts, names, parents, users, codes, reasons)
	if err == nil && nobody {
		_, err = s.pool.Exec(ctx, dropAccounts)
	}
	return outward("keeping accounts", err)
}

// ForgetAccounts has accounts looked up anew when rows name them next, and says how
// many of them were known. None named means all that nobody has, or several users.
func (s *Store) ForgetAccounts(ctx context.Context, accounts []Account) (int64, error) {
	names, parents := columnsOf(accounts)
	tag, err := s.pool.Exec(ctx, `
DELETE FROM accounts WHERE CASE WHEN cardinality($1::text[]) = 0 THEN code <> '' ELSE (account, parent) IN (SELECT x.account, x.parent FROM unnest($1::text[], $2::text[]) AS x (account, parent)) END`, names, parents)
	return tag.RowsAffected(), outward("forgetting accounts", err)
}
