package quickbitest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// old reports whether action is served as the pages of 2020 have it: each of
// its own refusals with status 500, and answers as aged spells them.
func (o *Options) old(action string) bool { return slices.Contains(o.OldPages, action) }

// aged spells an answer in the way of the older samples: booleans and numbers
// as strings, and FailureDetail as JSON in a string.
func aged(envelope success) any {
	text, _ := json.Marshal(envelope) //nolint:errchkjson // made of strings, numbers and booleans
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // just written
	return age(v)
}

func age(v any) any {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case []any:
		for i := range v {
			v[i] = age(v[i])
		}
	case map[string]any:
		for name, value := range v {
			if name == "FailureDetail" {
				text, _ := json.Marshal(value) //nolint:errchkjson // just read
				v[name] = string(text)
			} else {
				v[name] = age(value)
			}
		}
	}
	return v
}
