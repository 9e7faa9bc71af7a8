package tasks_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/testenv"
)

// lasting is what becomes of a grant that is refused for good with a code of
// each class.
var lasting = map[quickbi.Class]store.Status{
	quickbi.ClassUserGone: store.Failed, quickbi.ClassUser: store.Failed, quickbi.ClassResource: store.Failed,
	quickbi.ClassWorkGone: store.Failed, quickbi.ClassPair: store.Failed, quickbi.ClassNotMember: store.Failed,
	quickbi.ClassMember: store.Failed, quickbi.ClassRequest: store.Failed, quickbi.ClassUnrecognised: store.Failed,
	quickbi.ClassSatisfied: store.NoChange,
}

// Every code that is known, through the stand-in: what refuses a row refuses
// exactly that row, with everything the API said; what passes costs nothing but
// time.
func TestEveryCodeDoesWhatItsClassSays(t *testing.T) {
	t.Parallel()
	type refusal struct {
		api     string
		meaning quickbi.Entry
		passing bool
	}
	byUser := map[string]refusal{}
	var o quickbitest.Options
	var changes []access.Change
	o.QAResources = []string{"r"}
	for _, entry := range quickbi.Catalogue() {
		for _, api := range entry.APICodes {
			if entry.Class == quickbi.ClassAccount {
				continue // see below: these refuse everything
			}
			_, stays := lasting[entry.Class]
			user := fmt.Sprintf("u-%d", len(byUser))
			byUser[user] = refusal{api, entry, !stays}
			fault := quickbitest.Fault{Kind: quickbitest.Refuse, Code: api, Message: "said " + api, Match: quickbitest.Match{Users: []string{user}}}
			if len(byUser)%2 == 0 {
				fault.Status = 500 // the older pages: the status decides nothing
			}
			if !stays {
				fault.Times = 1
			}
			o.Faults = append(o.Faults, fault)
			o.Users = append(o.Users, user, "fine-"+user)
			changes = append(changes, change(access.Grant, user, access.QAResource, "r"), change(access.Grant, "fine-"+user, access.QAResource, "r"))
			for _, c := range []int{len(changes) - 2, len(changes) - 1} { // a day of its own keeps each change in a call of its own
				changes[c].Terms.ExpiresOn = expiry.AddDays(len(changes) + c)
			}
		}
	}
	if len(byUser) < 40 {
		t.Fatalf("%d codes in the catalogue", len(byUser))
	}
	w := setup(t, o)
	w.work(t)
	id := w.submit(t, changes)
	w.finish(t, id)
	for _, r := range w.results(t, id) {
		want, refused := byUser[r.Change.Principal.ID]
		switch {
		case !refused || want.passing:
			if r.Status != store.Succeeded {
				t.Errorf("%s (%s): %s is %s %s", want.api, want.meaning.Class, r.Change.Principal.ID, r.Status, r.Code)
			}
		case r.Status != lasting[want.meaning.Class] || r.Code != want.meaning.Code || r.APICode != want.api || r.Message != "said "+want.api || r.RequestID == "":
			t.Errorf("%s (%s): %s, code %q, API code %q, message %q, request %q", want.api, want.meaning.Class, r.Status, r.Code, r.APICode, r.Message, r.RequestID)
		case r.Retryable != want.meaning.Retryable:
			t.Errorf("%s: retryable is %t", want.api, r.Retryable)
		}
	}
}

func TestEveryAccountCodeStopsAndFailsNoRow(t *testing.T) {
	t.Parallel()
	for _, entry := range quickbi.Catalogue() {
		for _, api := range entry.APICodes {
			if entry.Class != quickbi.ClassAccount {
				continue
			}
			t.Run(api, func(t *testing.T) {
				t.Parallel()
				w := setup(t, quickbitest.Options{Users: ids("u", 3), QAResources: ids("r", 1), Faults: []quickbitest.Fault{
					{Kind: quickbitest.Refuse, Code: api, Message: "said " + api},
				}})
				w.work(t, func(o *tasks.Options) { o.ProbeFirst = 50 * time.Millisecond })
				changes := grants(ids("u", 3), ids("r", 1))
				id := w.submit(t, changes)
				testenv.Eventually(t, "the action is stopped, for that reason", func() bool {
					stops, err := w.store.Stops(t.Context())
					return err == nil && len(stops) == 1 && stops[0].Code == entry.Code && stops[0].APICode == api && stops[0].RequestID != ""
				})
				if job := w.job(t, id); job.Counts.Pending != 3 {
					t.Errorf("counts = %+v; no row may fail for the account", job.Counts)
				}
				w.sandbox.ClearFaults()
				if job := w.finish(t, id); job.Outcome != store.OutcomeSucceeded {
					t.Errorf("afterwards: %s, %+v", job.Outcome, job.Counts)
				}
			})
		}
	}
}
