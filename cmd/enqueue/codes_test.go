package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/view"
)

var update = flag.Bool("update", false, "write docs/codes.md anew")

const (
	codesFile   = "../../docs/codes.md"
	codesHeader = `# What Quick BI's codes mean

<!-- Generated from the catalogue: go test ./cmd/enqueue -run TestCodesDocument -update -->

Every code that the API pages and the gateway list, what the product makes of it, and what the person who sees it should do.
Our own code is stable and stands in ` + "`result__code`" + `; the API's stands beside it in ` + "`result__api_code`" + `, with its message and
request id. An HTTP status decides only where there is no code. ` + "`enqueue failures JOB`" + ` says the same for the rows of a job.

`
)

// done says in a sentence what the product does about a class of answers.
var done = map[quickbi.Class]string{
	quickbi.ClassUserGone:       "Grant: this user's changes fail, the others in the call go through. Revoke: `no_change`, since who has left has nothing.",
	quickbi.ClassUser:           "This principal's changes fail; the others in the call go through.",
	quickbi.ClassResource:       "The changes about this resource fail; the others in the call go through.",
	quickbi.ClassWorkGone:       "Grant: the change fails. Revoke: what the principal has is read; `no_change` if the work is not there, else the change fails.",
	quickbi.ClassPair:           "The change fails; no other is in its call.",
	quickbi.ClassSatisfied:      "Grant: `no_change`. Revoke: the change fails, since this does not say that access is gone.",
	quickbi.ClassMember:         "The member's role is read: if it is the wanted one `no_change`, else the change fails with both roles, or the role is changed with `--update-role`.",
	quickbi.ClassNotMember:      "Revoke: `no_change`. Anything else fails.",
	quickbi.ClassRequest:        "The call is cut until what is at fault stands alone; that fails, the others go through. A date or a role is shared by all changes of a call, so all of them fail.",
	quickbi.ClassAccount:        "The action stops for all workers, its tasks wait and no row fails; single calls at growing intervals find out when it is over. Only AddWorkspaceUsers gives way to calls for one user.",
	quickbi.ClassThrottled:      "The same call again after the wait that Quick BI asks for; it costs no attempt.",
	quickbi.ClassTransient:      "Repeated with growing pauses, then in smaller calls; what still fails is marked retryable.",
	quickbi.ClassUnknownOutcome: "Sent again where that is harmless; grants of works and shares are looked for first. What stays unknown is listed as `unknown`.",
	quickbi.ClassUnrecognised:   "The change fails with everything that the API said; after a run of them the action stops as if the account were refused.",
}

// codesDocument renders the catalogue.
func codesDocument() string {
	var b strings.Builder
	b.WriteString(codesHeader)
	b.WriteString("## Codes of the API\n\n`*` and `<Parameter>` stand for any ending. † is also said of the owner of the AccessKey: when everything is refused\n" +
		"with it, the product asks about a user who was served before, and stops the action if that is refused too.\n\n" +
		"| API code | class | our code | what the product does | what to do | 如何处理 |\n| --- | --- | --- | --- | --- | --- |\n")
	var rows, bare []string
	for _, e := range quickbi.Catalogue() {
		rest := fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n", e.Class, e.Code, done[e.Class], view.HintFor(e.Code).EN, view.HintFor(e.Code).ZH)
		for _, apiCode := range e.APICodes {
			mark := ""
			if quickbi.MeaningOf(apiCode).MayBeCaller {
				mark = " †"
			}
			rows = append(rows, "| `"+apiCode+"`"+mark+" "+rest)
		}
		for _, family := range e.Families {
			rows = append(rows, "| `"+family+"` "+rest)
		}
		if len(e.APICodes)+len(e.Families) == 0 {
			bare = append(bare, rest)
		}
	}
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	b.WriteString(strings.Join(rows, ""))
	b.WriteString("\n## Answers without a code that is known\n\nA lost or unreadable answer, a page of a proxy, a refusal that names no code, or one that nobody has seen before.\n\n" +
		"| class | our code | what the product does | what to do | 如何处理 |\n| --- | --- | --- | --- | --- |\n")
	b.WriteString(strings.Join(bare, ""))
	b.WriteString("\n## Codes of the product\n\nWhat it finds out itself. Rows that are refused before anything is sent say in their own message what to do.\n\n" +
		"| our code | what to do | 如何处理 |\n| --- | --- | --- |\n")
	own := view.OwnHints()
	for _, code := range slices.Sorted(maps.Keys(own)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", code, own[code].EN, own[code].ZH)
	}
	return b.String()
}

// The published table is what the program says.
func TestCodesDocument(t *testing.T) {
	t.Parallel()

	want := codesDocument()
	if *update {
		if err := os.WriteFile(codesFile, []byte(want), 0o644); err != nil { //nolint:gosec // it is published
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, read(t, codesFile)); diff != "" {
		t.Errorf("docs/codes.md is out of date; run: go test ./cmd/enqueue -run TestCodesDocument -update (-want +got)\n%s", diff)
	}
	for _, e := range quickbi.Catalogue() {
		if done[e.Class] == "" {
			t.Errorf("nothing is said of the class %s", e.Class)
		}
		for _, text := range []string{e.Hint, e.HintZH} {
			if strings.ContainsAny(text, "|\n") {
				t.Errorf("%s: the hint %q breaks the table", e.Code, text)
			}
		}
	}
}
