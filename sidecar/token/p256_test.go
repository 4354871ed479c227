package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"testing"

	"filippo.io/nistec"
)

// order is n, and prime p, of P-256.
func order() *big.Int { return new(big.Int).Set(elliptic.P256().Params().N) }
func prime() *big.Int { return new(big.Int).Set(elliptic.P256().Params().P) }

// hex256 reads a number.
func hex256(s string) *big.Int {
	i, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic("no number: " + s)
	}
	return i
}

// b256 is a number of 32 bytes.
func b256(i *big.Int) (b [32]byte) {
	i.FillBytes(b[:])
	return b
}

// random is a number from 1 to n-1.
func random() *big.Int {
	i, err := rand.Int(rand.Reader, new(big.Int).Sub(order(), big.NewInt(1)))
	if err != nil {
		panic(err)
	}
	return i.Add(i, big.NewInt(1))
}

// private256 is the key pair of a scalar.
func private256(t testing.TB, d *big.Int) *ecdsa.PrivateKey {
	t.Helper()
	scalar := b256(d)
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// tableOf is the table of a key.
func tableOf(t testing.TB, public *ecdsa.PublicKey) *p256Table {
	t.Helper()
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	table := newP256Table(point)
	if table == nil {
		t.Fatal("the key has no table")
	}
	return table
}

// agree256 verifies r and s, of 256 bits each, with a table and with crypto/ecdsa, which must say the same.
func agree256(t testing.TB, public *ecdsa.PublicKey, table *p256Table, digest, r, s *big.Int) bool {
	t.Helper()
	rb, sb, d := b256(r), b256(s), b256(digest)
	got := table.verify(&d, (*[64]byte)(append(rb[:], sb[:]...)))
	if want := ecdsa.Verify(public, d[:], r, s); got != want {
		t.Errorf("digest %x, r %x, s %x: got %v, crypto/ecdsa says %v", digest, r, s, got, want)
	}
	return got
}

func TestP256RecodeKeepsTheNumber(t *testing.T) {
	t.Parallel()
	all := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	numbers := []*big.Int{big.NewInt(0), big.NewInt(1), big.NewInt(32), big.NewInt(33), big.NewInt(63), big.NewInt(64), all, order(), prime()}
	for i := range uint(256) {
		bit := new(big.Int).Lsh(big.NewInt(1), i)
		numbers = append(numbers, bit, new(big.Int).Sub(bit, big.NewInt(1)), new(big.Int).Sub(all, bit), random())
	}
	for _, k := range numbers {
		b, sum := b256(k), new(big.Int)
		digits := p256Recode(&b)
		for i := range digits {
			digit := digits[len(digits)-1-i]
			if digit < -31 || digit > 32 {
				t.Errorf("%x has a digit %d", k, digit)
			}
			sum.Lsh(sum, p256Bits).Add(sum, big.NewInt(int64(digit)))
		}
		if sum.Cmp(k) != 0 {
			t.Errorf("%x became %x", k, sum)
		}
	}
}

func TestP256TableHoldsMultiples(t *testing.T) {
	t.Parallel()
	k := private256(t, random())
	table, key := tableOf(t, &k.PublicKey), nistec.NewP256Point()
	point, _ := k.PublicKey.Bytes()
	if _, err := key.SetBytes(point); err != nil {
		t.Fatal(err)
	}
	for i := range table {
		for j := range table[i] {
			scalar := b256(new(big.Int).Mod(new(big.Int).Lsh(big.NewInt(int64(j+1)), uint(i)*p256Bits), order()))
			want, err := nistec.NewP256Point().ScalarMult(key, scalar[:])
			if err != nil {
				t.Fatal(err)
			}
			if want.Equal(&table[i][j]) != 1 {
				t.Fatalf("row %d, entry %d is another point", i, j)
			}
		}
	}
}

func TestP256AgreesOnRandomSignatures(t *testing.T) {
	t.Parallel()
	for range 8 {
		k := private256(t, random())
		table := tableOf(t, &k.PublicKey)
		for range 64 {
			digest := new(big.Int).Rsh(new(big.Int).Mul(random(), random()), 256)
			d := b256(digest)
			r, s, err := ecdsa.Sign(rand.Reader, k, d[:])
			if err != nil {
				t.Fatal(err)
			}
			if !agree256(t, &k.PublicKey, table, digest, r, s) {
				t.Fatal("a good signature does not verify")
			}
			agree256(t, &k.PublicKey, table, digest, r, new(big.Int).Sub(order(), s)) // the other good one
			for _, wrong := range [][3]*big.Int{{d256(digest), r, s}, {digest, d256(r), s}, {digest, r, d256(s)}, {digest, s, r}} {
				if agree256(t, &k.PublicKey, table, wrong[0], wrong[1], wrong[2]) {
					t.Fatal("a wrong signature verifies")
				}
			}
		}
	}
}

// d256 changes the lowest bit.
func d256(i *big.Int) *big.Int { return new(big.Int).Xor(i, big.NewInt(1)) }

// TestP256AgreesOutOfRange puts numbers at the ends of their ranges and beyond them in every place (FIPS 186-5 section
// 6.4.2, step 1).
func TestP256AgreesOutOfRange(t *testing.T) {
	t.Parallel()
	k := private256(t, random())
	table := tableOf(t, &k.PublicKey)
	var numbers []*big.Int
	for _, near := range []*big.Int{new(big.Int), order(), prime(), new(big.Int).Lsh(big.NewInt(1), 256), new(big.Int).Sub(prime(), order()), random()} {
		for d := range int64(5) {
			if i := new(big.Int).Add(near, big.NewInt(d-2)); i.Sign() >= 0 && i.BitLen() <= 256 {
				numbers = append(numbers, i)
			}
		}
	}
	for _, digest := range []*big.Int{new(big.Int), big.NewInt(1), order(), prime(), random()} {
		for _, r := range numbers {
			for _, s := range numbers {
				agree256(t, &k.PublicKey, table, digest, r, s)
			}
		}
	}
}

// made is a signature that verifies by construction: for these u1 and u2, of FIPS 186-5 section 6.4.2, with this key.
func made(t testing.TB, public *ecdsa.PublicKey, u1, u2 *big.Int) (digest, r, s *big.Int) {
	t.Helper()
	n := order()
	b1, b2 := b256(new(big.Int).Mod(u1, n)), b256(new(big.Int).Mod(u2, n))
	point, _ := public.Bytes()
	key, err := nistec.NewP256Point().SetBytes(point)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := nistec.NewP256Point().ScalarBaseMult(b1[:])
	two, _ := nistec.NewP256Point().ScalarMult(key, b2[:])
	r = big.NewInt(1)
	if x, err := one.Add(one, two).BytesX(); err == nil { // else the point at infinity, which no r fits
		r.SetBytes(x).Mod(r, n)
	}
	s = new(big.Int).ModInverse(u2, n)
	s.Mul(s, r).Mod(s, n)
	digest = new(big.Int).Mul(u1, s)
	return digest.Mod(digest, n), r, s
}

// TestP256AgreesWhereAdditionIsSpecial makes the points that are added equal, opposite or the one at infinity, at the
// beginning, in the middle and at the end of the sum.
func TestP256AgreesWhereAdditionIsSpecial(t *testing.T) {
	t.Parallel()
	d := random()
	k := private256(t, d)
	table := tableOf(t, &k.PublicKey)
	times := func(i int64) *big.Int { return new(big.Int).Mul(d, big.NewInt(i)) }
	thirtyTwos, minus := new(big.Int), new(big.Int)
	for range 42 {
		thirtyTwos.Lsh(thirtyTwos, p256Bits).Add(thirtyTwos, big.NewInt(32))
		minus.Lsh(minus, p256Bits).Add(minus, big.NewInt(33)) // each is -31 and one more of the next
	}
	last := new(big.Int).Lsh(big.NewInt(5), 252)
	tests := map[string]struct {
		u1, u2   *big.Int
		infinite bool
	}{
		"equal points, then no more":             {u1: times(5), u2: big.NewInt(5)},
		"equal points, then more":                {u1: times(5), u2: big.NewInt(5 + 7*64)},
		"opposite points, then no more":          {u1: times(-5), u2: big.NewInt(5), infinite: true},
		"opposite points, then more":             {u1: times(-5), u2: big.NewInt(5 + 7*64)},
		"opposite by a negative digit":           {u1: times(31), u2: big.NewInt(33)},
		"opposite by a negative digit, to end":   {u1: times(-33), u2: big.NewInt(33), infinite: true},
		"equal by a negative digit":              {u1: times(-31), u2: big.NewInt(33)},
		"equal in the last addition":             {u1: new(big.Int).Mul(d, last), u2: last},
		"opposite in the last addition":          {u1: new(big.Int).Neg(new(big.Int).Mul(d, last)), u2: last, infinite: true},
		"nothing of the generator":               {u1: new(big.Int), u2: random()},
		"nothing of the generator, once the key": {u1: new(big.Int), u2: big.NewInt(1)},
		"n-1 times the key":                      {u1: new(big.Int), u2: new(big.Int).Sub(order(), big.NewInt(1))},
		"once each":                              {u1: big.NewInt(1), u2: big.NewInt(1)},
		"all digits the largest":                 {u1: random(), u2: thirtyTwos},
		"all digits the smallest":                {u1: random(), u2: minus},
	}
	for name, tc := range tests {
		digest, r, s := made(t, &k.PublicKey, tc.u1, tc.u2)
		if got := agree256(t, &k.PublicKey, table, digest, r, s); got == tc.infinite {
			t.Errorf("%s: verifies %v", name, got)
		}
	}
}

// TestP256ComparesModuloTheOrder has a sum whose x is not below n: r is less by n (FIPS 186-5 section 6.4.2, step 6).
func TestP256ComparesModuloTheOrder(t *testing.T) {
	t.Parallel()
	sum := nistec.NewP256Point()
	small := new(big.Int)
	for {
		small.Add(small, big.NewInt(1))
		x := b256(new(big.Int).Add(order(), small))
		if _, err := sum.SetBytes(append([]byte{2}, x[:]...)); err == nil {
			break
		}
	}
	u1, u2, n := random(), random(), order()
	b1 := b256(u1)
	one, _ := nistec.NewP256Point().ScalarBaseMult(b1[:])
	inverse := b256(new(big.Int).ModInverse(u2, n))
	key, _ := nistec.NewP256Point().ScalarMult(sum.Add(sum, one.Negate(one)), inverse[:]) // so that u1 G + u2 key is the sum
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	digest, r, s := made(t, public, u1, u2)
	if r.Cmp(small) != 0 {
		t.Fatalf("r is %x, not %x", r, small)
	}
	if !agree256(t, public, tableOf(t, public), digest, r, s) {
		t.Error("does not verify")
	}
	if agree256(t, public, tableOf(t, public), digest, new(big.Int).Add(r, n), s) {
		t.Error("r + n verifies")
	}
}

func TestP256VerifiesRFC6979(t *testing.T) {
	t.Parallel()
	public := &private256(t, hex256("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")).PublicKey
	for message, v := range map[string][2]string{ // appendix A.2.5, SHA-256
		"sample": {
			"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
			"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
		},
		"test": {
			"F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
			"019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
		},
	} {
		signature, err := hex.DecodeString(v[0] + v[1])
		if err != nil {
			t.Fatal(err)
		}
		if !agreeES256(t, public, []byte(message), signature) {
			t.Errorf("%q does not verify", message)
		}
	}
}

func TestNoTableOfWhatIsNoKey(t *testing.T) {
	t.Parallel()
	point, _ := keys().p256.PublicKey.Bytes()
	off := append([]byte{}, point...)
	off[64] ^= 1
	x := append([]byte{4}, make([]byte, 64)...)
	for name, point := range map[string][]byte{
		"none": nil, "the point at infinity": {0}, "off the curve": off, "zeros": x, "a byte less": point[:64], "compressed, of 33 bytes of zeros": make([]byte, 33),
	} {
		if newP256Table(point) != nil {
			t.Errorf("%s has a table", name)
		}
	}
}

func BenchmarkP256(b *testing.B) {
	k := keys().p256
	table := tableOf(b, &k.PublicKey)
	digest := random()
	d := b256(digest)
	var signatures [1024][64]byte // each takes other points of the table
	var r, s *big.Int
	for i := range signatures {
		var err error
		if r, s, err = ecdsa.Sign(rand.Reader, k, d[:]); err != nil {
			b.Fatal(err)
		}
		rb, sb := b256(r), b256(s)
		signatures[i] = [64]byte(append(rb[:], sb[:]...))
	}
	b.Run("table", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if !table.verify(&d, &signatures[i%len(signatures)]) {
				b.Fatal("does not verify")
			}
		}
	})
	b.Run("crypto/ecdsa", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !ecdsa.Verify(&k.PublicKey, d[:], r, s) {
				b.Fatal("does not verify")
			}
		}
	})
	b.Run("making a table", func(b *testing.B) {
		point, _ := k.PublicKey.Bytes()
		b.ReportAllocs()
		for b.Loop() {
			newP256Table(point)
		}
	})
}
