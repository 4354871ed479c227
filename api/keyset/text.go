package keyset

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
)

// plain returns text as UTF-8 without a byte order mark and without white space around it. UTF-16, which some editors and
// shells write, is told by its mark or by its zero bytes.
func plain(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		data = fromUTF16(data[2:], 1)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		data = fromUTF16(data[2:], 0)
	case bytes.Count(data, []byte{0}) >= (len(data)+2)/3:
		data = bytes.ReplaceAll(data, []byte{0}, nil)
	}
	return bytes.TrimFunc(data, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' || r == 0 // U+200B: a space of no width
	})
}

// fromUTF16 decodes UTF-16 whose more significant byte is the one at high, 0 or 1, of each pair.
func fromUTF16(data []byte, high int) []byte {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = uint16(data[2*i+high])<<8 | uint16(data[2*i+1-high])
	}
	return []byte(string(utf16.Decode(units)))
}

// isJSON reports whether the text must be JSON if it is text at all. Where it may be a secret, bytes that are not UTF-8
// are no text.
func isJSON(text []byte, maybeSecret bool) bool {
	return (text[0] == '{' || text[0] == '[') && (!maybeSecret || utf8.Valid(text))
}

// isKeyJSON reports whether the text is JSON that means keys.
func isKeyJSON(text []byte) bool {
	doc, err := strictjson.Value(text)
	if err != nil {
		return false
	}
	list, err := jwkList(doc)
	if err != nil {
		return false
	}
	for _, v := range list {
		if m, ok := v.(map[string]any); ok && m["kty"] != nil {
			return true
		}
	}
	return false
}

var (
	// jwkMember is a member that every JWK has, also where the JSON is quoted, escaped, or YAML.
	jwkMember = regexp.MustCompile(`(?:\b|%22|\\u0022)kty(?:\b|%22|\\u0022)(?:["'\\]|&quot;|%22|\\u0022)*\s*(?:[:=]|%3[Aa])`)
	// openSSH is the start of a public key in OpenSSH's form: the key type, as text or in base64.
	openSSH = regexp.MustCompile(`\b(?:ssh-(?:rsa|dss|ed25519|ed448)|ecdsa-sha2-nistp\d+|sk-(?:ssh|ecdsa)-[a-z0-9@.-]+)\s+AAAA|` +
		`AAAAB3NzaC1|AAAAC3NzaC1|AAAAE2VjZHNhLXNoYTIt|AAAAGnNrLXNzaC|AAAAInNrLWVjZHNh`)
	// rsaParts are RSA keys as .NET's XML and as openssl print them.
	rsaParts = regexp.MustCompile(`<RSAKeyValue|<Modulus>|\bModulus=[0-9A-Fa-f]{32}|\bPublic-Key: \(\d+ bit`)
)

// foreign returns what key material the text holds in a form that is not read, and what to do about it; "" if none is
// found. Such text must not be taken for a secret: others know it.
func foreign(data, text []byte) string {
	switch {
	case openSSH.Match(text):
		return "is a key in OpenSSH's form; ssh-keygen -e -m PKCS8 -f FILE makes PEM of it"
	case bytes.Contains(text, []byte("BEGIN SSH2 PUBLIC KEY")):
		return "is a key in the form of RFC 4716; ssh-keygen -i -f FILE and then -e -m PKCS8 makes PEM of it"
	case jwkMember.Match(text):
		return `holds a JWK that is not the whole text, or not JSON; want the JSON alone, {"keys": [...]}`
	case rsaParts.Match(text):
		return "holds an RSA key in a form that is not read; want a JWK Set or PEM"
	case encodedTwice(text):
		return "is a key in base64 or hex; want the key itself (is the entry of the Secret encoded twice?)"
	case holdsDER(data), holdsDER(text):
		return "holds a public key or certificate with something around it; want PEM, or the DER alone"
	}
	return ""
}

// encodedTwice reports whether the text is base64 or hex of key material.
func encodedTwice(text []byte) bool {
	if bytes.Contains(text, []byte("LS0tLS1CRUdJTi")) { // "-----BEGIN"
		return true
	}
	decoded, ok := unbase64(text)
	if ok && isMaterial(decoded) {
		return true
	}
	digits := squeeze(bytes.ReplaceAll(text, []byte(":"), nil))
	decoded, err := hex.AppendDecode(nil, bytes.TrimPrefix(digits, []byte("0x")))
	return err == nil && isMaterial(decoded)
}

// isMaterial reports whether what was decoded is key material.
func isMaterial(data []byte) bool {
	text := plain(data)
	if len(text) == 0 {
		return false
	}
	if _, ok := bareDER(data, text); ok {
		return true
	}
	return hasPEM(text) || jwkMember.Match(text) || openSSH.Match(text)
}

// squeeze removes white space, and line breaks that are written as backslash and letter.
func squeeze(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte(`\n`), nil)
	text = bytes.ReplaceAll(text, []byte(`\r`), nil)
	return bytes.Join(bytes.Fields(text), nil)
}

// unbase64 decodes base64 or base64url, with or without padding and line breaks.
func unbase64(text []byte) ([]byte, bool) {
	text = bytes.TrimRight(squeeze(text), "=")
	for i, c := range text {
		switch c {
		case '-':
			text[i] = '+'
		case '_':
			text[i] = '/'
		}
	}
	out, err := base64.RawStdEncoding.AppendDecode(nil, text)
	return out, err == nil
}
