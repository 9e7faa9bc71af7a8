// Package webhook tells other programs over HTTP what becomes of jobs, as
// Standard Webhooks (https://www.standardwebhooks.com) has it. What is to be told
// is written down in Postgres first, and sent until it is answered: at least once.
package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// The headers of a message.
const (
	HeaderID        = "Webhook-Id"        // the same for every attempt
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, in seconds since 1970
	HeaderSignature = "Webhook-Signature"
)

// secretPrefix lets people and scanners of secrets tell what a secret is for.
const secretPrefix = "whsec_"

// NewSecret makes a secret of 256 random bits: its text, for whoever receives
// messages, and the key that the text stands for.
func NewSecret() (text string, key store.WebhookKey) {
	key = make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(key), key
}

// NewMessageID makes the id of a message that is in no outbox.
func NewMessageID() string { return "msg_" + strings.ToLower(rand.Text()) }

// Sign returns the signature of a message that is sent at that time.
func Sign(key store.WebhookKey, m Message) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(m.ID + "." + timestamp(m.At) + "."))
	mac.Write(m.Body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
