// Package quickbitest is a strict Quick BI with memory, as an [http.Handler].
//
// It is written from the published pages of the API and knows nothing of the
// client in this repository, so that each checks the other. It verifies
// ACS3-HMAC-SHA256 signatures itself, keeps the published limits, remembers
// who was granted what, and goes wrong on demand. Where the pages are silent it
// takes the reading that is harder on a client, and says so here:
//
//   - Every x-acs-* header that is sent, host, and content-type when sent, must
//     be signed, and nothing else. STS callers send x-acs-accesskey-id and
//     x-acs-security-token, both.
//   - Without "Accept: application/json" a call is refused.
//   - A nonce is used up by the first call that carries it under a right
//     signature, throttled and refused calls included.
//   - Parameters travel in the query or in a form body. Unknown, repeated and
//     empty parameters are refused, and so are ids that appear twice in a list.
//   - CubeIds count against the limit of 100 pairs like the Q&A resources they
//     stand for. A failure row names the Q&A resource and not the dataset; for
//     a dataset without one it names neither.
//   - A grant lasts to the end of its ExpireDay in [Options.Location]. Granting
//     again replaces the day. Today is a valid day.
//   - A revoke that names an unknown user or resource fails like a grant would;
//     a revoke of a grant that does not exist is silent.
//   - A work of another ResourceType than the one sent does not exist. Datasets
//     and data sources are no works to AddShareReport.
//   - The ExpireDay of a work authorization is tomorrow at the earliest, and
//     the authorization lasts to its end. With AuthPoints 11 it is not looked
//     at. ExpireDate is over at its very millisecond.
//   - DeleteAuthorizationByUserId is refused when the user would keep the work
//     through a workspace or a user group, whether or not there is something of
//     the user's own to delete. It leaves shares alone.
//   - ShareToIds takes one id, and RoleId of AddWorkspaceUsers a preset role.
//   - A viewer can join a workspace as viewer only, an analyst as analyst,
//     viewer or in a custom role that allows it. A custom role of some other
//     workspace gives BindRole.NotExist.Error, other numbers User.RoleType.Valid.
//   - AddWorkspaceUsers succeeds even when it fails for every user.
//   - Whoever leaves the organisation, and whatever is deleted, loses its grants.
//   - A caller that hangs up does not undo its call.
//
// # Reading back and steering
//
// Beside the API the handler serves unsigned requests under /_sandbox/. Bodies
// and answers are JSON; unknown fields are refused. A mistake is answered with
// status 400 and {"error":{"code":"…","message":"…"}}; success without data
// with 204.
//
//	GET    /_sandbox/health      {"status":"ok"}
//	GET    /_sandbox/state       the Q&A grants in force, a list of [Grant] ordered by user, kind, resource
//	GET    /_sandbox/works       the work authorizations in force, a list of [Authorization] ordered by work and principal
//	GET    /_sandbox/shares      the shares in force, a list of [Share] ordered by work and principal
//	GET    /_sandbox/members     who is in which workspace, a list of [Member] ordered by workspace and user
//	GET    /_sandbox/calls       every API call received, a list of [Call] in order of arrival
//	GET    /_sandbox/violations  those of the calls that broke a rule the caller could have kept
//	POST   /_sandbox/faults      a list of [Fault], added behind those already there
//	DELETE /_sandbox/faults      removes all faults
//	POST   /_sandbox/users       {"add":["u1"],"remove":["u2"],"types":{"u1":2}}
//	POST   /_sandbox/groups      {"add":{"g1":["u1"]},"remove":["g2"]}
//	POST   /_sandbox/works       {"add":[{"id":"w1","type":"dashboard"}],"remove":["w2"]}, each added one a [Work]
//	POST   /_sandbox/workspaces  {"add":[{"id":"s1","owner":"u1"}],"remove":["s2"]}, each added one a [Workspace]
//	POST   /_sandbox/resources   {"add":{"qa_resources":["r1"],"qa_themes":["t1"],"datasets":{"d1":"r1"}},"remove":["r2","t2","d2"]}
//	POST   /_sandbox/limits      {"rate":50,"rates":{"SmartqAuthorize":10}}, [Limits] in the place of all others
//	POST   /_sandbox/reset       back to what New made: no grants, no calls, the first organisation, faults and limits
//
// Nothing there is protected: serve it on loopback only, as cmd/sandbox does.
package quickbitest
