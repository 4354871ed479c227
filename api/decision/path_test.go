package decision_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

func TestCanonicalPath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw, want string
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
		"sub-delims stay raw":                       {raw: "/%21$%26'()*+,=:@", want: "/!$&'()*+,=:@"},
		"an escaped percent stays":                  {raw: "/%252e%252e/a", want: "/%252e%252e/a"},
		"an escaped question mark stays":            {raw: "/a%3fb%23c", want: "/a%3Fb%23c"},
		"no slash at the start":                     {raw: "orders", err: decision.ErrPathStart},
		"nothing":                                   {raw: "", err: decision.ErrPathStart},
		"the asterisk form":                         {raw: "*", err: decision.ErrPathStart},
		"an absolute form":                          {raw: "http://h/a", err: decision.ErrPathStart},
		"a cut escape":                              {raw: "/a%4", err: decision.ErrPathEscape},
		"an escape of no hexadecimal digits":        {raw: "/%zz", err: decision.ErrPathEscape},
		"an IIS escape":                             {raw: "/%u002e", err: decision.ErrPathEscape},
		"NUL":                                       {raw: "/a%00b", err: decision.ErrPathControl},
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
			got, err := decision.CanonicalPath(test.raw, slash)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("CanonicalPath(%q) = %q, %v; want %q, %v", test.raw, got, err, test.want, test.err)
			}
		})
	}
}

// naivePath is CanonicalPath written for nothing but clarity.
func naivePath(raw string, keep bool) (string, bool) {
	if !strings.HasPrefix(raw, "/") || strings.ContainsAny(raw, "?#") {
		return "", false
	}
	var stack []string
	slash := false
	for part := range strings.SplitSeq(raw[1:], "/") {
		text, err := url.PathUnescape(part)
		if err != nil || !utf8.ValidString(text) || strings.ContainsRune(text, '\\') || strings.ContainsRune(text, '/') && !keep {
			return "", false
		}
		for _, c := range []byte(text) {
			if c < 32 || c == 127 {
				return "", false
			}
		}
		slash = text == "" || text == "." || text == ".."
		switch {
		case text == ".." && len(stack) == 0:
			return "", false
		case text == "..":
			stack = stack[:len(stack)-1]
		case !slash:
			pieces := strings.Split(text, "/")
			for _, piece := range pieces {
				if len(pieces) > 1 && (piece == "." || piece == "..") {
					return "", false
				}
			}
			stack = append(stack, text)
		}
	}
	var b strings.Builder
	for _, text := range stack {
		b.WriteByte('/')
		for _, c := range []byte(text) {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@", rune(c)) {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
	}
	if slash {
		b.WriteByte('/')
	}
	return b.String(), true
}

func FuzzCanonicalPath(f *testing.F) {
	for _, s := range []string{
		"/", "/a/b", "//a/./b/../c/", "/%2e%2e/a", "/a/..;/b", "/%c3%a4/ä", "/a%2fb", "/a%2f../b", "/a%5c", "/%00",
		"/%u002e", "/a?b#c", "/%c0%ae", "*", "/%e2%82/%ac", "/a/b/..", "/a//..//", "/%25%32%66",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, raw string, keep bool) {
		slash := policy.RefuseEncodedSlash
		if keep {
			slash = policy.KeepEncodedSlash
		}
		got, err := decision.CanonicalPath(raw, slash)
		want, ok := naivePath(raw, keep)
		if got != want || (err == nil) != ok {
			t.Fatalf("CanonicalPath(%q, %s) = %q, %v; the naive one says %q, %v", raw, slash, got, err, want, ok)
		}
		if err != nil {
			return
		}
		again, err := decision.CanonicalPath(got, slash)
		if again != got || err != nil {
			t.Fatalf("CanonicalPath(%q) = %q, %v; want a fixed point", got, again, err)
		}
	})
}

func TestCanonicalHost(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw, want string
		refused   bool
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
		"nothing":                       {raw: "", refused: true},
		"a dot":                         {raw: ".", refused: true},
		"two final dots":                {raw: "api.example.com..", refused: true},
		"an empty label":                {raw: "api..com", refused: true},
		"a dot first":                   {raw: ".example.com", refused: true},
		"user information":              {raw: "a@api.example.com", refused: true},
		"an empty port":                 {raw: "api.example.com:", refused: true},
		"a port of letters":             {raw: "api.example.com:http", refused: true},
		"a port beyond 65535":           {raw: "api.example.com:65536", refused: true},
		"two ports":                     {raw: "api.example.com:80:80", refused: true},
		"a space":                       {raw: "api.example.com ", refused: true},
		"a slash":                       {raw: "api.example.com/a", refused: true},
		"a list":                        {raw: "a.example,b.example", refused: true},
		"an escape":                     {raw: "api%2eexample.com", refused: true},
		"a line break":                  {raw: "api\r\nx", refused: true},
		"no ASCII":                      {raw: "äpi.example", refused: true},
		"an open bracket":               {raw: "[::1", refused: true},
		"something after the bracket":   {raw: "[::1]x", refused: true},
		"an IPv4 address in brackets":   {raw: "[10.0.0.1]", refused: true},
		"an IPv6 address with its zone": {raw: "[fe80::1%25eth0]", refused: true},
		"a name of 254 bytes":           {raw: strings.Repeat("a", 254), refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decision.CanonicalHost(test.raw)
			if got != test.want || (err != nil) != test.refused {
				t.Errorf("CanonicalHost(%q) = %q, %v; want %q, refused %v", test.raw, got, err, test.want, test.refused)
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
