package main

import (
	"cmp"
	"strings"

	"github.com/usher-bi/usher/internal/view"
)

// languages are those in which whoever gave the command is told what to do.
type languages struct{ chinese bool }

// languages are English, and Chinese too where the locale is.
func (a *app) languages() languages {
	locale := cmp.Or(a.lookup("LC_ALL"), a.lookup("LC_MESSAGES"), a.lookup("LANG"))
	return languages{chinese: strings.HasPrefix(strings.ToLower(locale), "zh")}
}

// hints are what to do about a failure, a line a language.
func (l languages) hints(code string) []string {
	h := view.HintFor(code)
	if l.chinese {
		return []string{h.EN, h.ZH}
	}
	return []string{h.EN}
}
