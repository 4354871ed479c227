package decision_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestReadPath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw, want string
		match     string // of rules, if it differs
		err       error
		keep      bool
	}{
		"the root":                                  {raw: "/", want: "/"},
		"a plain path stays":                        {raw: "/orders/7", want: "/orders/7"},
		"a final slash stays":                       {raw: "/orders/", want: "/orders/"},
		"repeated slashes become one":               {raw: "//orders///7//", want: "/orders/7/"},
		"dot segments go":                           {raw: "/a/./b/../c", want: "/a/c"},
		"encoded dot segments go":                   {raw: "/a/%2e/b/%2E%2e/c", want: "/a/c"},
		"half-encoded dot segments go":              {raw: "/a/b/.%2E/c", want: "/a/c"},
		"a final dot leaves its slash":              {raw: "/a/.", want: "/a/"},
		"two final dots leave their slash":          {raw: "/a/b/..", want: "/a/"},
		"dots may lead back to the root":            {raw: "/a/..", want: "/"},
		"dots through repeated slashes":             {raw: "/a//../b", want: "/b"},
		"three dots are a name":                     {raw: "/a/.../b", want: "/a/.../b"},
		"a name may start with a dot":               {raw: "/.well-known/x", want: "/.well-known/x"},
		"dots that climb out":                       {raw: "/../a", err: decision.ErrPathClimb},
		"dots that climb out later":                 {raw: "/a/../../b", err: decision.ErrPathClimb},
		"encoded dots that climb out":               {raw: "/%2e%2e/a", err: decision.ErrPathClimb},
		"escaped letters are decoded":               {raw: "/%61dmin/%7Euser", want: "/admin/~user"},
		"escapes become upper case":                 {raw: "/%c3%a4", want: "/%C3%A4"},
		"raw UTF-8 is escaped":                      {raw: "/ä", want: "/%C3%A4"},
		"a space is escaped":                        {raw: "/a b", want: "/a%20b"},
		"a semicolon is escaped":                    {raw: "/admin;x=1/a", want: "/admin%3Bx=1/a"},
		"dots before a semicolon are a name":        {raw: "/a/..;/b", want: "/a/..%3B/b"},
		"reserved characters stay as they are":      {raw: "/%21$%26'()*+,=:@", want: "/%21$%26'()*+,=:@", match: "/!$&'()*+,=:@"},
		"an escaped plus is no plus":                {raw: "/a%2bb+c", want: "/a%2Bb+c", match: "/a+b+c"},
		"an escaped equals sign is none":            {raw: "/a%3db=c", want: "/a%3Db=c", match: "/a=b=c"},
		"every reserved character":                  {raw: "/%3a%40%21%24%26%27%28%29%2a%2b%2c%3d%3b%3f%23%5b%5d", want: "/%3A%40%21%24%26%27%28%29%2A%2B%2C%3D%3B%3F%23%5B%5D", match: "/:@!$&'()*+,=%3B%3F%23%5B%5D"},
		"every unreserved mark":                     {raw: "/%2d%2e%5f%7e", want: "/-._~"},
		"what may not be raw is escaped":            {raw: "/a\"<>[]^`{|}b", want: "/a%22%3C%3E%5B%5D%5E%60%7B%7C%7Db"},
		"an escape of an escape stays one":          {raw: "/%252B%252b", want: "/%252B%252b"},
		"an escaped percent stays":                  {raw: "/%252e%252e/a", want: "/%252e%252e/a"},
		"an escaped question mark stays":            {raw: "/a%3fb%23c", want: "/a%3Fb%23c"},
		"no slash at the start":                     {raw: "orders", err: decision.ErrPathStart},
		"nothing":                                   {raw: "", err: decision.ErrPathStart},
		"the asterisk form":                         {raw: "*", err: decision.ErrPathStart},
		"an absolute form":                          {raw: "http://h/a", err: decision.ErrPathStart},
		"a cut escape":                              {raw: "/a%4", err: decision.ErrPathEscape},
		"an escape of no hexadecimal digits":        {raw: "/%zz", err: decision.ErrPathEscape},
		"an IIS escape":                             {raw: "/%u002e", err: decision.ErrPathEscape},
		"NUL":                                       {raw: "/a%00b", err: decision.ErrPathNUL},
		"a raw control byte":                        {raw: "/a\tb", err: decision.ErrPathControl},
		"an escaped line break":                     {raw: "/a%0d%0ab", err: decision.ErrPathControl},
		"DEL":                                       {raw: "/a\x7f", err: decision.ErrPathControl},
		"a backslash":                               {raw: `/a\..\b`, err: decision.ErrPathBackslash},
		"an escaped backslash":                      {raw: "/a%5c..%5Cb", err: decision.ErrPathBackslash},
		"an escaped slash":                          {raw: "/a%2fb", err: decision.ErrPathEncodedSlash},
		"a raw question mark":                       {raw: "/a?b", err: decision.ErrPathDelimiter},
		"a raw number sign":                         {raw: "/a#b", err: decision.ErrPathDelimiter},
		"bytes that are no UTF-8":                   {raw: "/%ff", err: decision.ErrPathUTF8},
		"an overlong dot":                           {raw: "/%c0%ae%c0%ae/", err: decision.ErrPathUTF8},
		"a surrogate":                               {raw: "/%ed%a0%80", err: decision.ErrPathUTF8},
		"a character cut by a letter":               {raw: "/%e2%82x", err: decision.ErrPathUTF8},
		"a character cut by a slash":                {raw: "/%e2%82/%ac", err: decision.ErrPathUTF8},
		"a kept slash":                              {raw: "/a%2fb", want: "/a%2Fb", keep: true},
		"a kept slash hides no dots":                {raw: "/a%2f..%2fb", err: decision.ErrPathHiddenDots, keep: true},
		"a kept slash hides no dots at the start":   {raw: "/..%2fb", err: decision.ErrPathHiddenDots, keep: true},
		"a kept slash hides no escaped dots":        {raw: "/a%2F%2e%2E", err: decision.ErrPathHiddenDots, keep: true},
		"a kept slash does not keep a backslash":    {raw: "/a%2f%5c", err: decision.ErrPathBackslash, keep: true},
		"a kept slash leaves true dot segments":     {raw: "/a%2fb/../c", want: "/c", keep: true},
		"a long path that needs more than one page": {raw: "/" + strings.Repeat("ä", 600), want: "/" + strings.Repeat("%C3%A4", 600)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slash := policy.RefuseEncodedSlash
			if test.keep {
				slash = policy.KeepEncodedSlash
			}
			if test.match == "" {
				test.match = test.want
			}
			got, err := decision.ReadPath(test.raw, decision.PathOptions{Slash: slash})
			if got.Forward != test.want || got.Match != test.match || !errors.Is(err, test.err) {
				t.Errorf("ReadPath(%q) = %q, %q, %v; want %q, %q, %v", test.raw, got.Forward, got.Match, err, test.want, test.match, test.err)
			}
		})
	}
}

// naivePath is ReadPath written for nothing but clarity: it returns what is forwarded and what rules see.
func naivePath(raw string, keep bool) (forward, match string, ok bool) {
	if !strings.HasPrefix(raw, "/") || strings.ContainsAny(raw, "?#") {
		return "", "", false
	}
	var stack, sent []string
	slash := false
	for part := range strings.SplitSeq(raw[1:], "/") {
		text, err := url.PathUnescape(part)
		if err != nil || !utf8.ValidString(text) || strings.ContainsRune(text, '\\') || strings.ContainsRune(text, '/') && !keep {
			return "", "", false
		}
		for _, c := range []byte(text) {
			if c < 32 || c == 127 {
				return "", "", false
			}
		}
		slash = text == "" || text == "." || text == ".."
		switch {
		case text == ".." && len(stack) == 0:
			return "", "", false
		case text == "..":
			stack, sent = stack[:len(stack)-1], sent[:len(sent)-1]
		case !slash:
			pieces := strings.Split(text, "/")
			for _, piece := range pieces {
				if len(pieces) > 1 && (piece == "." || piece == "..") {
					return "", "", false
				}
			}
			stack, sent = append(stack, text), append(sent, part)
		}
	}
	var f, m strings.Builder
	for i, text := range stack {
		f.WriteString("/" + naiveForward(sent[i]))
		m.WriteByte('/')
		for _, c := range []byte(text) {
			m.WriteString(naiveEscape(c, unreserved+"!$&'()*+,=:@"))
		}
	}
	if slash {
		f.WriteByte('/')
		m.WriteByte('/')
	}
	return f.String(), m.String(), true
}

const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

func naiveEscape(c byte, raw string) string {
	if strings.IndexByte(raw, c) >= 0 {
		return string(rune(c))
	}
	return fmt.Sprintf("%%%02X", c)
}

// naiveForward decodes the escapes of unreserved characters, and escapes what may not be raw.
func naiveForward(segment string) string {
	var b strings.Builder
	for i := 0; i < len(segment); i++ {
		if segment[i] != '%' {
			b.WriteString(naiveEscape(segment[i], unreserved+"!$&'()*+,=:@"))
			continue
		}
		c, _ := strconv.ParseUint(segment[i+1:i+3], 16, 8)
		b.WriteString(naiveEscape(byte(c), unreserved))
		i += 2
	}
	return b.String()
}

func FuzzReadPath(f *testing.F) {
	for _, s := range []string{
		"/", "/a/b", "//a/./b/../c/", "/%2e%2e/a", "/a/..;/b", "/%c3%a4/ä", "/a%2fb", "/a%2f../b", "/a%5c", "/%00",
		"/%u002e", "/a?b#c", "/%c0%ae", "*", "/%e2%82/%ac", "/a/b/..", "/a//..//", "/%25%32%66", "/a%3db;c", "/a%2fb;c/..;/d",
	} {
		f.Add(s, false, false)
		f.Add(s, true, true)
	}
	f.Fuzz(func(t *testing.T, raw string, keep, asSent bool) {
		o := decision.PathOptions{AsSent: asSent, Slash: policy.RefuseEncodedSlash}
		if keep {
			o.Slash = policy.KeepEncodedSlash
		}
		got, err := decision.ReadPath(raw, o)
		forward, match, ok := naivePath(raw, keep)
		if asSent && ok {
			forward = raw
		}
		if asSent && strings.Contains(raw, " ") {
			forward, match, ok = "", "", false
		}
		switch {
		case errors.Is(err, decision.ErrPathParamClimb) && (asSent || keep): // FuzzReadings holds it
			return
		case got.Forward != forward || got.Match != match || (err == nil) != ok:
			t.Fatalf("ReadPath(%q, %+v) = %q, %q, %v; the naive one says %q, %q, %v", raw, o, got.Forward, got.Match, err, forward, match, ok)
		case err != nil:
			return
		}
		for _, r := range got.Readings {
			if !strings.HasPrefix(r.Path, "/") || r.Path == got.Match {
				t.Fatalf("ReadPath(%q, %+v) reads %q too", raw, o, r.Path)
			}
		}
		again, err := decision.ReadPath(got.Forward, o)
		if again.Forward != got.Forward || again.Match != got.Match || !slices.Equal(again.Readings, got.Readings) || err != nil {
			t.Fatalf("ReadPath(%q) = %+v, %v; want a fixed point, %+v", got.Forward, again, err, got)
		}
		if again, err = decision.ReadPath(got.Match, o); again.Match != got.Match || err != nil {
			t.Fatalf("ReadPath(%q) = %+v, %v; want a fixed point of Match", got.Match, again, err)
		}
	})
}

func TestCanonicalHost(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw, want string
		err       error
	}{
		"a name":                        {raw: "api.example.com", want: "api.example.com"},
		"upper case":                    {raw: "API.Example.COM", want: "api.example.com"},
		"a port":                        {raw: "api.example.com:8080", want: "api.example.com"},
		"a final dot":                   {raw: "api.example.com.", want: "api.example.com"},
		"a final dot and a port":        {raw: "api.example.com.:80", want: "api.example.com"},
		"an underscore":                 {raw: "_sip.example", want: "_sip.example"},
		"an IPv4 address":               {raw: "10.0.0.1:80", want: "10.0.0.1"},
		"an IPv6 address":               {raw: "[::1]:80", want: "[::1]"},
		"an IPv6 address in long form":  {raw: "[0:0:0:0:0:0:0:1]", want: "[::1]"},
		"nothing":                       {raw: "", err: decision.ErrHostMissing},
		"a dot":                         {raw: ".", err: decision.ErrHostLabel},
		"two final dots":                {raw: "api.example.com..", err: decision.ErrHostLabel},
		"an empty label":                {raw: "api..com", err: decision.ErrHostLabel},
		"a dot first":                   {raw: ".example.com", err: decision.ErrHostLabel},
		"user information":              {raw: "a@api.example.com", err: decision.ErrHostUser},
		"an empty port":                 {raw: "api.example.com:", err: decision.ErrHostPort},
		"a port of letters":             {raw: "api.example.com:http", err: decision.ErrHostPort},
		"a port beyond 65535":           {raw: "api.example.com:65536", err: decision.ErrHostPort},
		"two ports":                     {raw: "api.example.com:80:80", err: decision.ErrHostPort},
		"a space":                       {raw: "api.example.com ", err: decision.ErrHostCharacter},
		"a slash":                       {raw: "api.example.com/a", err: decision.ErrHostCharacter},
		"a list":                        {raw: "a.example,b.example", err: decision.ErrHostCharacter},
		"an escape":                     {raw: "api%2eexample.com", err: decision.ErrHostCharacter},
		"a line break":                  {raw: "api\r\nx", err: decision.ErrHostCharacter},
		"no ASCII":                      {raw: "äpi.example", err: decision.ErrHostCharacter},
		"an open bracket":               {raw: "[::1", err: decision.ErrHostAddress},
		"something after the bracket":   {raw: "[::1]x", err: decision.ErrHostPort},
		"an IPv4 address in brackets":   {raw: "[10.0.0.1]", err: decision.ErrHostAddress},
		"an IPv6 address with its zone": {raw: "[fe80::1%25eth0]", err: decision.ErrHostAddress},
		"a name of 254 bytes":           {raw: strings.Repeat("a", 254), err: decision.ErrHostLength},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decision.CanonicalHost(test.raw)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("CanonicalHost(%q) = %q, %v; want %q, %v", test.raw, got, err, test.want, test.err)
			}
		})
	}
}

func FuzzCanonicalHost(f *testing.F) {
	for _, s := range []string{"api.example.com:80", "[::1]:443", "A.B.", "a@b", "..", "[::ffff:1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := decision.CanonicalHost(raw)
		if err != nil {
			return
		}
		if again, err := decision.CanonicalHost(got); err != nil || again != got {
			t.Fatalf("CanonicalHost(%q) = %q, %v; want a fixed point", got, again, err)
		}
		if got != strings.ToLower(got) || strings.ContainsAny(got, "@/ \t\r\n%,") || strings.HasSuffix(got, ".") {
			t.Fatalf("CanonicalHost(%q) = %q", raw, got)
		}
	})
}
