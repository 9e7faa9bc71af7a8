package quickbi

import "context"

const queryUserInfoByAccount = "QueryUserInfoByAccount"

// AccountName names a user as people know them.
type AccountName struct {
	Account string // of a RAM user: what stands before the @
	Parent  string // the main account of a RAM user, where several have that name; "" for none
}

// QueryUserInfoByAccountResponse is who has an account.
type QueryUserInfoByAccountResponse struct {
	Receipt

	// UserID is the Quick BI id, or "" when the answer names nobody: the page
	// does not say how an account that is not there is answered.
	UserID string
}

// QueryUserInfoByAccount looks a user up by the name of the account
// (https://www.alibabacloud.com/help/en/quick-bi/developer-reference/api-quickbi-public-2022-01-01-queryuserinfobyaccount).
// A name that several RAM users have is refused, and told apart by its parent.
func (c *Client) QueryUserInfoByAccount(ctx context.Context, n AccountName) (QueryUserInfoByAccountResponse, error) {
	if err := firstBroken(queryUserInfoByAccount, anID("Account", n.Account)); err != nil {
		return QueryUserInfoByAccountResponse{}, err
	}
	params := map[string]string{"Account": n.Account}
	if n.Parent != "" {
		params["ParentAccountName"] = n.Parent
	}
	a, err := c.call(ctx, queryUserInfoByAccount, params)
	if err != nil {
		return QueryUserInfoByAccountResponse{}, err
	}
	row, ok := object[struct{ UserID text }](a.result)
	if id := clean(string(row.UserID), maxMessage); ok && (id == "" || !isNoID(id)) {
		return QueryUserInfoByAccountResponse{Receipt: a.receipt(), UserID: id}, nil
	}
	return QueryUserInfoByAccountResponse{}, a.unreadable()
}
