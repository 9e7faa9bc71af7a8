package view

import (
	"cmp"
	"maps"

	"github.com/usher-bi/usher/internal/quickbi"
)

// CodeOutcomeUnknown is the code of a change that was sent and never answered.
const CodeOutcomeUnknown = "outcome_unknown"

// Hint says what a person should do about a code of ours, in English and in
// Chinese.
type Hint struct{ EN, ZH string }

// ownHints are for what this product says itself and Quick BI never does, and
// for what it can help with where Quick BI cannot.
var ownHints = map[string]Hint{
	"duplicate_row": {
		"Nothing: the row repeats an earlier one of the same file, which counts for both.",
		"无需处理：该行与同一文件中更早的一行重复，以更早的一行为准。",
	},
	"member_with_other_role": {
		"Decide which role is right: leave the member as it is, or submit these rows again with --update-role.",
		"请确认应使用哪个空间角色：保持现状，或加上 --update-role 重新提交这些行。",
	},
	"not_applied": {
		"Retry: it was sent and never answered, and a later look found that it was not carried out.",
		"请重试：请求已发送但没有收到响应，之后核对发现变更没有生效。",
	},
	CodeOutcomeUnknown: {
		"For works and shares run \"enqueue verify JOB\", and look in Quick BI at what it cannot tell; all else can be retried without harm.",
		"作品授权和分享请用 \"enqueue verify JOB\" 核对，无法核对的请在 Quick BI 中查看；其他变更可以直接重试，重复执行没有影响。",
	},
	"workspace_role_not_exist": {
		"Write the role as the workspace names it in Quick BI, or give its id.",
		"请按 Quick BI 中该空间的角色名称填写，或填写角色 ID。",
	},
}

// OwnHints lists the hints of codes that Quick BI knows nothing of.
func OwnHints() map[string]Hint { return maps.Clone(ownHints) }

// correctIt is for rows that were never sent: their own message says why.
var correctIt = Hint{
	"Correct these rows in the file that \"enqueue results JOB --status failed -o FILE\" writes, and submit it.",
	"请在 \"enqueue results JOB --status failed -o FILE\" 写出的文件中更正这些行，然后重新提交。",
}

// HintFor says what to do about a failure. A code that nothing is known of is
// one of rows that were never sent.
func HintFor(code string) Hint {
	if h, ok := ownHints[code]; ok {
		return h
	}
	return Hint{
		EN: cmp.Or(quickbi.HintFor(code), correctIt.EN),
		ZH: cmp.Or(quickbi.HintZHFor(code), correctIt.ZH),
	}
}
