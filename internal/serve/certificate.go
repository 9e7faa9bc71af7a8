package serve

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// CertificateFiles names a certificate with its chain, and its key, as PEM files.
type CertificateFiles struct {
	Cert string
	Key  string
}

// Certificate is the certificate of a server. Its files may be replaced at any
// time, as whoever renews certificates does: they are looked at when somebody
// connects, at most once a second, and hold from then on. While they cannot be
// read, or do not fit together because only one of them was replaced so far, the
// certificate before stays in use, and the log says so once.
type Certificate struct {
	files CertificateFiles
	log   zerolog.Logger

	mu        sync.Mutex
	looked    time.Time
	cert, key []byte // as the files were when they were looked at last
	current   *tls.Certificate
	problem   string // that was told last; "" for none
}

// lookEvery is how long a certificate is taken for what its files say.
const lookEvery = time.Second

// OpenCertificate reads a certificate, which must be sound.
func OpenCertificate(files CertificateFiles, log zerolog.Logger) (*Certificate, error) {
	c := &Certificate{files: files, log: log, looked: time.Now()}
	return c, c.read()
}

// get is the certificate for whoever connects now.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookEvery {
		c.looked = now
		err := c.read()
		switch {
		case err == nil:
			c.problem = ""
		case err.Error() != c.problem:
			c.problem = err.Error()
			c.log.Warn().Err(err).Time("not_after", c.current.Leaf.NotAfter).Msg("the certificate cannot be renewed from its files; the one before stays in use")
		}
	}
	return c.current, nil
}

// read puts in use what the files hold, if that is new.
func (c *Certificate) read() error {
	cert, err := os.ReadFile(c.files.Cert)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	key, err := os.ReadFile(c.files.Key)
	if err != nil {
		return fmt.Errorf("reading the key: %w", err)
	}
	if c.current != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	c.cert, c.key, c.current = cert, key, &pair
	level := zerolog.InfoLevel
	if time.Now().After(pair.Leaf.NotAfter) {
		level = zerolog.WarnLevel
	}
	c.log.WithLevel(level).Time("not_after", pair.Leaf.NotAfter).Msg("a certificate is in use")
	return nil
}
