package quickbi

import (
	"strings"
	"unicode"
)

// MeaningOfDetail explains the DetailMessage of a failure row. No list of these
// texts is published, so what is matched is what is known to occur: codes of
// the API inside the text, the numbered messages of sister operations, and
// phrases in English and Chinese whose subject is plain. Everything else is
// "refused_by_quickbi", not retryable. Whatever the class, it is about this
// row: a row never speaks for the whole account.
func MeaningOfDetail(detail string) Meaning {
	if code, ok := codeWithin(detail); ok {
		return byCode[code]
	}
	lower := strings.ToLower(detail)
	for _, p := range phrases {
		if containsAny(lower, p.any) {
			return byCode[p.code]
		}
	}
	for clause := range strings.FieldsFuncSeq(lower, endsClause) {
		if code, ok := missing(clause); ok {
			return byCode[code]
		}
	}
	return byCode[codeRefused]
}

// CodeOfDetail returns the code with which a DetailMessage begins, such as
// "AE0150010001" in "AE0150010001: This user already exists.", or "" for plain
// text.
func CodeOfDetail(detail string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(detail), ":")
	plain := strings.IndexFunc(word, func(r rune) bool {
		return r != '.' && r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}) < 0
	if plain && strings.ContainsAny(word, "._0123456789") && len(word) <= maxCode {
		return word
	}
	return ""
}

// maxCode is longer than any code that is known.
const maxCode = 64

// codeWithin looks for a word of the text that is exactly a known code.
func codeWithin(detail string) (code string, ok bool) {
	for word := range strings.FieldsFuncSeq(detail, endsWord) {
		word = strings.Trim(word, ".")
		if m, known := byAPICode[word]; known {
			return m.Code, true
		}
	}
	return "", false
}

// phrases say by themselves what they are about. All are lower-case.
var phrases = []struct {
	code string
	any  []string
}{
	{codeThrottled, []string{"flow control", "request throttling", "限流", "请求过于频繁"}},
	{codeServerError, []string{"internal system error", "internal error", "系统内部错误", "系统异常", "系统错误", "系统繁忙"}},
	{codeInvalidExpiry, []string{"expire date is illegal", "date format conversion error", "过期时间不合法", "有效期不合法"}},
	{codeUserLacksFunction, []string{"does not have permission to operate"}},
	{codeUserInWorkspace, []string{"this user already exists"}},
	{codeUserHasRole, []string{"is already assigned this role"}},
	{codeUserNotInWorkspace, []string{"is not a member of the group workspace"}},
	{codeViewerNotAllowed, []string{"members with viewer type are not allowed"}},
	{codeViewerCustomRole, []string{"viewer cannot have custom roles"}},
	{codeAnalystRole, []string{"analyst users do not support", "permissions that analysts cannot grant"}},
	{codeUserGone, []string{
		"user is not in the organization", "user not in the organization", "user is not an organizational user",
		"用户不在组织", "用户不在该组织", "用户不在当前组织", "用户不属于组织", "用户不属于该组织", "用户不属于当前组织", "非组织用户",
	}},
}

// missing tells who a clause says does not exist. It answers only where the
// clause speaks of users or of resources, not of both, and of nothing else but
// the organization that they are missing from.
func missing(clause string) (code string, ok bool) {
	within := containsAny(clause, inOrganization)
	for _, words := range inOrganization {
		clause = strings.ReplaceAll(clause, words, "")
	}
	if !containsAny(clause, absences) || containsAny(clause, otherNouns) {
		return "", false
	}
	user, resource := containsAny(clause, userNouns), containsAny(clause, resourceNouns)
	switch {
	case user && !resource && within:
		return codeUserGone, true
	case user && !resource:
		return codeUserNotExist, true
	case resource && !user:
		return codeResourceNotExist, true
	default:
		return "", false
	}
}

// What missing reads a clause for. All are lower-case.
var (
	absences       = []string{"not exist", "doesn't exist", "not found", "has been deleted", "不存在", "未找到", "找不到", "已删除", "已被删除"}
	inOrganization = []string{"in the organi", "in this organi", "in current organi", "在组织中", "在组织内", "组织中", "组织内"}
	userNouns      = []string{"user", "用户", "成员"}
	resourceNouns  = []string{"resource", "cube", "theme", "dataset", "subject", "资源", "数据集", "主题", "问数"}
	otherNouns     = []string{"group", "role", "workspace", "organi", "组", "角色", "空间"}
)

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// endsWord ends a word at everything that is not part of a code.
func endsWord(r rune) bool {
	return r != '.' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
}

// endsClause ends a clause where the subject of a text may change. Full stops
// stay: they are part of ids and codes.
func endsClause(r rune) bool { return strings.ContainsRune(":;,!?\n：；，。！？、", r) }
