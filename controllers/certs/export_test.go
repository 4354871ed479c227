package certs

import (
	"testing"
	"time"
)

// Foreign returns the content of a Secret that somebody else has made.
func Foreign(t *testing.T, namespace string) map[string][]byte {
	t.Helper()
	s, err := begin(time.Now(), Config{Namespace: namespace}.DNSNames())
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{caEntry: s.ca.cert, caKeyEntry: s.ca.key, certEntry: s.cert, keyEntry: s.key}
}
