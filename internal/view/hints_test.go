package view_test

import (
	"testing"

	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/view"
)

func TestHints(t *testing.T) {
	t.Parallel()

	plain := view.HintFor("expiry_in_the_past") // of a row that was never sent
	if plain.EN == "" || plain.ZH == "" {
		t.Errorf("a row that was never sent has the hint %+v", plain)
	}
	for _, code := range []string{"member_with_other_role", "workspace_role_not_exist", "outcome_unknown", "not_applied", "duplicate_row"} {
		if h := view.HintFor(code); h.EN == plain.EN || h.ZH == plain.ZH || h.EN == "" || h.ZH == "" {
			t.Errorf("%s has the hint %+v", code, h)
		}
	}
	if h := view.HintFor("work_not_exist"); h.EN != quickbi.HintFor("work_not_exist") || h.ZH != quickbi.HintZHFor("work_not_exist") {
		t.Errorf("a code of the catalogue has the hint %+v", h)
	}
}
