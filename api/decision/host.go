package decision

import (
	"net/netip"
	"strings"
)

const maxHost = 253 // RFC 1035 section 2.3.4, as text

// CanonicalHost returns the host of a Host header or :authority (RFC 9110 section 7.2) as rules see it: in lower case,
// without port and trailing dot. An IPv6 address keeps its brackets and gets its shortest form. User information,
// anything that is not a name of letters, digits, "-", "_" and ".", or an address, is refused: the error is a ShapeError. It does not allocate if
// raw is in lower case already.
func CanonicalHost(raw string) (host string, err error) {
	if strings.HasPrefix(raw, "[") {
		return canonicalIPv6(raw)
	}
	host, port, found := strings.Cut(raw, ":")
	if strings.IndexByte(raw, '@') >= 0 {
		return "", ErrHostUser
	}
	if found && !validPort(port) {
		return "", ErrHostPort
	}
	if host == "" {
		return "", ErrHostMissing
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > maxHost {
		return "", ErrHostLength
	}
	dot := true // a label must follow
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if dot {
				return "", ErrHostLabel
			}
			dot = true
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", ErrHostCharacter
		}
		dot = false
	}
	if dot {
		return "", ErrHostLabel
	}
	return strings.ToLower(host), nil
}

func canonicalIPv6(raw string) (string, error) {
	end := strings.IndexByte(raw, ']')
	if end < 0 {
		return "", ErrHostAddress
	}
	if rest := raw[end+1:]; rest != "" && (rest[0] != ':' || !validPort(rest[1:])) {
		return "", ErrHostPort
	}
	addr, err := netip.ParseAddr(raw[1:end])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", ErrHostAddress
	}
	return "[" + addr.String() + "]", nil
}

// validPort reports whether s is a port number of 1 to 65535.
func validPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n >= 1 && n <= 65535
}
