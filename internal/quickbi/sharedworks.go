package quickbi

import (
	"context"
	"encoding/json"
	"time"
)

const querySharesToUserList = "QuerySharesToUserList"

// QuerySharesToUserListResponse is every work authorised to a user.
type QuerySharesToUserListResponse struct {
	Receipt

	Works []SharedWork
}

// SharedWork is one work authorised to a user, with every field that is
// documented, as the API gives it: what it leaves out is empty, and values that
// are not documented are kept. It says nothing of level or expiry.
type SharedWork struct {
	WorksID           string // never empty
	WorkName          string
	WorkType          string // DATAPRODUCT, PAGE, FULLPAGE, REPORT, dashboardOfflineQuery …
	Description       string
	Status            string // 0 or 3 unpublished, 1 published, 2 changed since
	SecurityLevel     string // 0 private, 12 some members, 1 or 11 all members of the workspace
	ThirdPartAuthFlag string // 1 where embedding is on
	OwnerID           string
	OwnerName         string
	ModifyName        string // who changed it last
	WorkspaceID       string
	WorkspaceName     string
	CreateTime        string // milliseconds since 1970
	ModifyTime        string // milliseconds since 1970
	Directory         WorkDirectory
}

// WorkDirectory is where a work is kept. Any field may be empty.
type WorkDirectory struct {
	ID       string
	Name     string
	PathID   string // ids separated by slashes
	PathName string
}

// Created returns CreateTime as a time, zero if it is not milliseconds.
func (w SharedWork) Created() time.Time { return instant(text(w.CreateTime)) }

// Modified returns ModifyTime as a time, zero if it is not milliseconds.
func (w SharedWork) Modified() time.Time { return instant(text(w.ModifyTime)) }

// QuerySharesToUserList lists the works that are authorised to a user
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-querysharestouserlist).
// It has no pages. Whether it counts what a user has through groups is not
// published.
func (c *Client) QuerySharesToUserList(ctx context.Context, userID string) (QuerySharesToUserListResponse, error) {
	if err := firstBroken(querySharesToUserList, anID("userID", userID)); err != nil {
		return QuerySharesToUserListResponse{}, err
	}
	a, err := c.call(ctx, querySharesToUserList, map[string]string{"UserId": userID})
	if err != nil {
		return QuerySharesToUserListResponse{}, err
	}
	return sharesToUserResponse(a)
}

// sharesToUserResponse reads the whole list or nothing: a work without an id
// could be any.
func sharesToUserResponse(a answer) (QuerySharesToUserListResponse, error) {
	rows, ok := list[workRow](a.result)
	if !ok {
		return QuerySharesToUserListResponse{}, a.unreadable()
	}
	out := QuerySharesToUserListResponse{Receipt: a.receipt()}
	for _, row := range rows {
		if line(row.WorksID) == "" {
			return QuerySharesToUserListResponse{}, a.unreadable()
		}
		out.Works = append(out.Works, row.work())
	}
	return out, nil
}

// workRow is a SharedWork on the wire.
type workRow struct {
	WorksID, WorkName, WorkType, Description, Status, SecurityLevel, ThirdPartAuthFlag text

	OwnerID, OwnerName, ModifyName, WorkspaceID, WorkspaceName, CreateTime, ModifyTime text

	Directory json.RawMessage
}

func (r workRow) work() SharedWork {
	// A directory that cannot be read is none: the work is there all the same.
	directory, _ := object[struct{ ID, Name, PathID, PathName text }](r.Directory)
	return SharedWork{
		WorksID: line(r.WorksID), WorkName: line(r.WorkName), WorkType: line(r.WorkType),
		Description: line(r.Description), Status: line(r.Status), SecurityLevel: line(r.SecurityLevel),
		ThirdPartAuthFlag: line(r.ThirdPartAuthFlag),
		OwnerID:           line(r.OwnerID), OwnerName: line(r.OwnerName), ModifyName: line(r.ModifyName),
		WorkspaceID: line(r.WorkspaceID), WorkspaceName: line(r.WorkspaceName),
		CreateTime: line(r.CreateTime), ModifyTime: line(r.ModifyTime),
		Directory: WorkDirectory{
			ID: line(directory.ID), Name: line(directory.Name),
			PathID: line(directory.PathID), PathName: line(directory.PathName),
		},
	}
}
