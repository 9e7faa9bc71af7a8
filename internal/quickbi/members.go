package quickbi

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
)

const addWorkspaceUsers = "AddWorkspaceUsers"

// AddWorkspaceUsersRequest makes several users members of a workspace.
type AddWorkspaceUsersRequest struct {
	WorkspaceID string
	UserIDs     []string // each once; the most that one call takes is not published
	RoleID      int64    // the page knows preset roles only
}

// AddWorkspaceUsersResponse is the answer to a call that was carried out, in
// whole or in part. Its numbers agree with each other and with the request.
type AddWorkspaceUsersResponse struct {
	Receipt

	Total   int // users asked for
	Success int // users added
	Failure int // users refused

	// FailureDetail holds what was said of those refused, and is not empty
	// where there are any. Keys are mostly user ids and messages a text for
	// [MeaningOfDetail], but a key may be a word such as notExsistUserIds and
	// its message the ids, separated by commas.
	FailureDetail map[string]string
}

// AddWorkspaceUsers adds members to a workspace, all with the same role
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-addworkspaceusers).
//
// An [Error] means that nobody was added. An answer whose numbers do not add
// up is an [AnswerError]: somebody was refused, and it is not known who.
func (c *Client) AddWorkspaceUsers(ctx context.Context, r AddWorkspaceUsersRequest) (AddWorkspaceUsersResponse, error) {
	if err := r.check(); err != nil {
		return AddWorkspaceUsersResponse{}, err
	}
	a, err := c.call(ctx, addWorkspaceUsers, map[string]string{
		"WorkspaceId": r.WorkspaceID, "UserIds": strings.Join(r.UserIDs, ","), "RoleId": strconv.FormatInt(r.RoleID, 10),
	})
	if err != nil {
		return AddWorkspaceUsersResponse{}, err
	}
	return membersResponse(a, r.UserIDs)
}

func (r AddWorkspaceUsersRequest) check() error {
	seen := make(map[string]bool, len(r.UserIDs))
	for _, id := range r.UserIDs {
		seen[id] = true
	}
	return firstBroken(addWorkspaceUsers,
		anID("WorkspaceID", r.WorkspaceID),
		anIDList("UserIDs", r.UserIDs),
		rule{"UserIDs", len(seen) < len(r.UserIDs), "holds an id twice, so that the counts of the answer could not be checked"},
		aRole("RoleID", r.RoleID),
	)
}

// membersResponse believes an answer only if it accounts for every user sent.
func membersResponse(a answer, sent []string) (AddWorkspaceUsersResponse, error) {
	row, ok := object[struct {
		Total, Success, Failure integer
		FailureDetail           json.RawMessage
	}](a.result)
	detail, legible := failureDetail(row.FailureDetail)
	all := int64(len(sent))
	total := row.Total.or(all)
	failure := row.Failure.or(all - row.Success.or(-1)) // without either it exceeds all
	success := row.Success.or(all - failure)
	switch {
	case !ok || !legible,
		total != all, failure < 0, failure > all, success != all-failure,
		(failure > 0) != (len(detail) > 0),
		onlyIDs(detail, sent) && int64(len(detail)) != failure:
		return AddWorkspaceUsersResponse{}, a.unreadable()
	}
	return AddWorkspaceUsersResponse{
		Receipt: a.receipt(), Total: len(sent), Success: int(success), Failure: int(failure), FailureDetail: detail,
	}, nil
}

// failureDetail reads a map of messages, also one that is wrapped in a string.
func failureDetail(raw json.RawMessage) (detail map[string]string, ok bool) {
	fields, ok := object[map[string]json.RawMessage](raw)
	for key, value := range fields {
		if detail == nil {
			detail = make(map[string]string, len(fields))
		}
		detail[clean(key, maxMessage)] = words(value)
	}
	return detail, ok
}

// words is a message: a text, or several separated by commas.
func words(raw json.RawMessage) string {
	if texts, ok := list[text](raw); ok && texts != nil {
		parts := make([]string, len(texts))
		for i, t := range texts {
			parts[i] = line(t)
		}
		return strings.Join(parts, ",")
	}
	if raw[0] == '{' {
		return clean(string(raw), maxMessage) // as it is
	}
	var t text
	_ = t.UnmarshalJSON(raw)
	return clean(string(t), maxMessage)
}

// onlyIDs reports whether every key of detail is one of the users sent.
func onlyIDs(detail map[string]string, sent []string) bool {
	known := 0
	for _, id := range sent {
		if _, ok := detail[id]; ok {
			known++
		}
	}
	return known == len(detail)
}
