package tasks

import "github.com/usher-bi/usher/internal/access"

// QueryUserInfoByAccount is the operation by which the accounts that rows name
// are looked up, before they are submitted.
const QueryUserInfoByAccount access.Action = "QueryUserInfoByAccount"

// Operations lists every operation of Quick BI that is called, each of which has
// a rate of its own: those of the changes, and those that look something up for
// them.
func Operations() []access.Action { return paced() }
