//go:build unix

package main

import (
	"os"
	"testing"
)

// It changes the folder that the process is in, so it runs alone.
func TestFolderIsEmptiedAndHeld(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := openFolder(); err == nil {
		t.Error("openFolder takes a folder that is not the checkout")
	}
	for _, dir := range []string{"cmd/demo", logDir, binDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"cmd/demo/main.go", resultsFile, workerLog, folder + "/.hidden"} {
		if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held, err := openFolder()
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "logs" {
		t.Errorf("the folder holds %v, %v; want nothing but logs", left, err)
	}
	if logs, err := os.ReadDir(logDir); err != nil || len(logs) > 0 {
		t.Errorf("logs hold %v, %v", logs, err)
	}
	if _, err := openFolder(); err == nil {
		t.Error("two demos share a folder")
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openFolder()
	if err != nil {
		t.Fatalf("after the first demo: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
