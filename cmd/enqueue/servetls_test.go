package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/testenv"
)

// pemPair is a certificate that vouches for itself, and its key.
type pemPair struct{ cert, key string }

func newPair(t *testing.T, serial int64) pemPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "intake"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return pemPair{cert: text("CERTIFICATE", cert), key: text("PRIVATE KEY", secret)}
}

// secured is an intake with TLS.
type secured struct {
	*bench

	addr          string
	log           *lockedBuffer
	certAt, keyAt string
}

func serveTLS(t *testing.T, pair pemPair) secured {
	t.Helper()
	dir := t.TempDir()
	s := secured{bench: setup(t), log: &lockedBuffer{}, certAt: filepath.Join(dir, "tls.crt"), keyAt: filepath.Join(dir, "tls.key")}
	write(t, s.certAt, pair.cert)
	write(t, s.keyAt, pair.key)
	s.vars["ENQUEUE_LISTEN"], s.vars["ENQUEUE_TLS_CERT"], s.vars["ENQUEUE_TLS_KEY"] = "127.0.0.1:0", s.certAt, s.keyAt
	var environ []string
	for name, value := range s.vars {
		environ = append(environ, name+"="+value)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, env{Args: []string{"serve"}, Stdout: io.Discard, Stderr: s.log, Environ: environ, User: "tess@desk", Now: time.Now})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("exit %d:\n%s", code, s.log.String())
		}
	})
	listening := regexp.MustCompile(`"listen":"([^"]+)","tls":true`)
	testenv.Eventually(t, "it listens", func() bool { return listening.MatchString(s.log.String()) })
	s.addr = listening.FindStringSubmatch(s.log.String())[1]
	return s
}

// served is an answer.
type served struct {
	version uint16 // of TLS
	proto   int    // of HTTP
	status  int
	body    string
}

// get asks as a client that trusts one certificate and speaks TLS up to most.
func (s secured) get(pair pemPair, most uint16) (served, error) {
	s.t.Helper()
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(pair.cert))
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS10, MaxVersion: most}, //nolint:gosec // to be refused
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://"+s.addr+"/v1/jobs", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return served{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return served{version: resp.TLS.Version, proto: resp.ProtoMajor, status: resp.StatusCode, body: string(body)}, err
}

func TestServeTLS(t *testing.T) {
	t.Parallel()

	first := newPair(t, 1)
	s := serveTLS(t, first)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		got, err := s.get(first, version)
		if err != nil {
			t.Fatal(err)
		}
		if got.version != version || got.proto != 2 || got.status != http.StatusUnauthorized || !strings.Contains(got.body, "token_missing") {
			t.Errorf("%s: %+v", tls.VersionName(version), got)
		}
	}
	if _, err := s.get(first, tls.VersionTLS11); err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
		t.Errorf("TLS 1.1: %v, want it refused", err)
	}
	if _, err := s.get(newPair(t, 2), tls.VersionTLS13); err == nil {
		t.Error("a client that does not trust the certificate is served")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/v1/jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatalf("plain HTTP: %v, want an answer", err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "HTTP request to an HTTPS server") {
		t.Errorf("plain HTTP is answered %s %q, %v", resp.Status, text, err)
	}
}

// Whoever renews certificates replaces two files, one after the other, and
// restarts nothing.
func TestServeTakesANewCertificate(t *testing.T) {
	t.Parallel()

	first, second := newPair(t, 1), newPair(t, 2)
	s := serveTLS(t, first)
	write(t, s.certAt, second.cert)
	testenv.Eventually(t, "it is seen that the files do not fit together", func() bool {
		if _, err := s.get(first, tls.VersionTLS13); err != nil {
			t.Fatalf("between the two files: %v", err)
		}
		return strings.Contains(s.log.String(), "the one before stays in use")
	})
	write(t, s.keyAt, second.key)
	testenv.Eventually(t, "the new certificate is used", func() bool {
		_, err := s.get(second, tls.VersionTLS13)
		return err == nil
	})
	if said := strings.Count(s.log.String(), "the one before stays in use"); said != 1 {
		t.Errorf("it is said %d times that the files do not fit together", said)
	}
	if strings.Contains(s.log.String(), "PRIVATE KEY") {
		t.Error("the log holds the key")
	}
}
