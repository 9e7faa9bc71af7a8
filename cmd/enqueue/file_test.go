package main

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"
)

// A container that is read-only has no place for a file.
func TestLargePipeIsKeptWithAndWithoutAFile(t *testing.T) {
	for name, folder := range map[string]string{"a file": t.TempDir(), "no place for one": filepath.Join(t.TempDir(), "missing")} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", folder)
			want := bytes.Repeat([]byte("0123456789abcdef"), keptInMemory/16+1)
			kept, forget, err := keep(bytes.NewBuffer(bytes.Clone(want)))
			if err != nil {
				t.Fatal(err)
			}
			defer forget()
			for range 2 {
				if got, err := io.ReadAll(kept); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes came back of %d: %v", len(got), len(want), err)
				}
				if _, err := kept.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
