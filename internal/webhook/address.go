package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// errPrivate means that a name led to an address that is not public.
var errPrivate = errors.New("its address is private, and WEBHOOK_ALLOW_PRIVATE is not true")

// CheckURL says what is wrong with the URL of a webhook. It asks nobody: whether
// the address is allowed shows when something is sent.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Hostname() == "":
		return errors.New("not a URL; write e.g. https://example.com/usher")
	case u.User != nil:
		return errors.New("a URL with a name or a password: what is sent is signed instead")
	case u.Fragment != "":
		return errors.New("a URL with a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return errors.New("not an https URL; http is for loopback only")
	}
	return nil
}

// isLoopback reports whether a host is by its very name this machine.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// dialer connects to public addresses only, and to this machine where the URL
// itself says so. It judges the very address that it connects to, so a name that
// is answered in another way the next time changes nothing.
type dialer struct {
	net.Dialer

	private bool // all addresses are allowed
}

func newDialer(private bool) *dialer {
	return &dialer{Dialer: net.Dialer{Timeout: 10 * time.Second}, private: private}
}

func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	judged := d.Dialer
	if !d.private {
		here := isLoopback(host)
		judged.Control = func(_, address string, _ syscall.RawConn) error { return judge(address, here) }
	}
	return judged.DialContext(ctx, network, addr)
}

// judge refuses an address that is not public; here allows loopback alone.
func judge(address string, here bool) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	ip := to.Addr().Unmap().WithZone("")
	if ip.IsLoopback() && here || isPublic(ip) {
		return nil
	}
	return errPrivate
}

// special are the ranges that lead nowhere, back, or past a network's border, as
// the IANA special-purpose registries list them; 100.64.0.0/10 has the metadata
// service of Alibaba Cloud in it, and the IPv6 ranges can hold any IPv4 address.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func isPublic(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
