package quickbitest

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// window holds the calls of one action that were let through in the last
// second, oldest first.
type window []time.Time

// admit lets a call through, or returns how long to wait until one would be.
// No span of one second, wherever it begins, holds more than rate calls. Right
// after the rate was lowered the last second may hold more; then a call has to
// wait until enough of them are over.
func (w *window) admit(now time.Time, rate int) (wait time.Duration) {
	for len(*w) > 0 && now.Sub((*w)[0]) >= time.Second {
		*w = (*w)[1:]
	}
	if over := len(*w) - rate; rate > 0 && over >= 0 {
		return (*w)[over].Add(time.Second).Sub(now)
	}
	*w = append(*w, now)
	return 0
}

// throttled is the refusal of a call over the rate. The gateway answers 400.
func throttled(wait time.Duration, style Hint) *refusal {
	return &refusal{code: "Throttling.User", message: "Request was denied due to user flow control.", header: hint(wait, style)}
}

// hint tells wait in milliseconds, rounded up, in the headers that official
// clients read. Of the two older headers the larger TimeLeft counts.
func hint(wait time.Duration, style Hint) http.Header {
	ms := (wait + time.Millisecond - 1).Milliseconds()
	h := http.Header{}
	switch {
	case ms <= 0 || style == HintNone:
	case style == HintRateLimit:
		h.Set("X-Ratelimit-User-Api", fmt.Sprintf("Limit:1,Remain:0,TimeLeft:%d,Reset:%d", ms, ms))
		h.Set("X-Ratelimit-User", "Limit:100,Remain:99,TimeLeft:0,Reset:0")
	default:
		h.Set("X-Acs-Retry-After", strconv.FormatInt(ms, 10))
	}
	return h
}

// nonces remembers which were used. A call dated 15 minutes ahead stays valid
// for half an hour, so that is how long.
type nonces struct {
	used  map[string]time.Time
	swept time.Time
}

// use reports whether nonce is new, and remembers it.
func (n *nonces) use(nonce string, now time.Time) bool {
	if now.Sub(n.swept) > 2*maxSkew {
		maps.DeleteFunc(n.used, func(_ string, at time.Time) bool { return now.Sub(at) > 2*maxSkew })
		n.swept = now
	}
	if _, seen := n.used[nonce]; seen {
		return false
	}
	n.used[nonce] = now
	return true
}
