package fiat

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func p() *big.Int { return elliptic.P256().Params().P }

// element is a number as an Element, which is read back as the same.
func element(t testing.TB, i *big.Int) (e Element) {
	t.Helper()
	b := [32]byte(i.FillBytes(make([]byte, 32)))
	if !Set(&e, &b) || Bytes(&e) != b {
		t.Fatalf("%x is not taken", b)
	}
	return e
}

// numbers are those whose carries go furthest, and some at random.
func numbers(t testing.TB) (out []*big.Int) {
	t.Helper()
	for i := range uint(256) {
		bit := new(big.Int).Lsh(big.NewInt(1), i)
		for _, n := range []*big.Int{bit, new(big.Int).Sub(bit, big.NewInt(1)), new(big.Int).Sub(p(), bit), new(big.Int).Neg(bit)} {
			out = append(out, n.Mod(n, p()))
		}
		n, err := rand.Int(rand.Reader, p())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	return out
}

func TestArithmeticAgreesWithMathBig(t *testing.T) {
	t.Parallel()
	all := numbers(t)
	for i, a := range all {
		for _, b := range []*big.Int{a, all[(i*7+1)%len(all)], all[(i*31+5)%len(all)], all[len(all)-1-i]} {
			ea, eb := element(t, a), element(t, b)
			for name, tc := range map[string]struct {
				do   func(out *Element)
				want *big.Int
			}{
				"+":      {func(out *Element) { Add(out, &ea, &eb) }, new(big.Int).Add(a, b)},
				"-":      {func(out *Element) { Sub(out, &ea, &eb) }, new(big.Int).Sub(a, b)},
				"*":      {func(out *Element) { Mul(out, &ea, &eb) }, new(big.Int).Mul(a, b)},
				"square": {func(out *Element) { Square(out, &ea) }, new(big.Int).Mul(a, a)},
			} {
				var got Element
				tc.do(&got)
				if got != element(t, tc.want.Mod(tc.want, p())) {
					t.Fatalf("%x %s %x is wrong", a, name, b)
				}
			}
		}
	}
}

func TestOneIsOne(t *testing.T) {
	t.Parallel()
	var one Element
	if One(&one); one != element(t, big.NewInt(1)) {
		t.Error("it is another number")
	}
}

func TestSetRefusesWhatIsNotBelowThePrime(t *testing.T) {
	t.Parallel()
	for _, i := range []*big.Int{p(), new(big.Int).Add(p(), big.NewInt(1)), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))} {
		b := [32]byte(i.FillBytes(make([]byte, 32)))
		if e := (Element{7}); Set(&e, &b) || e != (Element{7}) {
			t.Errorf("%x was taken", b)
		}
	}
}

// TestGeneratedFileIsThatOfNistec holds the copy to the original.
func TestGeneratedFileIsThatOfNistec(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "filippo.io/nistec").Output()
	if err != nil {
		t.Fatal(err)
	}
	const name = "p256_fiat64.go"
	want, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal", "fiat", name))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("is another file")
	}
}
