package quickbi

import (
	"errors"
	"net/http"
)

// Class says what an outcome means for the changes in a call.
type Class string

// The classes. They are stored and shown, so their texts are fixed.
const (
	// ClassOK is a success, whatever rows it lists as failed.
	ClassOK Class = "ok"

	// ClassUserGone: a user of the call is not in the organization. For a
	// revoke that is as good as done, unless it is about the caller: see
	// Meaning.MayBeCaller.
	ClassUserGone Class = "user_gone"

	// ClassUser: a user of the call, or a group, can never be given this.
	ClassUser Class = "user"

	// ClassResource: a resource of the call is gone, wrong or closed to us.
	ClassResource Class = "resource"

	// ClassWorkGone: a work of the call is not there. It was deleted, or its id
	// or type was never right. A revoke is as good as done only if reading back
	// shows that the user does not have the work: under another type, access
	// would stay.
	ClassWorkGone Class = "work_gone"

	// ClassPair: a user and a resource do not go together, though others may go
	// with either. Only calls of a single change are refused like this.
	ClassPair Class = "pair"

	// ClassSatisfied: what a grant asks for is so already. No revoke is known
	// to be refused like this, so for one it proves nothing.
	ClassSatisfied Class = "satisfied"

	// ClassMember: the user is a member of the workspace already, and it is not
	// said with which role. [Client.QueryUserRoleInfoInWorkspace] tells: the
	// wanted one makes the grant as good as done, another is for people to
	// judge, and so is none, since custom roles may not be shown.
	ClassMember Class = "member"

	// ClassNotMember: the user is no member of the workspace. For a revoke that
	// is as good as done.
	ClassNotMember Class = "not_member"

	// ClassRequest: a parameter is at fault. If the call held more than one
	// change, one of them may be the reason.
	ClassRequest Class = "request"

	// ClassAccount: credentials, rights, licence, endpoint or clock. Every call
	// would fail, so no change has.
	ClassAccount Class = "account"

	// ClassThrottled: too many calls. Nothing was done; wait.
	ClassThrottled Class = "throttled"

	// ClassTransient: not now. Nothing is known to have been done; repeat.
	ClassTransient Class = "transient"

	// ClassUnknownOutcome: it may have been done, or not.
	ClassUnknownOutcome Class = "unknown_outcome"

	// ClassUnrecognised: a refusal that nobody has seen before.
	ClassUnrecognised Class = "unrecognised"
)

// retryable reports whether the same change can succeed later although nobody
// corrects the change itself.
func (c Class) retryable() bool {
	switch c {
	case ClassAccount, ClassThrottled, ClassTransient, ClassUnknownOutcome:
		return true
	default:
		return false
	}
}

// Classify decides what err, returned by a method of [Client], means. An error
// of any other origin is an unknown outcome, since it proves nothing.
func Classify(err error) Class { return Explain(err).Class }

// Explain is [Classify] with a code and a hint for the person who has to act.
// A code of the API decides whatever the HTTP status: the same ones come with
// 400 and with 500. The status decides where there is no code.
func Explain(err error) Meaning {
	if err == nil {
		return Meaning{Class: ClassOK}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Code == "" {
			return meaningOfStatus(e.HTTPStatus)
		}
		return MeaningOf(e.Code)
	}
	if e, ok := errors.AsType[*AnswerError](err); ok {
		return e.meaning()
	}
	if e, ok := errors.AsType[*TransportError](err); ok && !e.Sent {
		return byCode[codeUnreachable]
	}
	if _, ok := errors.AsType[*CredentialError](err); ok {
		return byCode[codeNoCredentials]
	}
	if _, ok := errors.AsType[*RequestError](err); ok {
		return byCode[codeInvalidParameter]
	}
	return byCode[codeOutcomeUnknown]
}

func (e *AnswerError) meaning() Meaning {
	switch {
	case e.HTTPStatus/100 == 2:
		return byCode[codeOutcomeUnknown]
	case e.Kind == AnswerCutOff:
		return byCode[codeServerError] // refused, and the reason was lost
	default:
		return meaningOfStatus(e.HTTPStatus)
	}
}

func meaningOfStatus(status int) Meaning {
	switch status {
	case http.StatusTooManyRequests:
		return byCode[codeThrottled]
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return byCode[codeServerError]
	case http.StatusGatewayTimeout: // the gateway gave up waiting; what it waited for may go on
		return byCode[codeOutcomeUnknown]
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return byCode[codeTooLarge]
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusProxyAuthRequired, http.StatusMisdirectedRequest:
		return byCode[codeNotQuickBI]
	}
	switch status / 100 {
	case 3:
		return byCode[codeNotQuickBI]
	case 5:
		return byCode[codeServerError]
	default:
		return byCode[codeUnrecognised]
	}
}
