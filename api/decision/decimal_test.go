package decision

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// FuzzDecimal holds the exact comparison of JSON numbers to math/big, and the grammar to encoding/json.
func FuzzDecimal(f *testing.F) {
	for _, s := range [][2]string{
		{"0", "-0"}, {"1", "1.0"}, {"10e-1", "1"}, {"-1.5", "-15e-1"}, {"9007199254740993", "9007199254740992"}, {"1e30", "1e31"},
		{"01", "1."}, {"+1", ".5"}, {"1e", "-"}, {"0.001", "1e-3"}, {"100", "1E2"}, {"-5", "5"}, {"0e5", "0.0"}, {"", "x"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		da, okA := parseDecimal(a)
		db, okB := parseDecimal(b)
		for s, ok := range map[string]bool{a: okA, b: okB} {
			var n json.Number
			err := json.Unmarshal([]byte(s), &n)
			if valid := err == nil && s != "" && string(n) == s; ok != valid && json.Valid([]byte(s)) {
				t.Fatalf("parseDecimal(%q) says %v, encoding/json %v", s, ok, valid)
			}
		}
		const bounded = 1000 // larger exponents make math/big slow
		if !okA || !okB || da.exp > bounded || da.exp < -bounded || db.exp > bounded || db.exp < -bounded || len(a)+len(b) > 200 {
			return
		}
		if got, want := da.compare(db), exact(t, a).Cmp(exact(t, b)); got != want {
			t.Fatalf("%s compared with %s: %d, want %d", a, b, got, want)
		}
	})
}

// exact is what math/big reads; it reads no exponent beyond 64 bits, not of zero either.
func exact(t *testing.T, s string) *big.Rat {
	t.Helper()
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	if strings.Trim(mantissa, "-0.") == "" {
		return new(big.Rat)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q: math/big does not read it", s)
	}
	return r
}

func TestDecimalOfHugeExponents(t *testing.T) {
	t.Parallel()
	ordered := []string{"-1e999999999999999999999", "-1e400", "-1", "-1e-999999999999999999999", "0", "1e-999999999999999999999", "1", "1e400", "1e999999999999999999999"}
	for i, a := range ordered {
		for j, b := range ordered {
			da, okA := parseDecimal(a)
			db, okB := parseDecimal(b)
			want := 0
			if i != j {
				want = 1
				if i < j {
					want = -1
				}
			}
			if got := da.compare(db); got != want || !okA || !okB {
				t.Errorf("%s compared with %s: %d, want %d", a, b, got, want)
			}
		}
	}
}
