package keyset_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/keyset"
)

func TestNoncesOfNamespaces(t *testing.T) {
	t.Parallel()
	root, other := []byte(strings.Repeat("r", 32)), []byte(strings.Repeat("o", 32))
	of := func(root []byte, namespace string) []byte {
		canonical, err := keyset.Nonces(root, namespace)
		if err != nil {
			t.Fatal(err)
		}
		set, err := keyset.Parse(canonical, keyset.Verify)
		if err != nil {
			t.Fatal(err)
		}
		if s := set.Secrets(); len(s) != 1 || len(s[0]) != 32 {
			t.Fatalf("%d secrets", len(s))
		}
		return set.Secrets()[0]
	}
	shop := of(root, "shop")
	switch {
	case !bytes.Equal(shop, of(root, "shop")):
		t.Error("two replicas with one root disagree")
	case bytes.Equal(shop, of(root, "shop2")), bytes.Equal(shop, of(other, "shop")), bytes.Equal(shop, root):
		t.Error("two secrets are one")
	}
	if _, err := keyset.Nonces(root[:31], "shop"); err == nil || err.Error() != "has 31 bytes; want at least 32 at random" {
		t.Errorf("a short root: %v", err)
	}
}
