package webhook

import "testing"

// What a name leads to is judged, not the name.
func TestJudge(t *testing.T) {
	t.Parallel()

	for address, want := range map[string]struct{ asNamed, named bool }{
		"127.0.0.1:80":          {false, true},
		"[::1]:80":              {false, true},
		"[::ffff:127.0.0.1]:80": {false, true},
		"10.0.0.5:443":          {false, false},
		"[fe80::1%eth0]:443":    {false, false},
		"47.100.1.2:443":        {true, true},
		"[2408:4000::1]:443":    {true, true},
		"100.100.100.200:80":    {false, false},
		"[64:ff9b::7f00:1]:80":  {false, false},
		"[::127.0.0.1]:80":      {false, false},
	} {
		if err := judge(address, false); (err == nil) != want.asNamed {
			t.Errorf("%s, of another name: %v", address, err)
		}
		if err := judge(address, true); (err == nil) != want.named {
			t.Errorf("%s, named as this machine: %v", address, err)
		}
	}
}
