package dpop

import (
	"strings"
)

// normal brings an http or https URL to the form in which URLs are compared (RFC 9449 section 4.3: syntax-based and
// scheme-based normalization, RFC 3986 sections 6.2.2 and 6.2.3), without query and fragment. ok is false for what is no such
// URL, or has user information.
func normal(url string) (text string, ok bool) {
	if end := strings.IndexAny(url, "?#"); end >= 0 {
		url = url[:end]
	}
	scheme, rest, found := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return "", false
	}
	host, path := rest, ""
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		host, path = rest[:slash], rest[slash:]
	}
	host, ok = normalHost(scheme, strings.ToLower(host))
	if !ok {
		return "", false
	}
	if path, ok = normalPath(path); !ok {
		return "", false
	}
	return scheme + "://" + host + path, true
}

// normalHost takes off the default port and an empty one. A percent sign has no place in a host of HTTP.
func normalHost(scheme, host string) (string, bool) {
	if strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`%@\"<>^{|}`+"`", c) }) {
		return "", false
	}
	name, port := host, ""
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		name, port = host[:colon], host[colon+1:]
	}
	ipv6 := strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]")
	if name == "" || strings.Trim(port, "0123456789") != "" || strings.Contains(name, ":") && !ipv6 {
		return "", false // a colon elsewhere than in an address of IPv6
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return name, true
	}
	return name + ":" + port, true
}

// normalPath decodes what need not be encoded, writes hexadecimal digits in upper case, and removes dot segments. An empty
// path is "/".
func normalPath(path string) (string, bool) {
	if path == "" {
		return "/", true
	}
	plain := true
	for i := range len(path) {
		c := path[i]
		if c <= ' ' || c >= 0x7f {
			return "", false
		}
		plain = plain && c != '%' && c != '.'
	}
	if plain {
		return path, path[0] == '/'
	}
	decoded, ok := normalPercent(path)
	if !ok || decoded[0] != '/' {
		return "", false
	}
	return withoutDots(decoded), true
}

// normalPercent decodes the encodings of unreserved characters (RFC 3986 section 2.3) and writes the others in upper case.
func normalPercent(path string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) {
			return "", false
		}
		high, low := hex(path[i+1]), hex(path[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		const digits = "0123456789ABCDEF"
		if c := byte(high<<4 | low); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[high])
			b.WriteByte(digits[low])
		}
		i += 2
	}
	return b.String(), true
}

func hex(c byte) int {
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

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// withoutDots removes the segments "." and ".." (RFC 3986 section 5.2.4). The path begins with "/".
func withoutDots(path string) string {
	segments := strings.Split(path[1:], "/")
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "..":
			out = out[:max(0, len(out)-1)]
		case ".":
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}
