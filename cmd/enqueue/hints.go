package main

import (
	"cmp"
	"strings"

	"github.com/usher-bi/usher/internal/quickbi"
)

// codeOutcomeUnknown is the code of a change that was sent and never answered.
const codeOutcomeUnknown = "outcome_unknown"

// hint says what a person should do about a code of ours.
type hint struct{ en, zh string }

// ownHints are for what this product says itself and Quick BI never does, and
// for what it can help with where Quick BI cannot.
var ownHints = map[string]hint{
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
	codeOutcomeUnknown: {
		"For works and shares run \"enqueue verify JOB\", and look in Quick BI at what it cannot tell; all else can be retried without harm.",
		"作品授权和分享请用 \"enqueue verify JOB\" 核对，无法核对的请在 Quick BI 中查看；其他变更可以直接重试，重复执行没有影响。",
	},
	"workspace_role_not_exist": {
		"Write the role as the workspace names it in Quick BI, or give its id.",
		"请按 Quick BI 中该空间的角色名称填写，或填写角色 ID。",
	},
}

// correctIt is for rows that were never sent: their own message says why.
var correctIt = hint{
	"Correct these rows in the file that \"enqueue results JOB --status failed -o FILE\" writes, and submit it.",
	"请在 \"enqueue results JOB --status failed -o FILE\" 写出的文件中更正这些行，然后重新提交。",
}

// hintFor says what to do about a failure.
func hintFor(code string) hint {
	if h, ok := ownHints[code]; ok {
		return h
	}
	return hint{
		en: cmp.Or(quickbi.HintFor(code), correctIt.en),
		zh: cmp.Or(quickbi.HintZHFor(code), correctIt.zh),
	}
}

// languages are those in which whoever gave the command is told what to do.
type languages struct{ chinese bool }

// languages are English, and Chinese too where the locale is.
func (a *app) languages() languages {
	locale := cmp.Or(a.lookup("LC_ALL"), a.lookup("LC_MESSAGES"), a.lookup("LANG"))
	return languages{chinese: strings.HasPrefix(strings.ToLower(locale), "zh")}
}

// hints are what to do about a failure, a line a language.
func (l languages) hints(code string) []string {
	h := hintFor(code)
	if l.chinese {
		return []string{h.en, h.zh}
	}
	return []string{h.en}
}
