//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/usher-bi/usher/internal/devstack"
)

// proxy stands between the programs and a store.
type proxy struct{ *toxiproxy.Proxy }

// newProxy listens on a port that stays free while the proxy is down.
func newProxy(ctx context.Context, name, upstream string) (*proxy, error) {
	port, err := devstack.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, name, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), upstream)}
	return p, p.Start()
}

// swallow lets connections stand and nothing through, in either direction.
func (p *proxy) swallow() error { return p.poison("timeout", "upstream", "downstream") }

// loseAnswers passes on what is asked and resets the connection when the answer
// comes: who waited for a commit does not learn of it.
func (p *proxy) loseAnswers() error { return p.poison("reset_peer", "downstream") }

func (p *proxy) poison(toxic string, directions ...string) error {
	for _, direction := range directions {
		spec := fmt.Sprintf(`{"type":%q,"stream":%q,"attributes":{"timeout":0}}`, toxic, direction)
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(spec)); err != nil {
			return err
		}
	}
	return nil
}

// start lets connections through again. Somebody who looks for a free port may
// hold ours for a moment.
func (p *proxy) start() (err error) {
	for range 20 {
		if err = p.Start(); err == nil || errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// heal ends whatever was done to the proxy. Connections that went through it
// while it was ill are cut.
func (p *proxy) heal(ctx context.Context) error {
	p.Stop()
	p.Toxics.ResetToxics(ctx)
	return p.start()
}
