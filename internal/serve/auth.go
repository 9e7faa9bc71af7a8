package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/usher-bi/usher/internal/store"
)

// tokenPrefix lets people and scanners of secrets tell what a token is for.
const tokenPrefix = "usher_"

// NewToken makes the text of a token, of 256 random bits, and what is kept of
// it. The text is shown once and kept nowhere.
func NewToken() (text string, hash store.TokenHash) {
	bits := make([]byte, 32)
	_, _ = rand.Read(bits) // it never fails
	text = tokenPrefix + base64.RawURLEncoding.EncodeToString(bits)
	return text, sha256.Sum256([]byte(text))
}

// authenticate returns the token of a request, if it is in force and not used
// too often.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (store.Token, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text = strings.TrimSpace(text)
	challenge := `Bearer realm="usher"`
	refused := problemf(http.StatusUnauthorized, "token_missing", `send the token in the header "Authorization: Bearer TOKEN"`)
	if strings.EqualFold(scheme, "Bearer") && text != "" {
		by, err := s.tokenOf(r, text)
		if err == nil {
			observed(r.Context()).token = by.Name
			return by, s.pace.admit(by.Name)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return store.Token{}, err
		}
		challenge += `, error="invalid_token"`
		refused = problemf(http.StatusUnauthorized, "token_invalid", "the token is not known, or was revoked")
	}
	w.Header().Set("WWW-Authenticate", challenge)
	return store.Token{}, refused
}

// tokenWithin bounds how long a Postgres that hangs keeps a client waiting.
const tokenWithin = 10 * time.Second

// tokenOf looks a token up by its hash. The hash is compared once more in a time
// that says nothing, whatever the index of the database does.
func (s *Server) tokenOf(r *http.Request, text string) (store.Token, error) {
	if !strings.HasPrefix(text, tokenPrefix) || len(text) != len(tokenPrefix)+base64.RawURLEncoding.EncodedLen(32) {
		return store.Token{}, store.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), tokenWithin)
	defer cancel()
	hash := store.TokenHash(sha256.Sum256([]byte(text)))
	by, kept, err := s.options.Store.TokenOf(ctx, hash)
	if err == nil && subtle.ConstantTimeCompare(hash[:], kept[:]) != 1 {
		return store.Token{}, store.ErrNotFound
	}
	return by, err
}

const actorPrefix = "token:"

// actor is how a token is named where people stand otherwise.
func actor(by store.Token) string { return actorPrefix + by.Name }

// mayUse refuses a lane that is more urgent than the token allows.
func mayUse(by store.Token, lane store.Lane) error {
	lanes := store.Lanes()
	if slices.Index(lanes, lane) < slices.Index(lanes, by.LaneMost) {
		return problemf(http.StatusForbidden, "lane_not_allowed", "the token may use the lane %s at most, not %s", by.LaneMost, lane)
	}
	return nil
}

// pace bounds how often each token is used.
type pace struct {
	limit rate.Limit

	mu       *sync.Mutex
	limiters map[string]*rate.Limiter // by the token's name
}

func newPace(limit rate.Limit) pace {
	return pace{limit: limit, mu: &sync.Mutex{}, limiters: map[string]*rate.Limiter{}}
}

// admit lets a request pass, or says when to come back. A second's worth of
// requests may come at once.
func (p pace) admit(name string) error {
	p.mu.Lock()
	l := p.limiters[name]
	if l == nil {
		l = rate.NewLimiter(p.limit, max(1, int(p.limit)))
		p.limiters[name] = l
	}
	p.mu.Unlock()
	turn := l.Reserve()
	wait := turn.Delay()
	if wait == 0 {
		return nil
	}
	turn.Cancel()
	return &Problem{
		Status: http.StatusTooManyRequests, Code: "too_many_requests", RetryAfter: max(wait, time.Second),
		Detail: "the token is used too often; nothing was accepted. Come back later",
	}
}
