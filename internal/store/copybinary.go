package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
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

// copyBinary copies rows, which come in blocks of whole rows, and returns how many
// there were. A block holds until the next is asked for. The blocks are made by a
// goroutine that has ended when copyBinary returns, however it does.
func copyBinary(ctx context.Context, tx pgx.Tx, table string, columns []string, blocks iter.Seq[[]byte]) (rows int64, err error) {
	r, w := io.Pipe()
	var feeding sync.WaitGroup
	feeding.Go(func() { _ = w.CloseWithError(feed(w, blocks)) }) // never fails
	sql := "COPY " + pgx.Identifier{table}.Sanitize() + " (" + strings.Join(columns, ", ") + ") FROM STDIN BINARY"
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, r, sql)
	_ = r.Close() // never fails; it ends what is being made
	feeding.Wait()
	if err != nil {
		return 0, fmt.Errorf("copying %s: %w", table, err)
	}
	return tag.RowsAffected(), nil
}

// feed writes a whole copy.
func feed(w io.Writer, blocks iter.Seq[[]byte]) error {
	if _, err := io.WriteString(w, copyHeader); err != nil {
		return err
	}
	for block := range blocks {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, copyEnd)
	return err
}

func copyInt(dst []byte, n int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 4)
	return binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // columns of four bytes
}

func copyBig(dst []byte, n int64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	return binary.BigEndian.AppendUint64(dst, uint64(n)) //nolint:gosec // two's complement
}

func copyBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 0, 0, 0, 1, 1)
	}
	return append(dst, 0, 0, 0, 1, 0)
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
