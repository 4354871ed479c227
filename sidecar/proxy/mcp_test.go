package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/mcp"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// mcpServer is a policy of an MCP server at /mcp, which lets two tools in, and everything that is no message to /any.
func mcpServer() policy.Spec {
	only := &policy.MCPMatch{Methods: []string{"tools/call"}, Names: []string{"get_*"}}
	return policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "tools", Match: []policy.Match{{Paths: []string{"/mcp"}, MCP: only}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "streams", Match: []policy.Match{{Paths: []string{"/mcp"}, Methods: []string{"GET"}}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "any", Match: []policy.Match{{Paths: []string{"/any"}}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "asks", Match: []policy.Match{{Paths: []string{"/any"}, MCP: only}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"x"}}}},
		},
	}
}

func toolCall(name string, bytes int) string {
	frame := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"a":"`, name)
	const end = `"}}}`
	return frame + strings.Repeat("x", max(0, bytes-len(frame)-len(end))) + end
}

// repeat answers with what it gets.
func repeat(t *testing.T) string {
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the app cannot read the body: %v", err)
		}
		w.Header().Set("X-Trailer", r.Trailer.Get("X-T"))
		w.Header().Set("X-Expect", r.Header.Get("Expect"))
		_, _ = w.Write(b)
	}).URL
}

// Bodies are judged, and reach the app as they were sent, whatever their framing.
func TestMCPBodies(t *testing.T) {
	t.Parallel()
	upstream := repeat(t)
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, upstream, func(c *Config) { c.AppProtocol = app }, gatetest.Policy("server", mcpServer()))
		c := client(t, h2)
		for what, tt := range map[string]struct {
			path, body string
			status     int
		}{
			"a tool":                              {"/mcp", toolCall("get_user", 0), 200},
			"another tool":                        {"/mcp", toolCall("drop", 0), 403},
			"a batch":                             {"/mcp", "[" + toolCall("get_user", 0) + "]", 403},
			"nothing":                             {"/mcp", "", 403},
			"some 60 KiB":                         {"/mcp", toolCall("get_user", 60<<10), 200},
			"more than 64 KiB":                    {"/mcp", toolCall("get_user", mcp.MaxBody+1), 403},
			"much more":                           {"/mcp", toolCall("get_user", 1<<20), 403},
			"no message, where all may come":      {"/any", "not JSON", 200},
			"much, where all may come":            {"/any", strings.Repeat("much ", 1<<18), 200},
			"some more than is read":              {"/any", strings.Repeat("x", mcp.MaxBody+1), 200},
			"just what is read":                   {"/any", strings.Repeat("x", mcp.MaxBody), 200},
			"just what is read, and is a message": {"/any", toolCall("get_user", mcp.MaxBody), 200},
		} {
			for framing, body := range map[string]func() io.Reader{
				"a length":         func() io.Reader { return strings.NewReader(tt.body) },
				"chunks":           func() io.Reader { return io.MultiReader(strings.NewReader(tt.body)) },
				"a length, halves": func() io.Reader { return iotest.HalfReader(strings.NewReader(tt.body)) },
			} {
				r := request(t, "POST", "http://"+g.addr+tt.path, body(), "Authorization", "Bearer "+token(), "Content-Type", "application/json")
				if strings.HasPrefix(framing, "a length") {
					r.ContentLength = int64(len(tt.body))
				}
				res, got := ask(t, c, r)
				if res.StatusCode != tt.status || tt.status == 200 && got != tt.body {
					t.Errorf("%s, %s: %s and %d bytes, sent %d", what, framing, res.Status, len(got), len(tt.body))
				}
			}
		}
		res, _ := ask(t, c, request(t, "GET", "http://"+g.addr+"/mcp", nil, "Authorization", "Bearer "+token()))
		if res.StatusCode != 200 {
			t.Errorf("a stream: %s", res.Status)
		}
		for _, size := range []int{0, 20 << 10} {
			r := request(t, "POST", "http://"+g.addr+"/mcp", io.MultiReader(strings.NewReader(toolCall("get_user", size))),
				"Authorization", "Bearer "+token(), "Content-Type", "application/json")
			r.Trailer = http.Header{"X-T": {"end"}}
			if res, _ := ask(t, c, r); res.StatusCode != 200 || res.Header.Get("X-Trailer") != "end" {
				t.Errorf("a trailer behind %d bytes: %s %q", size, res.Status, res.Header.Get("X-Trailer"))
			}
		}
		r := request(t, "POST", "http://"+g.addr+"/mcp", strings.NewReader(toolCall("drop", 0)),
			"Authorization", "Bearer "+token(), "Content-Type", "application/json", "Mcp-Method", "tools/call", "Mcp-Name", "get_user")
		if res, got := ask(t, c, r); res.StatusCode != 400 || !strings.Contains(got, "MCPMismatch") {
			t.Errorf("a header of another tool: %s %s", res.Status, got)
		}
	})
}

// kept keeps spans.
type kept chan []byte

// Add implements tracing.Sink.
func (k kept) Add(encoded []byte, _ int) { k <- bytes.Clone(encoded) }

// A client that goes before its message has been read has not been refused: nothing was decided.
func TestMCPRequestsThatAreLeft(t *testing.T) {
	t.Parallel()
	spans := make(kept, 8)
	p := protect(t, repeat(t), func(c *Config) {
		c.Tracer = tracing.NewTracer(spans, tracing.Options{Ratio: 1, PerSecond: 100})
	}, gatetest.Policy("server", mcpServer()))
	c := dial(t, p.addr)
	_, _ = fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n", token())
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusContinue {
		t.Fatalf("the client is not asked for its body: %v, %v", res, err)
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	select {
	case span := <-spans:
		if bytes.Contains(span, []byte("InternalError")) || bytes.Contains(span, []byte("deny")) {
			t.Errorf("the span is %q", span)
		}
	case <-time.After(patience):
		t.Error("there is no span")
	}
}

// A body may be slow to come. The token has to be good when it is there, not only when the head was.
func TestMCPBodiesThatComeLate(t *testing.T) {
	t.Parallel()
	for what, tt := range map[string]struct {
		after time.Duration
		want  int
	}{
		"before the token expires":    {30 * time.Second, 200},
		"after the token has expired": {2 * time.Minute, 401},
		"long after it":               {time.Hour, 401},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			began, passed := time.Now(), atomic.Int64{}
			g := protect(t, repeat(t), func(c *Config) {
				c.Now = func() time.Time { return began.Add(time.Duration(passed.Load())) }
			}, gatetest.Policy("server", mcpServer()))
			c, body := dial(t, g.addr), toolCall("get_user", 0)
			fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
				corp.Token(began, map[string]any{"exp": began.Add(time.Minute).Unix()}), len(body))
			in := bufio.NewReader(c)
			if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != 100 {
				t.Fatalf("the client is not asked for its body: %v, %v", res, err)
			}
			passed.Store(int64(tt.after))
			fmt.Fprint(c, body)
			if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != tt.want {
				t.Errorf("got %v, %v; want %d", res, err, tt.want)
			}
		})
	}
}

// What nobody's client would send: pieces, framing that is wrong, a next request in the same packet.
func TestMCPBodiesOnTheWire(t *testing.T) {
	t.Parallel()
	g := protect(t, repeat(t), nil, gatetest.Policy("server", mcpServer()))
	good := toolCall("get_user", 0)
	head := "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token() + "\r\n"
	length := func(body string) string { return head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body }
	chunked := func(parts ...string) string {
		return head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Join(parts, "")
	}
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	const end = "0\r\n\r\n"
	next := "GET /mcp HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer " + token() + "\r\n\r\n"
	var crumbs strings.Builder
	for i := range len(good) {
		crumbs.WriteString(chunk(good[i : i+1]))
	}
	for what, tt := range map[string]struct {
		wire string
		want string // statuses of the answers
	}{
		"a length":                          {length(good) + next, "200 200"},
		"a chunk":                           {chunked(chunk(good), end) + next, "200 200"},
		"a chunk a byte":                    {chunked(crumbs.String(), end) + next, "200 200"},
		"chunks with extensions":            {chunked("1;a=b\r\n{\r\n", chunk(good[1:]), end) + next, "200 200"},
		"refused, and the next is served":   {length(toolCall("drop", 0)) + next, "403 200"},
		"refused in chunks, and the next":   {chunked(chunk(toolCall("drop", 0)), end) + next, "403 200"},
		"a second message after the first":  {chunked(chunk(good), chunk(toolCall("drop", 0)), end) + next, "403 200"},
		"a length that cuts off a message":  {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(good)-1) + good[:len(good)-1] + next, "403 200"},
		"a message that runs into the next": {head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(good)) + good + "POST /mcp", "200"},
		"a size that is none":               {chunked("zz\r\n"+good) + next, "400"},
		"a chunk that does not end":         {chunked(chunk(good)[:len(chunk(good))-2], "x", end) + next, "400"},
		"a trailer that is none":            {chunked(chunk(good), "0\r\nno trailer\r\n\r\n") + next, "400"},
		"a length and chunks":               {strings.Replace(chunked(chunk(good), end), "Transfer", "Content-Length: 3\r\nTransfer", 1) + next, "400"},
	} {
		for _, size := range []int{len(tt.wire), 700, 97} {
			c := dial(t, g.addr)
			go func() {
				for rest := tt.wire; rest != ""; {
					n := min(size, len(rest))
					if _, err := io.WriteString(c, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			if got := statuses(t, bufio.NewReader(c), strings.Count(tt.want, " ")+1); got != tt.want {
				t.Errorf("%s, %d bytes at a time: %s; want %s", what, size, got, tt.want)
			}
		}
	}
}

// statuses reads answers and returns their statuses.
func statuses(t *testing.T, r *bufio.Reader, most int) string {
	t.Helper()
	var got []string
	for range most {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode >= 200 {
			got = append(got, fmt.Sprint(res.StatusCode))
		}
	}
	return strings.Join(got, " ")
}

// A client that goes on with a body in chunks, of which nobody knows how long it is, can read why it is refused.
func TestARefusedBodyInChunksIsNoReset(t *testing.T) {
	t.Parallel()
	g := protect(t, repeat(t), nil, gatetest.Policy("server", mcpServer()))
	for what, headers := range map[string]string{
		"a body that is too long to be read": "Content-Type: application/json\r\nAuthorization: Bearer " + token() + "\r\n",
		"no token":                           "",
	} {
		c := dial(t, g.addr)
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 32<<10, strings.Repeat("x", 32<<10))
		_, err := io.WriteString(c, "POST /mcp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"+headers+"\r\n"+strings.Repeat(chunk, 5))
		r := bufio.NewReader(c)
		if got := statuses(t, r, 1); err != nil || got != "403" && got != "401" {
			t.Errorf("%s: %q %v", what, got, err)
		}
		for range 32 {
			if _, err := io.WriteString(c, chunk); err != nil {
				t.Errorf("%s: the rest: %v", what, err)
				break
			}
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%s: ends with %q %v", what, rest, err)
		}
	}
}

// A client that waits to be asked for its body is asked once, by the sidecar, and the app is not to ask again.
func TestMCPAsksForTheBody(t *testing.T) {
	t.Parallel()
	g := protect(t, repeat(t), nil, gatetest.Policy("server", mcpServer()))
	c := dial(t, g.addr)
	body := toolCall("get_user", 0)
	fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n", len(body), token())
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 100 {
		t.Fatalf("got %v %v", res, err)
	}
	_, _ = io.WriteString(c, body)
	rest, err := io.ReadAll(r)
	if text := string(rest); err != nil || !strings.HasPrefix(text, "HTTP/1.1 200 ") || strings.Contains(text, " 100 ") || !strings.HasSuffix(text, body) || !strings.Contains(text, "X-Expect: \r\n") {
		t.Errorf("got %q %v", text, err)
	}
	c = dial(t, g.addr)
	fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	if got := statuses(t, bufio.NewReader(c), 2); got != "401" {
		t.Errorf("without a token: %s", got)
	}
}

// A body that comes too slowly is refused as others are.
func TestMCPBodiesThatComeSlowly(t *testing.T) {
	t.Parallel()
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, repeat(t), func(c *Config) {
			c.AppProtocol = app
			c.Limits.ReadHead, c.Limits.BodyRate = time.Second, 1<<20
		}, gatetest.Policy("server", mcpServer()))
		slow, end := io.Pipe()
		defer end.Close()
		r := request(t, "POST", "http://"+g.addr+"/mcp", slow, "Authorization", "Bearer "+token(), "Content-Type", "application/json")
		r.ContentLength = 1000
		go func() { _, _ = io.WriteString(end, "{") }()
		res, got := ask(t, client(t, h2), r)
		if res.StatusCode != 408 || !strings.Contains(got, "RequestTimeout") {
			t.Errorf("got %s %s", res.Status, got)
		}
	})
}

// Requests without a body take no room of those that have one.
func TestMCPRequestsWithoutABodyTakeNoRoom(t *testing.T) {
	t.Parallel()
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, repeat(t), func(c *Config) { c.AppProtocol = app }, gatetest.Policy("server", mcpServer()))
		c := client(t, h2)
		post := func(body string) *http.Response {
			res, _ := ask(t, c, request(t, "POST", "http://"+g.addr+"/mcp", strings.NewReader(body), "Authorization", "Bearer "+token(), "Content-Type", "application/json"))
			return res
		}
		for n := range 600 {
			if res := post(""); res.StatusCode != 403 {
				t.Fatalf("nothing, for the %d. time: %s", n+1, res.Status)
			}
		}
		if res := post(toolCall("get_user", 0)); res.StatusCode != 200 {
			t.Errorf("a tool: %s", res.Status)
		}
	})
}

// A body that is waited for holds a block of its own length, and counts for that.
func TestMCPBodiesHoldWhatTheyCountFor(t *testing.T) { //nolint:paralleltest // what is held is the process's
	g := protect(t, repeat(t), func(c *Config) { c.Limits.ReadHead = time.Hour }, gatetest.Policy("server", mcpServer()))
	begin := func(length int) (status int) {
		c := dial(t, g.addr)
		fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n", length, token())
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	before := loop.Held()
	for range 100 {
		if status := begin(10); status != 100 {
			t.Fatalf("a small body: %d", status)
		}
	}
	if n := loop.Held() - before; n > 1<<20 {
		t.Errorf("100 bodies of 10 bytes hold %d KiB", n>>10)
	}
	const block, length = 32 << 10, 17 << 10
	for n := range (4<<20 - 100*8<<10) / block {
		if status := begin(length); status != 100 {
			t.Fatalf("body %d: %d", n+1, status)
		}
	}
	if status := begin(length); status != 503 {
		t.Errorf("a body too many: %d", status)
	}
}

// A client that begins many bodies and ends none leaves room for those of others.
func TestMCPBodiesOfOneClientLeaveRoom(t *testing.T) {
	t.Parallel()
	waysToTheApp(t, func(t *testing.T, app AppProtocol, h2 bool) {
		g := protect(t, repeat(t), func(c *Config) { c.AppProtocol, c.Limits.ReadHead = app, time.Hour }, gatetest.Policy("server", mcpServer()))
		const bodies = 300
		c := client(t, h2)
		refused := make(chan string, bodies)
		for range bodies {
			slow, end := io.Pipe()
			t.Cleanup(func() { _ = end.Close() })
			go func() { _, _ = io.WriteString(end, "{") }()
			r := request(t, "POST", "http://"+g.addr+"/mcp", slow, "Authorization", "Bearer "+token(), "Content-Type", "application/json")
			go func() {
				res, err := c.Do(r)
				if err != nil {
					return // once all is over
				}
				b, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				refused <- res.Status + " " + string(b)
			}()
		}
		held := 4 << 20 / (2 * mcp.MaxBody) // chunks and what is in them
		if h2 {
			held = 4 << 20 / mcp.MaxBody
		}
		for range bodies - held {
			select {
			case got := <-refused:
				if !strings.HasPrefix(got, "503 ") || !strings.Contains(got, "Overloaded") {
					t.Fatalf("a body too many: %s", got)
				}
			case <-time.After(patience / 2):
				t.Fatal("the bodies of one client have more room than they may")
			}
		}
		other := client(t, h2)
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		other.Transport.(*http.Transport).DialContext = from.DialContext
		r := request(t, "POST", "http://"+g.addr+"/mcp", io.MultiReader(strings.NewReader(toolCall("get_user", 0))), "Authorization", "Bearer "+token(), "Content-Type", "application/json")
		if res, got := ask(t, other, r); res.StatusCode != 200 {
			t.Errorf("another client: %s %s", res.Status, got)
		}
	})
}
