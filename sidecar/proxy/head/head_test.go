package head

import (
	"strings"
	"testing"
)

var limits = Limits{Bytes: 4096, Fields: 10}

func TestParse(t *testing.T) {
	t.Parallel()
	const line, host = "GET / HTTP/1.1\r\n", "Host: a\r\n"
	tests := map[string]struct {
		give string
		want error
	}{
		"the least":                         {line + host + "\r\n", nil},
		"HTTP/1.0 without a host":           {"GET / HTTP/1.0\r\n\r\n", nil},
		"an upgrade":                        {line + host + "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", nil},
		"a length":                          {line + host + "Content-Length: 5\r\n\r\n", nil},
		"chunks in another case":            {line + host + "Transfer-Encoding: Chunked \r\n\r\n", nil},
		"bytes beyond ASCII in a value":     {line + host + "X: \xff\r\n\r\n", nil},
		"announced trailers":                {line + host + "Trailer: X-A, X-Length\r\nTransfer-Encoding: chunked\r\n\r\n", nil},
		"an announced length":               {line + host + "Trailer: X-A, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTrailer},
		"an announced coding":               {line + host + "Trailer: X-A\r\nTrailer: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTrailer},
		"no version":                        {"GET /\r\n" + host + "\r\n", ErrRequestLine},
		"two spaces":                        {"GET  / HTTP/1.1\r\n" + host + "\r\n", ErrRequestLine},
		"a space in the target":             {"GET /a b HTTP/1.1\r\n" + host + "\r\n", ErrVersion},
		"a tab in the request line":         {"GET\t/ HTTP/1.1\r\n" + host + "\r\n", ErrRequestLine},
		"HTTP/1.2":                          {"GET / HTTP/1.2\r\n" + host + "\r\n", ErrVersion},
		"http/1.1 in small letters":         {"GET / http/1.1\r\n" + host + "\r\n", ErrVersion},
		"a method with a colon":             {"G:T / HTTP/1.1\r\n" + host + "\r\n", ErrRequestLine},
		"a space before the request line":   {" GET / HTTP/1.1\r\n" + host + "\r\n", ErrRequestLine},
		"no host":                           {line + "\r\n", ErrHost},
		"two hosts":                         {line + host + host + "\r\n", ErrHost},
		"an authority that is not the host": {"GET http://b/ HTTP/1.1\r\n" + host + "\r\n", ErrHostMismatch},
		"an authority that is the host":     {"GET http://A/ HTTP/1.1\r\n" + host + "\r\n", nil},
		"an authority with a user":          {"GET http://a@b/ HTTP/1.1\r\n" + host + "\r\n", ErrHostMismatch},
		"bare LF":                           {line + "Host: a\nX: y\r\n\r\n", ErrLine},
		"bare LF in the request line":       {"GET / HTTP/1.1\n" + host + "\r\n", ErrLine},
		"bare CR":                           {line + host + "X: a\rb\r\n\r\n", ErrLine},
		"NUL":                               {line + host + "X: a\x00b\r\n\r\n", ErrField},
		"DEL":                               {line + host + "X: a\x7fb\r\n\r\n", ErrField},
		"obs-fold":                          {line + host + "X: a\r\n b\r\n\r\n", ErrFold},
		"obs-fold of a length":              {line + host + "Content-Length:\r\n 5\r\n\r\n", ErrFold},
		"obs-fold with a tab":               {line + host + "X: a\r\n\tb\r\n\r\n", ErrFold},
		"a folded first line":               {line + " Host: a\r\n\r\n", ErrFold},
		"space before the colon":            {line + host + "Content-Length : 5\r\n\r\n", ErrField},
		"no colon":                          {line + host + "Content-Length\r\n\r\n", ErrField},
		"no name":                           {line + host + ": a\r\n\r\n", ErrField},
		"a name beyond ASCII":               {line + host + "X\xc4\xb0: a\r\n\r\n", ErrField},
		"two lengths":                       {line + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", ErrLength},
		"two equal lengths":                 {line + host + "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", ErrLength},
		"a list of equal lengths":           {line + host + "Content-Length: 5, 5\r\n\r\n", ErrLength},
		"a signed length":                   {line + host + "Content-Length: +5\r\n\r\n", ErrLength},
		"a negative length":                 {line + host + "Content-Length: -1\r\n\r\n", ErrLength},
		"a hexadecimal length":              {line + host + "Content-Length: 0x5\r\n\r\n", ErrLength},
		"an empty length":                   {line + host + "Content-Length: \r\n\r\n", ErrLength},
		"a huge length":                     {line + host + "Content-Length: 9999999999999999999\r\n\r\n", ErrLength},
		"both lengths":                      {line + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrFraming},
		"both lengths the other way":        {line + host + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", ErrFraming},
		"chunks in HTTP/1.0":                {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrFraming},
		"another coding":                    {line + host + "Transfer-Encoding: gzip\r\n\r\n", ErrCoding},
		"a list of codings":                 {line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", ErrCoding},
		"an empty coding":                   {line + host + "Transfer-Encoding:\r\n\r\n", ErrCoding},
		"a coding with a vertical tab":      {line + host + "Transfer-Encoding: \vchunked\r\n\r\n", ErrField},
		"a quoted coding":                   {line + host + "Transfer-Encoding: \"chunked\"\r\n\r\n", ErrCoding},
		"chunks twice":                      {line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrCoding},
		"two authorizations":                {line + host + "Authorization: a\r\nauthorization: b\r\n\r\n", ErrAuthorization},
		"too many fields":                   {line + host + strings.Repeat("X: y\r\n", 10) + "\r\n", ErrTooLarge},
		"too many bytes":                    {line + host + "X: " + strings.Repeat("y", 4096) + "\r\n\r\n", ErrTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if End([]byte(tt.give), 0) != len(tt.give) {
				t.Fatal("End does not find the end")
			}
			if err := ParseRequest([]byte(tt.give), limits, &Request{}); err != tt.want { //nolint:errorlint // constants
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCheckRefusesEarly(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]error{
		"GET / HT": nil, "GET / HTTP/1.1\r": nil, "GET\n": ErrLine, "GET\r/": ErrLine, "\x16\x03\x01": ErrField,
		strings.Repeat("a", 5000): ErrTooLarge,
	} {
		if err := Check([]byte(give), 0, limits); err != want { //nolint:errorlint // constants
			t.Errorf("%.20q: %v, want %v", give, err, want)
		}
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		give string
		rest string
		want error
	}{
		"one chunk":                {"3\r\nabc\r\n0\r\n\r\nGET", "GET", nil},
		"an empty body":            {"0\r\n\r\n", "", nil},
		"capital and small digits": {"0A\r\n0123456789\r\n000\r\n\r\n", "", nil},
		"extensions":               {"1;a=b;c=\"d\"\r\nx\r\n0;e\r\n\r\n", "", nil},
		"trailers":                 {"0\r\nX: y\r\nZ: w\r\n\r\nP", "P", nil},
		"bare LF after the size":   {"3\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"bare LF after the data":   {"3\r\nabc\n0\r\n\r\n", "", ErrChunk},
		"bare LF in an extension":  {"3;a\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"bare CR in an extension":  {"3;a\rb\r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"more data than the size":  {"3\r\nabcd\r\n0\r\n\r\n", "", ErrChunk},
		"a space before the size":  {" 3\r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"a space after the size":   {"3 \r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"a sign":                   {"+3\r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"0x":                       {"0x3\r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"no size":                  {"\r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"a size that overflows":    {"10000000000000003\r\nabc\r\n0\r\n\r\n", "", ErrChunk},
		"a folded trailer":         {"0\r\nX: y\r\n z\r\n\r\n", "", ErrFold},
		"a trailer without a name": {"0\r\n: y\r\n\r\n", "", ErrField},
		"a trailer with bare LF":   {"0\r\nX: y\nZ: w\r\n\r\n", "", ErrLine},
		"endless extensions":       {"1;" + strings.Repeat("a", maxLine) + "\r\n", "", ErrTooLarge},
		"too many trailers":        {"0\r\n" + strings.Repeat("a: b\r\n", 11) + "\r\n", "", ErrTooLarge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, step := range []int{1, 2, 7, len(tt.give)} {
				rest, done, err := scanAll(tt.give, step)
				if err != tt.want || err == nil && (!done || rest != tt.rest) { //nolint:errorlint // constants
					t.Errorf("in steps of %d: done %v, rest %q, %v; want %q, %v", step, done, rest, err, tt.rest, tt.want)
				}
			}
		})
	}
}

// scanAll takes a body in steps of some bytes, as who reads from a socket does, and returns what lies behind its trailers.
func scanAll(s string, step int) (rest string, done bool, err error) {
	var y Body
	y.Begin(&Message{Length: -1, Chunked: true})
	for held := []byte(nil); len(s) > 0; {
		n := min(step, len(s))
		held, s = append(held, s[:n]...), s[n:]
		for used := 1; used > 0 && len(held) > 0 && y.Left > 0; held = held[used:] {
			if _, used, err = y.Take(held, limits); err != nil {
				return "", false, err
			}
		}
		if y.Left == 0 {
			return string(held) + s, true, nil
		}
	}
	return "", false, nil
}

// A body that has no chunks ends by its length, or never.
func TestBodiesWithoutChunks(t *testing.T) {
	t.Parallel()
	for length, want := range map[int64]string{0: "", 3: "abc", 10: "abcdef", -1: "abcdef"} {
		var y Body
		y.Begin(&Message{Length: length})
		got := ""
		for _, p := range []string{"ab", "cde", "f"} {
			kept, used, err := y.Take([]byte(p), limits)
			if kept != used || err != nil {
				t.Errorf("of length %d: kept %d of %d, %v", length, kept, used, err)
			}
			got += p[:used]
		}
		if got != want || (y.Left == 0) != (length >= 0 && int(length) == len(want)) || y.ToClose != (length < 0) {
			t.Errorf("of length %d: %q, %d are left", length, got, y.Left)
		}
	}
}

// A trailer section is bounded, whether it comes at once or not.
func TestTrailersAreBounded(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]error{maxTrailers: nil, maxTrailers + 1: ErrTooLarge, 2 * maxTrailers: ErrTooLarge} {
		give := "0\r\na: " + strings.Repeat("b", length-len("a: \r\n\r\n")) + "\r\n\r\n"
		for _, step := range []int{1000, len(give)} {
			if _, done, err := scanAll(give, step); err != want || done != (want == nil) { //nolint:errorlint // constants
				t.Errorf("of %d bytes, in steps of %d: %v, want %v", length, step, err, want)
			}
		}
	}
}

func TestTakeKeepsTheData(t *testing.T) {
	t.Parallel()
	const give, want = "3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0;x\r\n", "abc0123456789"
	for step := 1; step <= len(give); step++ {
		c, got := Chunks{}, ""
		for rest := []byte(give); len(rest) > 0; {
			piece := rest[:min(step, len(rest))]
			rest = rest[len(piece):]
			kept, _, err := c.Take(piece)
			if err != nil {
				t.Fatal(err)
			}
			got += string(piece[:kept])
		}
		if got != want {
			t.Errorf("in steps of %d: %q, want %q", step, got, want)
		}
	}
}

func TestLookSaysWhatTakeWouldSay(t *testing.T) {
	for _, give := range []string{
		"", "3\r\nabc\r\n0\r\n\r\n", "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nGET", "3\r\nab", "3\nabc\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\r\nabc\r\nx\r\n",
		"1;" + strings.Repeat("a", maxLine) + "\r\n",
	} {
		for from := range len(give) + 1 { // the first bytes have been taken before
			var c Chunks
			b := []byte(give)
			if _, _, err := c.Take(b[:from]); err != nil {
				continue
			}
			copy(b, give)
			was := c
			var err error
			if n := testing.AllocsPerRun(1, func() { err = c.Look(b[from:]) }); n > 0 {
				t.Errorf("%v allocations", n)
			}
			if c != was || string(b) != give {
				t.Errorf("%.20q from %d: it has changed something", give, from)
			}
			if _, _, want := c.Take(b[from:]); err != want { //nolint:errorlint // constants
				t.Errorf("%.20q from %d: %v, Take says %v", give, from, err, want)
			}
		}
	}
}

func TestParseResponse(t *testing.T) {
	t.Parallel()
	const line = "HTTP/1.1 200 OK\r\n"
	tests := map[string]struct {
		give string
		want error
	}{
		"the least":                     {line + "\r\n", nil},
		"HTTP/1.0":                      {"HTTP/1.0 404 Not Found\r\n\r\n", nil},
		"no reason phrase":              {"HTTP/1.1 200 \r\n\r\n", nil},
		"no space after the code":       {"HTTP/1.1 200\r\n\r\n", nil},
		"a length":                      {line + "Content-Length: 5\r\n\r\n", nil},
		"two digits":                    {"HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine},
		"four digits":                   {"HTTP/1.1 2000 OK\r\n\r\n", ErrStatusLine},
		"a code below 100":              {"HTTP/1.1 099 OK\r\n\r\n", ErrStatusLine},
		"HTTP/2":                        {"HTTP/2 200 OK\r\n\r\n", ErrStatusLine},
		"HTTP/1.2":                      {"HTTP/1.2 200 OK\r\n\r\n", ErrVersion},
		"ICY":                           {"ICY 200 OK\r\n\r\n", ErrStatusLine},
		"a control byte in the phrase":  {"HTTP/1.1 200 O\x01\r\n\r\n", ErrStatusLine},
		"two lengths":                   {line + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", ErrLength},
		"both lengths":                  {line + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrFraming},
		"chunks without a body":         {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", nil},
		"chunks of another protocol":    {"HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n", ErrFraming},
		"an announced length":           {line + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTrailer},
		"chunks in HTTP/1.0":            {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrFraming},
		"another coding":                {line + "Transfer-Encoding: gzip, chunked\r\n\r\n", ErrCoding},
		"obs-fold":                      {line + "X: a\r\n b\r\n\r\n", ErrFold},
		"bare LF":                       {line + "X: a\nY: b\r\n\r\n", ErrLine},
		"space before the colon":        {line + "X : a\r\n\r\n", ErrField},
		"NUL in a value":                {line + "X: \x00\r\n\r\n", ErrField},
		"DEL far behind in a value":     {line + "X: 0123456789\x7f\r\n\r\n", ErrField},
		"a tab and bytes beyond ASCII":  {line + "X: 01234567\t\xff\x80456\r\n\r\n", nil},
		"a control byte in eight bytes": {line + "X: \xff\xff\xff\x1f\xff\xff\xff\xff\r\n\r\n", ErrField},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := ParseResponse([]byte(tt.give), limits, &Response{}); err != tt.want { //nolint:errorlint // constants
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestValues holds what IsValue and ParseLength say to whoever reads fields of another version of HTTP.
func TestValues(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": true, "a b\tc": true, "\u00e4": true, strings.Repeat("a", 99): true,
		" a": false, "a\t": false, "a\nb": false, "a\r": false, "a\x00": false, "\x7f": false, strings.Repeat("a", 20) + "\x01" + strings.Repeat("a", 20): false,
	} {
		if got := IsValue(value); got != want {
			t.Errorf("%q is a value: %t", value, got)
		}
	}
	if n, digits, err := ParseLength("0010"); n != 10 || digits != "10" || err != nil {
		t.Errorf("0010 is %d, %q, %v", n, digits, err)
	}
	for _, bad := range []string{"", "-1", "+1", "1,1", "1 ", "0x1", strings.Repeat("9", 19)} {
		if n, _, err := ParseLength(bad); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
}
