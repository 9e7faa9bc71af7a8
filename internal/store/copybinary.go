package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/usher-bi/usher/internal/access"
)

// Rows that come by the million are written in the binary format of COPY by
// hand: https://www.postgresql.org/docs/15/sql-copy.html. By way of values of any
// type it takes as long to make them as Postgres takes to store them.
const (
	copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyEnd    = "\xff\xff"
)

// copyBlock is how many bytes go out together.
const copyBlock = 64 << 10

// copyBinary copies rows, which come in blocks of whole rows. A block holds until
// the next is asked for.
func copyBinary(ctx context.Context, tx pgx.Tx, table string, columns []string, blocks iter.Seq[[]byte]) error {
	next, stop := iter.Pull(blocks)
	defer stop()
	sql := "COPY " + pgx.Identifier{table}.Sanitize() + " (" + strings.Join(columns, ", ") + ") FROM STDIN BINARY"
	_, err := tx.Conn().PgConn().CopyFrom(ctx, &blockReader{next: next, block: []byte(copyHeader)}, sql)
	if err != nil {
		return fmt.Errorf("copying %s: %w", table, err)
	}
	return nil
}

// blockReader reads blocks, and the end of a copy after the last.
type blockReader struct {
	next  func() ([]byte, bool)
	block []byte
	ended bool
}

func (r *blockReader) Read(p []byte) (int, error) {
	for len(r.block) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		block, ok := r.next()
		if r.block = block; !ok {
			r.block, r.ended = []byte(copyEnd), true
		}
	}
	n := copy(p, r.block)
	r.block = r.block[n:]
	return n, nil
}

func copyInt(dst []byte, n int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 4)
	return binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // columns of four bytes
}

func copyBig(dst []byte, n int64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	return binary.BigEndian.AppendUint64(dst, uint64(n)) //nolint:gosec // two's complement
}

func copyNull(dst []byte) []byte { return append(dst, "\xff\xff\xff\xff"...) }

func copyText(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s))) //nolint:gosec // no text is that long
	return append(dst, s...)
}

// copyTexts writes an array, nil as null.
func copyTexts(dst []byte, list []string) []byte {
	if list == nil {
		return copyNull(dst)
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)                                      // the length, once it is known
	dimensions := []uint32{1, 0, pgtype.TextOID, uint32(len(list)), 1} //nolint:gosec // no list is that long
	if len(list) == 0 {
		dimensions = []uint32{0, 0, pgtype.TextOID}
	}
	for _, n := range dimensions {
		dst = binary.BigEndian.AppendUint32(dst, n)
	}
	for _, s := range list {
		dst = copyText(dst, s)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4)) //nolint:gosec // as above
	return dst
}

// copyDate writes a day as those since the epoch of Postgres, none as null.
func copyDate(dst []byte, d access.Date) []byte {
	if d.IsZero() {
		return copyNull(dst)
	}
	const day = 24 * 60 * 60
	epoch := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	return copyInt(dst, int((d.Time().Unix()-epoch.Unix())/day))
}
