package serve_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/usher-bi/usher/internal/accounts"
	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
)

// owners resolves accounts without asking anybody.
type owners struct {
	of  map[intake.Account]intake.Owner
	err error
}

func (o *owners) Resolve(_ context.Context, b *intake.Batch) error {
	if o.err == nil {
		b.Resolve(o.of)
	}
	return o.err
}

func TestRowsNameAccounts(t *testing.T) {
	t.Parallel()

	alice := intake.Account{Name: "alice"}
	known := &owners{of: map[intake.Account]intake.Owner{alice: {UserID: "user-1"}}}
	w := setup(t, func(o *serve.Options) { o.Accounts = known })
	const rows = "action,principal,resource_type,resource_id\nrevoke,account:alice,qa_theme,t-1\n"
	w.post("known", rows, nil).want(t, http.StatusAccepted)
	if again := w.post("known", "action,principal,resource_type,resource_id\nrevoke,user-1,qa_theme,t-1\n", nil); again.StatusCode != http.StatusOK {
		t.Errorf("the same row with the id of the user answers %d, want 200", again.StatusCode)
	}
	known.of[alice] = intake.Owner{Code: intake.CodeAccountUnknown, Reason: "nobody has it"}
	if p := w.post("unknown", rows, nil).problem(t, http.StatusUnprocessableEntity, "input_rejected"); len(p.Errors) != 1 || p.Errors[0].Code != intake.CodeAccountUnknown {
		t.Errorf("an unknown account: %+v", p.Errors)
	}
	known.err = &accounts.LookupError{Err: errors.New("away")}
	w.post("away", rows, nil).problem(t, http.StatusServiceUnavailable, "accounts_unavailable")
	known.err = &accounts.NotConnectedError{Accounts: 1, Err: errors.New("no key")}
	w.post("unconnected", rows, nil).problem(t, http.StatusUnprocessableEntity, "accounts_not_configured")
	without := setupOn(t, &world{database: w.database, redis: w.redis, token: w.newToken(store.Token{Name: "plain", Source: "plain", LaneMost: store.Urgent})})
	without.post("none", rows, nil).problem(t, http.StatusUnprocessableEntity, "accounts_not_configured")
}
