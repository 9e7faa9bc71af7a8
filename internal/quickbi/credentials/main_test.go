package credentials_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(world{m}) }

// world runs the tests with two stand-ins where the library cannot help but
// look: the ECS metadata service, whose address it fixes, is reached through a
// proxy; and the certificate of test servers is a system root, since it takes
// no other.
type world struct{ tests *testing.M }

func (w world) Run() int {
	metadata := httptest.NewServer(http.HandlerFunc(serveMetadata))
	defer metadata.Close()
	roots, err := rootsOfTestServers()
	if err == nil {
		defer func() { _ = os.Remove(roots) }()
		err = errors.Join(os.Setenv("SSL_CERT_FILE", roots), os.Setenv("HTTP_PROXY", metadata.URL),
			os.Setenv("NO_PROXY", ""), os.Setenv("no_proxy", ""))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return w.tests.Run()
}

// rootsOfTestServers returns a file with the certificate that all of them use.
func rootsOfTestServers() (file string, err error) {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	f, err := os.CreateTemp("", "roots-*.pem")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Name(), pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
}
