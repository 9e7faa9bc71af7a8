package quickbi

import (
	"context"
	"strconv"
	"time"
)

const (
	addShareReport    = "AddShareReport"
	cancelReportShare = "CancelReportShare"
	queryShareList    = "QueryShareList"
)

// AddShareReportRequest shares one work with one principal.
type AddShareReportRequest struct {
	WorksID     string
	ShareToID   string // of the kind that ShareToType says
	ShareToType Scope  // not ScopeWorkspace
	AuthPoint   Level  // not LevelEdit
	ExpireDate  time.Time
}

// AddShareReport shares a work until ExpireDate, which is sent in milliseconds
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-addsharereport).
//
// What a repeat does is not published: look with [Client.QueryShareList] before
// sending again what may have been done.
func (c *Client) AddShareReport(ctx context.Context, r AddShareReportRequest) (Receipt, error) {
	if err := firstBroken(addShareReport,
		anID("WorksID", r.WorksID),
		anID("ShareToID", r.ShareToID),
		aShareScope(r.ShareToType),
		rule{"AuthPoint", r.AuthPoint != LevelView && r.AuthPoint != LevelExport, "is neither view nor export"},
		rule{"ExpireDate", r.ExpireDate.UnixMilli() <= 0, "is not set"},
	); err != nil {
		return Receipt{}, err
	}
	return c.order(ctx, addShareReport, map[string]string{
		"WorksId":     r.WorksID,
		"ShareToId":   r.ShareToID,
		"ShareToType": strconv.Itoa(int(r.ShareToType)),
		"AuthPoint":   strconv.Itoa(int(r.AuthPoint)),
		"ExpireDate":  strconv.FormatInt(r.ExpireDate.UnixMilli(), 10),
	})
}

func aShareScope(s Scope) rule {
	return rule{"ShareToType", s < ScopeUser || s > ScopeOrganization, "is none of user, group and organization"}
}

// CancelReportShareRequest takes one share back.
type CancelReportShareRequest struct {
	ReportID    string // what AddShareReport calls WorksID
	ShareToID   string // one: lists of ids are not documented
	ShareToType Scope  // not ScopeWorkspace
}

// CancelReportShare stops sharing a work with one principal
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-cancelreportshare).
// What it answers where nothing is shared is not published.
func (c *Client) CancelReportShare(ctx context.Context, r CancelReportShareRequest) (Receipt, error) {
	if err := firstBroken(cancelReportShare,
		anID("ReportID", r.ReportID),
		anID("ShareToID", r.ShareToID),
		aShareScope(r.ShareToType),
	); err != nil {
		return Receipt{}, err
	}
	return c.order(ctx, cancelReportShare, map[string]string{
		"ReportId": r.ReportID, "ShareToIds": r.ShareToID, "ShareToType": strconv.Itoa(int(r.ShareToType)),
	})
}

// QueryShareListResponse is everything a work is shared with.
type QueryShareListResponse struct {
	Receipt

	Shares []Share
}

// Share is one principal that a work is shared with. Fields other than
// ShareToID may be empty.
type Share struct {
	ShareID     string
	ReportID    string
	ShareToID   string // of the kind that ShareToType says; never empty
	ShareToName string
	ShareToType string    // as in [Scope], in digits
	ShareType   string    // the type of the work; the spellings differ from ResourceType
	AuthPoint   string    // as in [Level], in digits
	ExpireDate  string    // as the API gives it
	Expires     time.Time // ExpireDate, if it is milliseconds; else zero
}

// QueryShareList lists the shares of a work that have not expired
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-querysharelist).
// It has no pages.
func (c *Client) QueryShareList(ctx context.Context, reportID string) (QueryShareListResponse, error) {
	if err := firstBroken(queryShareList, anID("reportID", reportID)); err != nil {
		return QueryShareListResponse{}, err
	}
	a, err := c.call(ctx, queryShareList, map[string]string{"ReportId": reportID})
	if err != nil {
		return QueryShareListResponse{}, err
	}
	return shareListResponse(a)
}

// shareListResponse reads the whole list or nothing: a share that names nobody
// could be any.
func shareListResponse(a answer) (QueryShareListResponse, error) {
	rows, ok := list[struct {
		ShareID, ReportID, ShareToID, ShareToName, ShareToType, ShareType, AuthPoint, ExpireDate text
	}](a.result)
	if !ok {
		return QueryShareListResponse{}, a.unreadable()
	}
	out := QueryShareListResponse{Receipt: a.receipt()}
	for _, row := range rows {
		s := Share{
			ShareID: line(row.ShareID), ReportID: line(row.ReportID), ShareToID: line(row.ShareToID),
			ShareToName: line(row.ShareToName), ShareToType: line(row.ShareToType), ShareType: line(row.ShareType),
			AuthPoint: line(row.AuthPoint), ExpireDate: line(row.ExpireDate), Expires: instant(row.ExpireDate),
		}
		if s.ShareToID == "" {
			return QueryShareListResponse{}, a.unreadable()
		}
		out.Shares = append(out.Shares, s)
	}
	return out, nil
}

// instant reads milliseconds since 1970. Zero means that t is none.
func instant(t text) time.Time {
	ms, err := strconv.ParseInt(line(t), 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
