package quickbi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const smartqAuthorize = "SmartqAuthorize"

// smartqMaxCells bounds users × resources of one SmartqAuthorize call; its page
// says that more is refused. Datasets become Q&A resources and count as such.
const smartqMaxCells = 100

// SmartqOperation is the OperationType of SmartqAuthorize.
type SmartqOperation int

// The two operations. Granting what is granted sets it anew, expiry included;
// revoking what is not there is skipped. Both may be repeated.
const (
	SmartqGrant  SmartqOperation = 0
	SmartqRevoke SmartqOperation = 1
)

// SmartqAuthorizeRequest asks for every user × every resource at once.
type SmartqAuthorizeRequest struct {
	Operation     SmartqOperation
	UserIDs       []string // Quick BI ids, not Alibaba Cloud UIDs
	LlmCubes      []string // Q&A resources
	LlmCubeThemes []string // analysis themes
	CubeIDs       []string // datasets; not together with LlmCubes
	ExpireDay     string   // YYYY-MM-DD; empty makes Quick BI choose seven days
}

// SmartqAuthorizeResponse is the answer to a call that was carried out, in
// whole or in part.
type SmartqAuthorizeResponse struct {
	RequestID  string
	HTTPStatus int
	Failures   []SmartqFailure // everything not listed succeeded
}

// SmartqFailure is one user who was refused one resource. Any field may be
// empty, but not all of the ids. For a request by dataset, LlmCube names the
// Q&A resource behind it, not the dataset.
type SmartqFailure struct {
	UserID        string
	LlmCube       string
	LlmCubeTheme  string
	DetailMessage string // free text; see [MeaningOfDetail]
}

// SmartqAuthorize grants or revokes Smart Q access
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-smartqauthorize).
//
// An error leaves nothing known to be done; a [RequestError] means that nothing
// was sent. A success may still refuse some: see Failures.
func (c *Client) SmartqAuthorize(ctx context.Context, r SmartqAuthorizeRequest) (SmartqAuthorizeResponse, error) {
	if err := r.check(); err != nil {
		return SmartqAuthorizeResponse{}, err
	}
	a, err := c.call(ctx, smartqAuthorize, r.params())
	if err != nil {
		return SmartqAuthorizeResponse{}, err
	}
	return smartqResponse(a)
}

// check finds what the API would refuse or, worse, misread.
func (r SmartqAuthorizeRequest) check() error {
	refuse := func(field, format string, args ...any) error {
		return &RequestError{Action: smartqAuthorize, Field: field, Reason: fmt.Sprintf(format, args...)}
	}
	lists := []struct {
		field string
		ids   []string
	}{{"UserIDs", r.UserIDs}, {"LlmCubes", r.LlmCubes}, {"LlmCubeThemes", r.LlmCubeThemes}, {"CubeIDs", r.CubeIDs}}
	for _, list := range lists {
		if slices.ContainsFunc(list.ids, func(id string) bool { return id == "" || strings.Contains(id, ",") }) {
			return refuse(list.field, "holds an empty id or one with a comma, which separates ids")
		}
	}
	resources := len(r.LlmCubes) + len(r.LlmCubeThemes) + len(r.CubeIDs)
	switch {
	case r.Operation != SmartqGrant && r.Operation != SmartqRevoke:
		return refuse("Operation", "is neither grant nor revoke")
	case len(r.UserIDs) == 0:
		return refuse("UserIDs", "is empty")
	case resources == 0:
		return refuse("LlmCubes, LlmCubeThemes and CubeIDs", "are all empty")
	case len(r.CubeIDs) > 0 && len(r.LlmCubes) > 0:
		return refuse("CubeIDs", "cannot share a call with LlmCubes")
	case len(r.UserIDs)*resources > smartqMaxCells:
		return refuse("UserIDs", "times resources is %d, and %d is the most", len(r.UserIDs)*resources, smartqMaxCells)
	}
	return nil
}

func (r SmartqAuthorizeRequest) params() map[string]string {
	params := map[string]string{"OperationType": strconv.Itoa(int(r.Operation))}
	for name, value := range map[string]string{
		"UserIds":       strings.Join(r.UserIDs, ","),
		"LlmCubes":      strings.Join(r.LlmCubes, ","),
		"LlmCubeThemes": strings.Join(r.LlmCubeThemes, ","),
		"CubeIds":       strings.Join(r.CubeIDs, ","),
		"ExpireDay":     r.ExpireDay,
	} {
		if value != "" {
			params[name] = value
		}
	}
	return params
}

func smartqResponse(a answer) (SmartqAuthorizeResponse, error) {
	failures, ok := smartqFailures(a.result)
	if !ok {
		return SmartqAuthorizeResponse{}, a.unreadable()
	}
	return SmartqAuthorizeResponse{RequestID: a.requestID, HTTPStatus: a.status, Failures: failures}, nil
}

// smartqFailures reads a list of rows, also one that is wrapped in a string, as
// older answers of the product do. Rows that name nobody and nothing make the
// whole list unreadable: somebody was refused, and it is not known who.
func smartqFailures(result json.RawMessage) (failures []SmartqFailure, ok bool) {
	rows, ok := list[struct{ UserID, LlmCube, LlmCubeTheme, DetailMessage text }](result)
	if !ok {
		return nil, false
	}
	for _, row := range rows {
		if row.UserID == "" && row.LlmCube == "" && row.LlmCubeTheme == "" {
			return nil, false
		}
		failures = append(failures, SmartqFailure{
			UserID: string(row.UserID), LlmCube: string(row.LlmCube), LlmCubeTheme: string(row.LlmCubeTheme),
			DetailMessage: clean(string(row.DetailMessage), maxMessage),
		})
	}
	return failures, true
}
