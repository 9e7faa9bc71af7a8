package tasks

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

var errDown = errors.New("connection refused")

func TestOutageIsSaidOnceThenRarely(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lasts       time.Duration
		away, back  int
		asks, least int // how often eight who wait ask meanwhile
	}{
		{500 * time.Millisecond, 0, 0, 60, 8},
		{20 * time.Second, 1, 1, 150, 40},
		{time.Hour, 60, 1, 8*3600/2 + 200, 8 * 3600 / 6},
	} {
		t.Run(tt.lasts.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				o := &absence{server: "Redis", log: zerolog.New(&said), grace: time.Second}
				ctx, end := context.WithTimeout(t.Context(), tt.lasts)
				defer end()
				asks := make(chan int)
				for range 8 {
					go func() {
						n := 0
						for o.wait(ctx) {
							n++
							o.failed(errDown)
						}
						asks <- n
					}()
				}
				total := 0
				for range 8 {
					total += <-asks
				}
				if !o.away() {
					t.Error("it is away, and does not say so")
				}
				o.answered()
				o.answered()
				away, back := strings.Count(said.String(), "is away"), strings.Count(said.String(), "is back")
				if away != tt.away || back != tt.back {
					t.Errorf("%d lines that it is away, %d that it is back; want %d and %d:\n%s", away, back, tt.away, tt.back, said.String())
				}
				if total > tt.asks || total < tt.least {
					t.Errorf("asked %d times, want %d to %d", total, tt.least, tt.asks)
				}
			})
		})
	}
}

func TestOutageEndsForAllAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &absence{server: "Redis", log: zerolog.Nop()}
		o.failed(errDown)
		time.Sleep(time.Hour) // of the bubble
		woken := make(chan bool)
		for range 3 {
			go func() { woken <- o.wait(t.Context()) }()
		}
		synctest.Wait()
		start := time.Now()
		o.answered()
		for range 3 {
			if !<-woken {
				t.Error("woken as if stopped")
			}
		}
		if waited := time.Since(start); waited > 0 {
			t.Errorf("it was back for %s before they went on", waited)
		}
		o.failed(errDown)
		ended, end := context.WithCancel(t.Context())
		end()
		if o.wait(ended) {
			t.Error("waiting did not end with its context")
		}
	})
}
