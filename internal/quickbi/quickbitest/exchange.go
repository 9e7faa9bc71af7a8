package quickbitest

import (
	"cmp"
	"net/http"
	"time"
)

// oversize is what an oversized answer is padded with.
const oversize = 64 << 20

// exchange is one call on its way through the gateway.
type exchange struct {
	*Server

	r    *http.Request
	call *Call // fields that change are guarded by mu
}

func (x exchange) answer() answer {
	o, fault, bad := x.gateway()
	if bad != nil {
		return x.refuse(bad)
	}
	later(x.r.Context().Done(), x.opts.latency())
	return x.perform(o, fault)
}

// gateway does all that comes before a call takes effect, in the order of the
// real one as far as it is known.
func (x exchange) gateway() (order, Fault, *refusal) {
	body, bad := readBody(x.r)
	if bad == nil {
		bad = checkProtocol(x.r)
	}
	if bad == nil {
		bad = x.creds.verify(x.r, body, x.opts.Now())
	}
	if bad != nil {
		return order{}, Fault{}, bad
	}
	return x.admit(body)
}

// admit takes a call whose sender is known: its nonce, its place in the rate,
// its parameters, and the fault it meets.
func (x exchange) admit(body []byte) (order, Fault, *refusal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.opts.Now()
	if !x.nonces.use(x.r.Header.Get(headerNonce), now) {
		return order{}, Fault{}, &refusal{code: "SignatureNonceUsed", message: "Specified signature nonce was used already.", broke: RuleNonce}
	}
	if bad := checkAction(x.r.Header); bad != nil {
		return order{}, Fault{}, bad
	}
	params, bad := readParams(x.r, body)
	var o order
	if bad == nil {
		o, bad = x.read(params, now)
	}
	x.call.Params = params
	x.call.Users, x.call.Resources, x.call.Pairs = len(o.users), len(o.resources), o.pairs()
	if bad = cmp.Or(x.keepRate(now), x.published(bad)); bad != nil {
		return order{}, Fault{}, bad
	}
	return o, x.strike(o), nil
}

func (x exchange) read(params map[string]string, now time.Time) (order, *refusal) {
	f := form{values: params, now: now, opts: &x.opts}
	action := actions[x.call.Action]
	o := action.read(&f)
	if f.bad == nil && action.most {
		f.bad = o.checkSize(x.opts.MaxPairs)
	}
	return o, f.bad
}

// published gives a refusal by the product, rather than by the gateway, the
// status that the pages of its action tell.
func (x exchange) published(bad *refusal) *refusal {
	if bad != nil && bad.status == 0 && x.opts.old(x.call.Action) {
		bad.status = http.StatusInternalServerError
	}
	return bad
}

func (x exchange) keepRate(now time.Time) *refusal {
	action := x.call.Action
	if x.windows[action] == nil {
		x.windows[action] = &window{}
	}
	wait := x.windows[action].admit(now, x.limits.of(action))
	if wait == 0 {
		return nil
	}
	bad := throttled(wait, x.opts.ThrottleHint)
	bad.broke = RuleRate
	return bad
}

// strike returns the fault that the call meets, with the id filled in that its
// message names, or one of no kind.
func (x exchange) strike(o order) Fault {
	for _, f := range x.faults {
		if f.Kind == Rows && !actions[x.call.Action].shape.failsByItem() {
			continue
		}
		if id, found := f.Match.find(o, x.org); f.strikes(x.call.Action, found) {
			x.call.Fault = f.Kind
			struck := f.Fault
			if f.Kind != Rows { // a row names its own user
				struck.Message = naming(f.Message, id)
			}
			return struck
		}
	}
	return Fault{}
}

// perform carries o out and answers, as far as the fault lets it.
func (x exchange) perform(o order, f Fault) answer {
	if f.Apply && f.Kind != Delay {
		x.apply(o, f)
	}
	switch f.Kind {
	case Delay:
		return x.delay(o, f)
	case LoseAnswer:
		x.apply(o, f)
		return answer{}
	case CutAnswer:
		a := x.apply(o, f)
		a.cut = true
		return a
	case Drop:
		return answer{}
	case Refuse:
		return x.refuse(x.published(&refusal{
			status: f.Status, code: cmp.Or(f.Code, "Internal.System.Error"),
			message: cmp.Or(f.Message, "An internal system error occurred."),
		}))
	case Throttle:
		bad := throttled(time.Duration(f.RetryAfter), cmp.Or(f.Hint, x.opts.ThrottleHint))
		bad.status, bad.code, bad.message = f.Status, cmp.Or(f.Code, bad.code), cmp.Or(f.Message, bad.message)
		return x.refuse(bad)
	case HTML, Empty, Oversized, SuccessFalse:
		return x.nonsense(f)
	default: // Rows, or no fault
		return x.apply(o, f)
	}
}

// apply carries o out and returns the honest answer.
func (x exchange) apply(o order, f Fault) answer {
	out, bad := x.carryOut(o, f)
	if bad != nil {
		return x.refuse(x.published(bad))
	}
	return x.succeed(success{Result: out.result, Success: true})
}

func (x exchange) carryOut(o order, f Fault) (outcome, *refusal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	out, bad := o.do(&scene{organisation: x.org, opts: &x.opts, now: x.opts.Now(), requestID: x.call.RequestID, fault: f})
	if bad == nil {
		x.call.Applied, x.call.Failed = true, out.failed
	}
	return out, bad
}

// succeed answers 200 as the pages of the action spell it.
func (x exchange) succeed(envelope success) answer {
	envelope.RequestID = x.call.RequestID
	if x.opts.old(x.call.Action) {
		return newAnswer(http.StatusOK, x.call.RequestID, aged(envelope))
	}
	return newAnswer(http.StatusOK, x.call.RequestID, envelope)
}

func (x exchange) delay(o order, f Fault) answer {
	var early answer
	if f.Apply {
		early = x.apply(o, f)
	}
	gone := x.r.Context().Done()
	if f.Late {
		gone = nil
	}
	if !later(gone, time.Duration(f.Delay)) {
		return answer{} // nobody is listening
	}
	if f.Apply {
		return early
	}
	return x.apply(o, f)
}

// nonsense is an answer that is no answer.
func (x exchange) nonsense(f Fault) answer {
	shape := actions[x.call.Action].shape
	switch f.Kind {
	case HTML:
		header := http.Header{"Content-Type": {"text/html"}}
		return answer{
			status: cmp.Or(f.Status, http.StatusBadGateway), header: header,
			body: []byte("<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"),
		}
	case Empty:
		a := newAnswer(cmp.Or(f.Status, http.StatusOK), x.call.RequestID, nil)
		a.body = nil
		return a
	case Oversized:
		a := x.succeed(success{Result: shape.blank(true), Success: true})
		a.padding = oversize
		return a
	default:
		return x.succeed(success{Result: shape.blank(false)})
	}
}

func (x exchange) refuse(bad *refusal) answer {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.call.Violation = bad.broke
	return newRefusal(bad, x.call.RequestID, x.r.Host)
}
