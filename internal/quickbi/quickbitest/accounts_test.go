package quickbitest_test

import (
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

func TestAccountsAreLookedUp(t *testing.T) {
	t.Parallel()

	o := organisation()
	o.Accounts = []quickbitest.Account{{Name: "alice", User: "u1"}, {Name: "bob", Parent: "east", User: "u2"}, {Name: "bob", Parent: "west", User: "u3"}}
	b := setup(t, o)
	ask := func(params string) reply { return b.do(b.signedFor("QueryUserInfoByAccount", params)) }
	for params, user := range map[string]string{"Account=alice": "u1", "Account=bob&ParentAccountName=west": "u3"} {
		if r := ask(params); !strings.Contains(string(r.body), `"UserId":"`+user+`"`) {
			t.Errorf("%s: %d %s, want %s", params, r.status, r.body, user)
		}
	}
	ask("Account=bob").want(t, "User.Duplicate")
	ask("Account=eve").want(t, "User.Not.In.Organization")
	ask("ParentAccountName=west").want(t, "MissingAccount")
	b.RemoveUsers("u3")
	if r := ask("Account=bob"); !strings.Contains(string(r.body), `"UserId":"u2"`) {
		t.Errorf("the other bob has left, and the answer is %s", r.body)
	}

	o.MissingAccount = quickbitest.MissingAccountEmpty
	b = setup(t, o)
	if r := ask("Account=eve"); !strings.Contains(string(r.body), `"Result":{}`) {
		t.Errorf("an account of nobody: %s", r.body)
	}
}
