package token

import (
	"fmt"
	"strings"
	"testing"
)

// TestFamiliarHeaders: to know a header changes nothing of what is said of a token that has it.
func TestFamiliarHeaders(t *testing.T) {
	v := newVerifier(t, Config{Keys: signingKeys(t), Issuer: issuer(nil)})
	kid, key := signer("ES256")
	head := object{"alg": "ES256", "kid": kid, "typ": "at+jwt", "x-unique": t.Name()}
	good, other := sign("ES256", key, head, claims()), sign("ES256", key, head, with(claims(), object{"jti": "another"}))
	encoded, rest, _ := strings.Cut(good, ".")
	familiar := func() bool {
		_, known := familiarHeaders.find(encoded)
		return known
	}
	verdict := func(raw string) string {
		if _, no := refusal(v, raw); no.Refused() {
			return fmt.Sprint(no.Reason, ": ", no.Cause)
		}
		return ""
	}
	flawed := map[string]string{
		"another's signature":      good[:strings.LastIndexByte(good, '.')] + other[strings.LastIndexByte(other, '.'):],
		"no signature":             good[:strings.LastIndexByte(good, '.')+1],
		"no payload":               encoded + ".." + rest,
		"five parts":               good + ".aaaa.aaaa",
		"four parts":               good + ".aaaa",
		"padding":                  good + "=",
		"a line break":             encoded + ".\n" + rest,
		"a line break before it":   "\n" + good,
		"a header with more of it": encoded + "A." + rest,
		"a payload that is no JSON": sign("ES256", key, head, nil)[:len(encoded)+1] + "bm8." +
			good[strings.LastIndexByte(good, '.')+1:],
	}
	before := map[string]string{}
	for name, raw := range flawed {
		if before[name] = verdict(raw); before[name] == "" {
			t.Errorf("%s: is taken", name)
		}
	}
	if familiar() {
		t.Fatal("the header of tokens that were refused is kept")
	}
	for i := range 3 {
		if reason := verdict(good); reason != "" || !familiar() {
			t.Fatalf("time %d: got %q, familiar %v; want it taken, and its header known from then on", i+1, reason, familiar())
		}
	}
	for name, raw := range flawed {
		if after := verdict(raw); after != before[name] {
			t.Errorf("%s: got %s with a header that is known, %s before", name, after, before[name])
		}
	}
	if tok, no := Parse(good); no.Refused() || !tok.familiar || tok.KeyID() != kid || tok.header.typ != "at+jwt" || !tok.header.hasTyp || tok.header.hasCty {
		t.Errorf("got %+v (%v), want the header as it is", tok.header, no)
	}
}

// TestFamiliarHeadersAreFew: the longest are not kept, and those that are kept have a bound.
func TestFamiliarHeadersAreFew(t *testing.T) {
	f := familiar{seed: familiarHeaders.seed}
	f.keep(strings.Repeat("a", maxFamiliarBytes+1), &header{alg: "ES256"})
	f.keep("encrypted", &header{encrypted: true})
	for _, encoded := range []string{strings.Repeat("a", maxFamiliarBytes+1), "encrypted", ""} {
		if _, known := f.find(encoded); known {
			t.Errorf("a header of %d bytes is known", len(encoded))
		}
	}
	for i := range 10 * maxFamiliar {
		encoded := strings.Repeat("a", i%maxFamiliarBytes+1)
		f.keep(encoded, &header{alg: "ES256", kid: encoded})
		if h, known := f.find(encoded); !known || h.kid != encoded {
			t.Fatalf("got %+v, %v of what was kept just now", h, known)
		}
	}
}
