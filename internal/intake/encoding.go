package intake

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// The encodings of [Batch.Encoding].
const (
	encodingUTF8    = "utf-8"
	encodingUTF8BOM = "utf-8-bom"
	encodingUTF16LE = "utf-16le"
	encodingUTF16BE = "utf-16be"
	encodingGB18030 = "gb18030"
)

// decode returns raw as UTF-8 without a byte order mark, and the encoding it
// was in. A byte order mark is believed. Without one, what is not strictly
// UTF-8 is taken for GB18030, in which Chinese spreadsheets write CSV. Text that
// is damaged in its encoding is refused, never patched.
func decode(raw []byte) ([]byte, string, error) {
	mark := func(bom string) bool { return bytes.HasPrefix(raw, []byte(bom)) }
	switch {
	case mark("\xef\xbb\xbf"):
		body := raw[3:]
		if !utf8.Valid(body) {
			return nil, "", encodingError(bytes.ToValidUTF8(body, []byte(string(utf8.RuneError))), "UTF-8, as its byte order mark says")
		}
		return body, encodingUTF8BOM, nil
	case mark("\xff\xfe"):
		body, err := convert(raw[2:], unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "UTF-16, as its byte order mark says")
		return body, encodingUTF16LE, err
	case mark("\xfe\xff"):
		body, err := convert(raw[2:], unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "UTF-16, as its byte order mark says")
		return body, encodingUTF16BE, err
	case utf8.Valid(raw):
		return raw, encodingUTF8, nil
	default:
		body, err := convert(raw, simplifiedchinese.GB18030, "UTF-8 or GB18030")
		return body, encodingGB18030, err
	}
}

// convert decodes raw strictly: what the encoding has no character for, the
// decoder replaces by U+FFFD, and no sound file holds that.
func convert(raw []byte, e encoding.Encoding, name string) ([]byte, error) {
	body, err := e.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(body, utf8.RuneError) {
		return nil, encodingError(body, name)
	}
	return body, nil
}

// encodingError names the line of the first replaced character in body.
func encodingError(body []byte, name string) error {
	line := 1
	if at := bytes.IndexRune(body, utf8.RuneError); at >= 0 {
		line = lineAt(body, at)
	}
	return fileError(CodeInvalidEncoding, "line %d holds bytes that are not %s; save the file as CSV UTF-8", line, name)
}

// checkNUL refuses text with NUL bytes, which no CSV has and no database stores.
func checkNUL(body []byte) error {
	at := bytes.IndexByte(body, 0)
	switch {
	case at < 0:
		return nil
	case bytes.Count(body, []byte{0}) > len(body)/4:
		return fileError(CodeNULByte, "the file is binary, or UTF-16 without a byte order mark; save it as CSV UTF-8")
	default:
		return fileError(CodeNULByte, "line %d holds a NUL byte; the file is binary, or was damaged on its way", lineAt(body, at))
	}
}

// lineAt returns the number of the line that holds the byte at offset at.
func lineAt(body []byte, at int) int { return 1 + bytes.Count(body[:at], []byte{'\n'}) }

// unifyLines turns CRLF into LF, in place, and the lone CR of old Macintosh
// files too if the first line ends in one. A CR elsewhere is content.
func unifyLines(body []byte) []byte {
	if bytes.IndexByte(body, '\r') < 0 {
		return body
	}
	lone := endsInCR(body)
	out := body[:0]
	for i := 0; i < len(body); i++ {
		if body[i] != '\r' {
			out = append(out, body[i])
			continue
		}
		end := i
		for end < len(body) && body[end] == '\r' {
			end++
		}
		switch {
		case end < len(body) && body[end] == '\n': // some tools write two CRs before the LF
		case lone:
			out = append(out, bytes.Repeat([]byte{'\n'}, end-i)...)
		default:
			out = append(out, body[i:end]...)
		}
		i = end - 1
	}
	return out
}

// endsInCR reports whether the first line of body, quotes respected, ends in a
// CR without an LF.
func endsInCR(body []byte) bool {
	quoted := false
	for i, b := range body {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '\n':
			return false
		case b == '\r':
			rest := bytes.TrimLeft(body[i:], "\r")
			return len(rest) == 0 || rest[0] != '\n'
		}
	}
	return false
}
