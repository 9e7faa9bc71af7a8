package xlsx

import (
	"regexp"
	"strings"
)

// Format is how a number is shown, as far as it matters for what it means.
type Format struct {
	Date   bool // as a day, a time or both
	Plain  bool // with all digits of a whole number and nothing beside them
	Digits int  // padded with zeros to so many digits; 0 for not
}

// readFormats returns the format of each cell style.
func (w *Workbook) readFormats(part string) ([]Format, error) {
	var doc struct {
		Formats []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Styles []struct {
			Format int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if err := w.unmarshal(part, &doc); err != nil {
		return nil, err
	}
	codes := map[int]string{}
	for _, f := range doc.Formats {
		codes[f.ID] = f.Code
	}
	formats := make([]Format, 0, len(doc.Styles))
	for _, style := range doc.Styles {
		if code, ok := codes[style.Format]; ok {
			formats = append(formats, formatOf(code))
		} else {
			formats = append(formats, builtin(style.Format))
		}
	}
	return formats, nil
}

// builtin returns the format with a number that every program knows: those of
// ECMA-376, 18.8.30, with the ones of East Asian languages.
func builtin(id int) Format {
	switch {
	case id == 0, id == 1, id == 49:
		return Format{Plain: true}
	case id >= 14 && id <= 22, id >= 27 && id <= 36, id >= 45 && id <= 47, id >= 50 && id <= 58:
		return Format{Date: true}
	default:
		return Format{}
	}
}

// literal matches what a format code shows as it is, or as a colour, condition or
// language. An elapsed time such as [h] is none of these.
var literal = regexp.MustCompile(`"[^"]*"|\\.|[_*].|\[[^\]]{3,}\]`)

// formatOf reads a format code.
func formatOf(code string) Format {
	positive, _, _ := strings.Cut(literal.ReplaceAllString(code, ""), ";")
	switch lower := strings.ToLower(positive); {
	case lower == "general", positive == "@":
		return Format{Plain: literal.FindString(code) == ""}
	case strings.Contains(lower, "general"), strings.Contains(lower, "e+"), strings.Contains(lower, "e-"):
		return Format{}
	case strings.ContainsAny(lower, "ymdhsbe"):
		return Format{Date: true}
	case positive != "" && strings.Trim(positive, "0") == "" && positive == strings.Split(code, ";")[0]:
		return Format{Plain: true, Digits: len(positive)}
	default:
		return Format{}
	}
}
