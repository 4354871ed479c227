package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/bearerguard/bearerguard/api/keyset"
)

// withTable prepares a key that has a table already.
func withTable(t testing.TB, public *ecdsa.PublicKey) *p256Key {
	t.Helper()
	k := newP256Key(public, &p256Tables{})
	if k == nil {
		t.Fatal("the key was not prepared")
	}
	k.table.Store(tableOf(t, public))
	return k
}

// agreeES256 verifies a signature with a prepared key that has a table, with one that has none, and with crypto/ecdsa,
// which must say the same.
func agreeES256(t testing.TB, public *ecdsa.PublicKey, message, signature []byte) bool {
	t.Helper()
	digest := sha256.Sum256(message)
	half := len(signature) / 2
	r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
	want := len(signature) == 64 && ecdsa.Verify(public, digest[:], r, s)
	for name, key := range map[string]any{
		"a table": withTable(t, public), "no table": newP256Key(public, &p256Tables{}), "the key as it is": public,
	} {
		if got := newScheme("ES256").verify(message, signature, key); got != want {
			t.Errorf("signature of %d bytes, %s: got %v, crypto/ecdsa says %v", len(signature), name, got, want)
		}
	}
	return want
}

// TestES256AgreesWithWycheproof runs the vectors for ECDSA with P-256 and SHA-256 in the form that JOSE has: numbers
// that are out of range, special points, edge cases of Shamir's trick.
func TestES256AgreesWithWycheproof(t *testing.T) {
	t.Parallel()
	var vs struct {
		TestGroups []struct {
			PublicKey struct{ Uncompressed string }
			Tests     []struct {
				TcID             int
				Msg, Sig, Result string
			}
		}
	}
	readVectors(t, "ecdsa_secp256r1_sha256_p1363_test.json", &vs)
	ran := 0
	for _, g := range vs.TestGroups {
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(t, g.PublicKey.Uncompressed))
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range g.Tests {
			ran++
			if got := agreeES256(t, public, unhex(t, tc.Msg), unhex(t, tc.Sig)); got != (tc.Result == "valid") {
				t.Errorf("%d: labelled %s, got %v", tc.TcID, tc.Result, got)
			}
		}
	}
	if ran < 200 {
		t.Errorf("ran %d vectors: too few", ran)
	}
}

// TestES256VerifiesRFC7515 is the example of RFC 7515 appendix A.3.
func TestES256VerifiesRFC7515(t *testing.T) {
	t.Parallel()
	for _, v := range rfcVectors(t, "testdata/rfc.json") {
		if !strings.HasPrefix(v.Name, "RFC 7515 appendix A.3,") {
			continue
		}
		s, err := keyset.Parse(v.Key, keyset.Verify)
		if err != nil {
			t.Fatal(err)
		}
		tok, no := front(v.Token)
		if no.Refused() {
			t.Fatal(no.Reason)
		}
		public, ok := s.Keys()[0].Raw().(*ecdsa.PublicKey)
		if !ok || !agreeES256(t, public, tok.jws.input, tok.jws.signature) {
			t.Error("does not verify")
		}
		return
	}
	t.Error("the example is not there")
}

func TestES256TakesSignaturesOf64Bytes(t *testing.T) {
	t.Parallel()
	k := keys().p256
	message := []byte("header.payload")
	good := signature("ES256", k, string(message))
	if !agreeES256(t, &k.PublicKey, message, good) {
		t.Error("a good signature does not verify")
	}
	for name, wrong := range map[string][]byte{
		"none": nil, "a byte less": good[:63], "a byte more": append(good[:64:64], 0), "a byte more in front": append([]byte{0}, good...),
		"zeros": make([]byte, 64),
	} {
		if agreeES256(t, &k.PublicKey, message, wrong) {
			t.Errorf("%s: verifies", name)
		}
	}
}

func TestP256KeysThatAreNotPrepared(t *testing.T) {
	t.Parallel()
	k := keys()
	off := &ecdsa.PublicKey{Curve: elliptic.P256(), X: k.p256.X, Y: new(big.Int).Add(k.p256.Y, big.NewInt(1))} //nolint:staticcheck // no other way to make one
	for name, public := range map[string]*ecdsa.PublicKey{
		"P-384": &k.p384.PublicKey, "P-521": &k.p521.PublicKey, "secp256k1": &k.k1.PublicKey, "a point off the curve": off,
	} {
		if newP256Key(public, &p256Tables{}) != nil {
			t.Errorf("%s was prepared", name)
		}
	}
	message := []byte("header.payload")
	if newScheme("ES256").verify(message, signature("ES256", k.p256, string(message)), off) {
		t.Error("a point off the curve verifies")
	}
}

// tabled verifies one token as often as it takes until the key has a table.
func tabled(t *testing.T, k *p256Key, private *ecdsa.PrivateKey, times int) bool {
	t.Helper()
	message := []byte("header.payload")
	sig := signature("ES256", private, string(message))
	for range times {
		if !newScheme("ES256").verify(message, sig, k) {
			t.Fatal("does not verify")
		}
	}
	return k.table.Load() != nil
}

func TestOnlyKeysThatVerifyGetATable(t *testing.T) {
	t.Parallel()
	private := private256(t, random())
	k := newP256Key(&private.PublicKey, &p256Tables{})
	for range 2 * p256After {
		newScheme("ES256").verify([]byte("header.payload"), make([]byte, 64), k)
	}
	if tabled(t, k, private, p256After-1) {
		t.Error("has a table too early")
	}
	if !tabled(t, k, private, 1) {
		t.Error("has no table though it has verified enough")
	}
	if !tabled(t, k, private, 2) {
		t.Error("has no table any more")
	}
}

func TestOneTableForAllWhoHaveTheKey(t *testing.T) {
	t.Parallel()
	private := private256(t, random())
	var tables p256Tables
	before := newP256Key(&private.PublicKey, &tables)
	old := newP256Key(&private.PublicKey, &tables)
	tabled(t, old, private, p256After)
	later := newP256Key(&private.PublicKey, &tables)
	tabled(t, before, private, p256After)
	if got := old.table.Load(); got == nil || later.table.Load() != got || before.table.Load() != got {
		t.Error("there are several tables, or none")
	}
}

// TestTablesAreFew is not parallel, since it waits for garbage to be collected.
func TestTablesAreFew(t *testing.T) {
	var tables p256Tables
	var held []*p256Key
	one := func() bool {
		private := private256(t, random())
		k := newP256Key(&private.PublicKey, &tables)
		got := tabled(t, k, private, p256After)
		held = append(held, k)
		return got
	}
	for i := range p256MaxTables {
		if !one() {
			t.Fatalf("key %d has no table", i)
		}
	}
	if one() {
		t.Error("there are more tables than may be")
	}
	runtime.GC()
	if one() {
		t.Error("a table is given up while its key is in use")
	}
	held = nil
	runtime.GC()
	for i := range p256MaxTables {
		if !one() {
			t.Fatalf("key %d has no table, though those of the keys before are gone", i)
		}
	}
	if len(tables.live) != p256MaxTables {
		t.Errorf("%d tables are listed", len(tables.live))
	}
	runtime.KeepAlive(held)
}

// TestManyVerifyWithOneKey is for the race detector.
func TestManyVerifyWithOneKey(t *testing.T) {
	t.Parallel()
	private := private256(t, random())
	v := newVerifier(t, Config{Keys: set(t, keyset.Verify, public(private, "k", "")), Issuer: issuer(nil)})
	good := sign("ES256", private, object{"alg": "ES256", "kid": "k"}, claims())
	bad := good[:strings.LastIndexByte(good, '.')+1] + b64(make([]byte, 64))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range p256After {
				if _, reason := verify(v, good); reason != "" {
					t.Error(reason)
				}
				if _, reason := verify(v, bad); reason == "" {
					t.Error("a signature of zeros verifies")
				}
			}
		})
	}
	all.Wait()
	if got := v.keys.prepared[v.keys.all[0].Raw()]; got.(*p256Key).table.Load() == nil { //nolint:errcheck // panics if it is another
		t.Error("the key has no table")
	}
}

// FuzzES256 is differential with crypto/ecdsa: a key, a message and a signature that is good but for what is added to
// r and s.
func FuzzES256(f *testing.F) {
	f.Add([]byte{1}, []byte("header.payload"), []byte{}, []byte{})
	f.Add([]byte{7}, []byte(""), []byte{1}, []byte{})
	f.Add(order().Bytes()[:31], []byte("a.b"), []byte{}, order().Bytes())
	f.Fuzz(func(t *testing.T, scalar, message, addR, addS []byte) {
		d := new(big.Int).Mod(new(big.Int).SetBytes(scalar), order())
		if d.Sign() == 0 {
			return
		}
		k := private256(t, d)
		sig := signature("ES256", k, string(message))
		room := new(big.Int).Lsh(big.NewInt(1), 256)
		for i, add := range [][]byte{addR, addS} {
			half := sig[32*i : 32*i+32]
			sum := new(big.Int).Add(new(big.Int).SetBytes(half), new(big.Int).SetBytes(add))
			sum.Mod(sum, room).FillBytes(half)
		}
		agreeES256(t, &k.PublicKey, message, sig)
	})
}
