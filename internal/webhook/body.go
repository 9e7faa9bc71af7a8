package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// TestEvent is the type of a message that somebody asked for, to try a webhook.
const TestEvent = "webhook.test"

// envelope is the body of a message. Its JSON is API.
type envelope struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      any       `json:"data"`
}

// jobData is a job as "enqueue status --json" prints it. Its JSON is API.
type jobData struct {
	store.Job

	Attention *attention `json:"attention,omitempty"` // of job.attention
}

// attention says why a job needs some.
type attention struct {
	Code    string `json:"code"` // held_by_guard, action_stopped or job_failed
	Message string `json:"message"`
}

// testData is what a message of [TestEvent] tells.
type testData struct {
	Webhook string `json:"webhook"`
}

// body is what webhooks are sent about a happening.
func body(h store.Happening) ([]byte, error) {
	data := jobData{Job: h.Job}
	if h.Cause != "" {
		data.Attention = &attention{Code: h.Cause, Message: h.Why}
	}
	return encode(envelope{Type: string(h.Event), Timestamp: h.At.UTC(), Data: data})
}

// TestBody is what the webhook of that name is sent to try it.
func TestBody(webhook string, at time.Time) ([]byte, error) {
	return encode(envelope{Type: TestEvent, Timestamp: at.UTC(), Data: testData{Webhook: webhook}})
}

func encode(e envelope) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
