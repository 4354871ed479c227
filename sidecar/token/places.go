package token

import (
	"strings"
)

// cookie returns the value of the cookie with this name, and how many there are (RFC 6265 section 4.2.1). HTTP/2 may
// split the header (RFC 9113 section 8.2.3). A single empty cookie is none: that is how applications clear one.
func cookie(values []string, name string) (value string, n int) {
	for _, v := range values {
		for pair := range strings.SplitSeq(v, ";") {
			if got, ok := cookiePair(pair, name); ok {
				value = got
				n++
			}
		}
	}
	if n == 1 && value == "" {
		return "", 0
	}
	return value, n
}

func cookiePair(pair, name string) (value string, ok bool) {
	key, value, has := strings.Cut(strings.Trim(pair, " \t"), "=")
	if !has || strings.TrimRight(key, " \t") != name {
		return "", false
	}
	value = strings.TrimLeft(value, " \t")
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return value, true
}

// query returns the decoded value of the parameter with this name, and how many there are. A single empty one is none.
func query(raw, name string) (value string, n int) {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, v, _ := strings.Cut(pair, "=")
		if sameName(key, name) {
			value = unescape(v)
			n++
		}
	}
	if n == 1 && value == "" {
		return "", 0
	}
	return value, n
}

// sameName compares a parameter's name as it came, in any spelling, with the name that is looked for.
func sameName(key, name string) bool {
	return key == name || strings.ContainsAny(key, "%+") && unescape(key) == name
}

// unescape decodes %XX and "+"; an invalid escape stays as it is and so never makes a token.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0:
			out = append(out, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// protocol returns the element after the announcing one in the list of subprotocols (RFC 6455 section 11.3.4), and how
// often it is announced. Announced without a token is an empty token.
func protocol(values []string, name string) (value string, n int) {
	announced := false
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			element = strings.Trim(element, " \t")
			switch {
			case announced:
				value, announced = element, false
			case element == name:
				announced = true
				n++
			}
		}
	}
	return value, n
}

// StripQuery returns the raw query without the parameters of this name, in any spelling; the others stay as they came.
func StripQuery(rawQuery, name string) string {
	var kept []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if key, _, _ := strings.Cut(pair, "="); !sameName(key, name) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&") // rawQuery itself if nothing was named so
}

// StripCookie returns the Cookie header values without the cookies of this name; values that become empty are left out.
func StripCookie(values []string, name string) []string {
	var out []string
	for _, v := range values {
		var kept []string
		for pair := range strings.SplitSeq(v, ";") {
			pair = strings.Trim(pair, " \t")
			if _, is := cookiePair(pair, name); !is && pair != "" {
				kept = append(kept, pair)
			}
		}
		if len(kept) > 0 {
			out = append(out, strings.Join(kept, "; "))
		}
	}
	return out
}

// StripProtocol returns the Sec-WebSocket-Protocol values, as one, without the announcing subprotocol and the token
// after it; nil when nothing else is left.
func StripProtocol(values []string, name string) []string {
	announced := false
	var kept []string
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			element = strings.Trim(element, " \t")
			switch {
			case announced:
				announced = false
			case element == name:
				announced = true
			case element != "":
				kept = append(kept, element)
			}
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return []string{strings.Join(kept, ", ")}
}
