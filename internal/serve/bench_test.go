package serve_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
)

// BenchmarkSubmission is the time from a request to its 202, over a connection,
// with senders beside each other: how many a second, and how long each takes.
func BenchmarkSubmission(b *testing.B) {
	for _, rows := range []int{10, 1000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			w := &world{}
			w.open(b, func(o *serve.Options) { o.Rate, o.Log = 1e6, zerolog.Nop() })
			server := http.Server{Handler: w.server} //nolint:gosec // it is on loopback, for a moment
			listenFor(b, w, &server)
			token := addToken(b, w.store, store.Token{Name: "feed", Source: "hr", LaneMost: store.Urgent})
			var no atomic.Int64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					post(b, w, submission{token: token, no: no.Add(1), rows: rows})
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

type submission struct {
	token string
	no    int64
	rows  int
}

// submit sends a job of rows that no other has.
func post(b *testing.B, w *world, s submission) {
	b.Helper()
	var body strings.Builder
	body.WriteString("row_id,action,principal,resource_type,resource_id,expires_on\n")
	for i := range s.rows {
		fmt.Fprintf(&body, "r%d,grant,user-%d-%d,qa_resource,res-1,2026-12-31\n", i, s.no, i)
	}
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, w.url+"/v1/jobs", strings.NewReader(body.String()))
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "text/csv")
	r.Header.Set("Idempotency-Key", strconv.FormatInt(s.no, 10))
	resp, err := w.http.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		b.Errorf("%d, %v: %s", resp.StatusCode, err, text)
	}
}

// listenFor serves until the end of the benchmark.
func listenFor(b *testing.B, w *world, server *http.Server) {
	b.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	w.http, w.url = &http.Client{Transport: transport}, "http://"+l.Addr().String()
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
}
