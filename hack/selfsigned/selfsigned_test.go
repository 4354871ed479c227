package selfsigned_test

import (
	"crypto/tls"
	"os"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/hack/selfsigned"
)

func TestOneFileHasACertificateAndItsKey(t *testing.T) {
	t.Parallel()
	file, err := selfsigned.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := tls.LoadX509KeyPair(file, file) // which compares them
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(got.Leaf.NotAfter); left < 23*time.Hour {
		t.Errorf("it is good for %s, want a day", left)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the key is readable by others: %v, %v", info.Mode(), err)
	}
}
