package intake_test

import (
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/intake"
)

func TestInvalidRowsAreCountedAndNotKept(t *testing.T) {
	t.Parallel()
	file := []string{
		"row_id,action,principal,resource_type,resource_id,expires_on", "a,grant,u,qa_resource,r,2027-01-01", "b,grnat,,qa_resource,r,",
		"b,revoke,v,qa_resource,r,", ",grant,w,qa_resource,r,31.12.2026", "c,revoke,u,qa_resource,r,", "d,revoke,x,qa_resource,r,",
	}
	kept := readWith(t, options, file...)
	few := options
	few.DropInvalid, few.MostErrors = true, 3
	got := readWith(t, few, file...)
	equal(t, "total", 6, got.Total())
	equal(t, "sound rows", kept.Len(), got.Len())
	equal(t, "wrong rows, one for a row that contradicts it", 5, got.Wrong())
	equal(t, "wrong rows that are kept", len(kept.Invalid), got.Wrong())
	equal(t, "rows kept", 0, len(got.Invalid))
	equal(t, "problems", len(kept.Errors), got.Problems())
	equal(t, "problems listed", kept.Errors[:3], got.Errors)
}

// Nobody is refused for how much of a file is wrong of which nothing is kept, and a
// message is no longer than people read.
func TestInvalidRowsThatAreNotKeptTakeNoMemory(t *testing.T) {
	t.Parallel()
	few := options
	few.DropInvalid, few.MostErrors = true, 100
	b := readWith(t, few, minimal+strings.Repeat(",x", 995), strings.Repeat("x\n", 20_000))
	equal(t, "wrong rows", 20_000, b.Wrong())
	equal(t, "problems listed", 100, len(b.Errors))
	b = readWith(t, intake.Options{}, "action,principal,resource_type,resource_id,expires_on", "grant,u,qa_resource,r,"+strings.Repeat("期", 100_000))
	if n := len(b.Errors[0].Message); n > 2100 || !strings.HasSuffix(b.Invalid[0].Problem.Message, "期…") {
		t.Errorf("a message of %d bytes ends in %q", n, b.Errors[0].Message[n-10:])
	}
}
