package tasks

import "github.com/usher-bi/usher/internal/access"

// Operations lists every operation of Quick BI that a worker calls, each of
// which has a rate of its own: those of the changes, and those that look
// something up for them.
func Operations() []access.Action { return paced() }
