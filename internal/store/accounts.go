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

const selectAccounts = `
SELECT a.account, a.parent, a.user_id
FROM unnest($1::text[], $2::text[]) AS x (account, parent)
JOIN accounts a ON a.account = x.account AND a.parent = x.parent
WHERE a.looked_up_at > now() - $3::interval`

// AccountUsers returns the Quick BI user ids of those accounts that were looked
// up within maxAge.
func (s *Store) AccountUsers(ctx context.Context, accounts []Account, maxAge time.Duration) (map[Account]string, error) {
	names, parents := make([]string, len(accounts)), make([]string, len(accounts))
	for i, a := range accounts {
		names[i], parents[i] = a.Name, a.Parent
	}
	rows, err := s.pool.Query(ctx, selectAccounts, names, parents, maxAge)
	if err != nil {
		return nil, outward("reading accounts", err)
	}
	found := map[Account]string{}
	var a Account
	var user string
	_, err = pgx.ForEachRow(rows, []any{&a.Name, &a.Parent, &user}, func() error {
		found[a] = user
		return nil
	})
	return found, outward("reading accounts", err)
}

// They are written in one order, lest two writers wait for each other.
const keepAccounts = `
INSERT INTO accounts (account, parent, user_id)
SELECT x.account, x.parent, x.user_id FROM unnest($1::text[], $2::text[], $3::text[]) AS x (account, parent, user_id)
ON CONFLICT (account, parent) DO UPDATE SET user_id = excluded.user_id, looked_up_at = excluded.looked_up_at`

// KeepAccounts remembers the users of accounts that were looked up just now.
func (s *Store) KeepAccounts(ctx context.Context, found map[Account]string) error {
	accounts := slices.SortedFunc(maps.Keys(found), func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Parent, b.Parent))
	})
	names, parents, users := make([]string, len(accounts)), make([]string, len(accounts)), make([]string, len(accounts))
	for i, a := range accounts {
		names[i], parents[i], users[i] = a.Name, a.Parent, found[a]
	}
	_, err := s.pool.Exec(ctx, keepAccounts, names, parents, users)
	return outward("keeping accounts", err)
}
