package decision

import (
	"strconv"
	"strings"
)

// decimal is the exact value of a JSON number: 0.digits times ten to the power of exp. Zero has no digits. It holds
// numbers of any size without computing them, so that 1e400000000 costs nothing.
type decimal struct {
	negative bool
	digits   string // without zeros at either end
	exp      int64
}

// maxExponent bounds exponents; beyond it, numbers are equal to each other only if their digits are.
const maxExponent = 1 << 40

// parseDecimal reads a JSON number (RFC 8259 section 6).
func parseDecimal(s string) (decimal, bool) {
	var d decimal
	if strings.HasPrefix(s, "-") {
		d.negative, s = true, s[1:]
	}
	mantissa, exponent, hasExp := s, "", false
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent, hasExp = s[:i], s[i+1:], true
	}
	whole, fraction, hasDot := strings.Cut(mantissa, ".")
	if !onlyDigits(whole) || len(whole) > 1 && whole[0] == '0' || hasDot && !onlyDigits(fraction) {
		return decimal{}, false
	}
	if hasExp {
		e, ok := parseExponent(exponent)
		if !ok {
			return decimal{}, false
		}
		d.exp = e
	}
	digits := whole + fraction
	d.exp += int64(len(whole))
	trimmed := strings.TrimLeft(digits, "0")
	d.exp -= int64(len(digits) - len(trimmed))
	d.digits = strings.TrimRight(trimmed, "0")
	if d.digits == "" {
		return decimal{}, true
	}
	return d, true
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseExponent reads an exponent and clamps it to maxExponent.
func parseExponent(s string) (int64, bool) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if !onlyDigits(s) {
		return 0, false
	}
	e, err := strconv.ParseInt(s, 10, 64)
	if err != nil || e > maxExponent {
		e = maxExponent
	}
	if negative {
		e = -e
	}
	return e, true
}

// compare returns -1, 0 or 1 as d is below, equal to or above o.
func (d decimal) compare(o decimal) int {
	if d.sign() != o.sign() {
		if d.sign() < o.sign() {
			return -1
		}
		return 1
	}
	magnitude := 0
	switch {
	case d.digits == "":
		return 0
	case d.exp != o.exp:
		magnitude = 1
		if d.exp < o.exp {
			magnitude = -1
		}
	default:
		magnitude = strings.Compare(d.digits, o.digits)
	}
	return magnitude * d.sign()
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}
