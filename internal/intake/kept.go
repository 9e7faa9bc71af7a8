package intake

import (
	"bytes"
	"compress/flate"
	"io"
)

// kept is what was read of a file that cannot be read twice. All but its
// beginning is packed, which takes a tenth of the memory, or less, of rows as
// people and programs write them.
type kept struct {
	plain  []byte
	packer *flate.Writer // of the rest; nil as long as there is none
	packed pieces
}

// keptPlain is how many bytes are kept as they are: packing costs more than that
// by itself.
const keptPlain = 1 << 20

// Write never fails.
func (k *kept) Write(p []byte) (int, error) {
	n := min(len(p), keptPlain-len(k.plain))
	k.plain = append(k.plain, p[:n]...)
	if n == len(p) {
		return n, nil
	}
	if k.packer == nil {
		k.packer, _ = flate.NewWriter(&k.packed, flate.BestSpeed) // there is that level
	}
	_, _ = k.packer.Write(p[n:]) // into memory
	return len(p), nil
}

// reader reads what was kept. No more can be.
func (k *kept) reader() io.Reader {
	if k.packer == nil {
		return bytes.NewReader(k.plain)
	}
	_ = k.packer.Close() // into memory
	return io.MultiReader(bytes.NewReader(k.plain), flate.NewReader(k.packed.reader()))
}

// pieces is memory that grows without being moved.
type pieces [][]byte

const keptPiece = 256 << 10

// Write never fails.
func (s *pieces) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		last := len(*s) - 1
		if last < 0 || len((*s)[last]) == keptPiece {
			*s = append(*s, make([]byte, 0, keptPiece))
			last++
		}
		n := min(len(rest), keptPiece-len((*s)[last]))
		(*s)[last], rest = append((*s)[last], rest[:n]...), rest[n:]
	}
	return len(p), nil
}

func (s *pieces) reader() io.Reader {
	readers := make([]io.Reader, len(*s))
	for i, piece := range *s {
		readers[i] = bytes.NewReader(piece)
	}
	return io.MultiReader(readers...)
}
