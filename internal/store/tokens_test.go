package store_test

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	hash := store.TokenHash(sha256.Sum256([]byte("secret")))
	token := store.Token{Name: "feed", Source: "hr", Operations: []access.Operation{access.Grant}, LaneMost: store.Normal}
	ops := store.Order{Actor: "ops", Reason: "HR"}
	if err := w.AddToken(ctx, token, hash, ops); err != nil {
		t.Fatal(err)
	}
	other := store.TokenHash(sha256.Sum256([]byte("other")))
	if err := w.AddToken(ctx, token, other, ops); !errors.Is(err, store.ErrTokenExists) {
		t.Errorf("adding it twice: %v", err)
	}
	if _, _, err := w.TokenOf(ctx, other); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown hash: %v", err)
	}
	found, kept, err := w.TokenOf(ctx, hash)
	if diff := cmp.Diff(token, found); err != nil || diff != "" || kept != hash {
		t.Errorf("%v, the token (-want +got):\n%s", err, diff)
	}
	used := func() time.Time {
		t.Helper()
		tokens, err := w.Tokens(ctx)
		if err != nil || len(tokens) != 1 || tokens[0].LastUsedAt == nil {
			t.Fatalf("%v, tokens are %+v", err, tokens)
		}
		return *tokens[0].LastUsedAt
	}
	first := used()
	use := func() {
		t.Helper()
		if _, _, err := w.TokenOf(ctx, hash); err != nil {
			t.Fatal(err)
		}
	}
	if use(); !used().Equal(first) {
		t.Error("a use within the minute was written down")
	}
	w.exec(t, "UPDATE tokens SET last_used_at = now() - interval '2 minutes'")
	if use(); used().Before(first) {
		t.Error("a later use was not written down")
	}

	for _, want := range []bool{true, false} {
		if changed, err := w.RevokeToken(ctx, "feed", ops); err != nil || changed != want {
			t.Errorf("revoking it: %t, %v; want %t", changed, err, want)
		}
	}
	if _, err := w.RevokeToken(ctx, "nobody", ops); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoking what is not there: %v", err)
	}
	if _, _, err := w.TokenOf(ctx, hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that was revoked: %v", err)
	}
	if err := w.AddToken(ctx, token, other, ops); !errors.Is(err, store.ErrTokenExists) {
		t.Errorf("using a name again: %v", err)
	}
	tokens, err := w.Tokens(ctx)
	by := "ops"
	want := token
	want.CreatedBy, want.RevokedBy = by, &by
	if diff := cmp.Diff([]store.Token{want}, tokens, cmpopts.IgnoreFields(store.Token{}, "CreatedAt", "RevokedAt", "LastUsedAt")); err != nil || diff != "" {
		t.Errorf("%v, tokens (-want +got):\n%s", err, diff)
	}
	rows, err := w.sql.Query(ctx, `SELECT event || ' ' || actor || ' ' || (detail ->> 'token') || ' ' || (detail ->> 'reason') FROM audit ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if diff := cmp.Diff([]string{"token.added ops feed HR", "token.revoked ops feed HR"}, events); err != nil || diff != "" {
		t.Errorf("%v, the audit (-want +got):\n%s", err, diff)
	}
}
