package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// asks is a client of HTTP/2 that sends a request's head, and returns what it goes on with.
func asks(t testing.TB, addr, method string, end bool, settings ...h2.Setting) (*wire, *h2.Framer) {
	t.Helper()
	c := dial(t, addr)
	c.send(h2.ClientPreface)
	f := h2.NewFramer(c, c.in)
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "a"}, {":path", "/open/a"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	_ = f.WriteSettings(settings...)
	_ = f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndStream: end, EndHeaders: true})
	return c, f
}

// A request that the app refuses without a look at it is sent again as a whole, its end too.
func TestARequestThatIsSentAgainEnds(t *testing.T) {
	t.Parallel()
	refused := make(chan struct{})
	url := rawApp(t, func(c *wire, n int) {
		c.bytes(len(h2.ClientPreface))
		f := h2.NewFramer(c, c.in)
		_ = f.WriteSettings()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			data, ok := frame.(*h2.DataFrame)
			switch {
			case !ok || !data.StreamEnded():
			case data.StreamID == 1 && n == 1:
				_ = f.WriteRSTStream(1, h2.ErrCodeRefusedStream)
				close(refused)
			default:
				answers(f, data.StreamID, true, ":status", "204")
			}
		}
	})
	addr := guard(t, url, func(c *proxy.Config) { c.AppProtocol = proxy.AppH2C })
	c, f := asks(t, addr, "POST", false)
	_ = f.WriteData(1, true, nil)
	c.wait(refused)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *h2.MetaHeadersFrame:
			if s := frame.PseudoValue("status"); s != "204" {
				t.Errorf("answered %s", s)
			}
			return
		case *h2.RSTStreamFrame:
			t.Fatalf("reset by %s", frame.ErrCode)
		}
	}
}

// A client that says that it takes no answer's head gets none, and the app is not left to answer nobody.
func TestAnAnswerThatTheClientDoesNotTakeEndsAtTheApp(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	url := rawApp(t, func(c *wire, _ int) {
		c.bad = func(string, ...any) {}
		c.head()
		defer close(ended)
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for piece, err := fmt.Sprintf("%x\r\n%s\r\n", 4096, pattern(4096)), error(nil); err == nil; {
			_, err = c.Write([]byte(piece))
		}
	})
	c, f := asks(t, guard(t, url), "GET", true, h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: 10})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := frame.(*h2.RSTStreamFrame); ok {
			break
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the app goes on")
	}
	_ = c
}

// A body that is refused for its size once its beginning has been judged ends its own request alone: the next one reaches the app as it was sent.
func TestARequestBehindABodyThatIsTooLarge(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{})
	only := &policy.MCPMatch{Methods: []string{"tools/call"}}
	g.Swap(gatetest.Snapshot(t, nil, gatetest.Policy("server", policy.Spec{
		Issuers: []policy.Issuer{corp.Policy("corp")},
		Rules: []policy.Rule{
			{Name: "plain", Match: []policy.Match{{Paths: []string{"/plain"}}}, Allow: &policy.Allow{Anonymous: true}},
			{Name: "any", Match: []policy.Match{{Paths: []string{"/any"}}}, Allow: &policy.Allow{Authenticated: true}},
			{Name: "asks", Match: []policy.Match{{Paths: []string{"/any"}, MCP: only}}, Allow: &policy.Allow{Conditions: policy.Conditions{Scopes: []string{"x"}}}},
		},
	})))
	more := make(chan string, 1)
	url := rawApp(t, func(c *wire, _ int) {
		h := c.head()
		if !strings.Contains(h.line, "/plain") {
			c.cut()
			return
		}
		c.chunks()
		c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		more <- c.cut()
	})
	c := dial(t, guard(t, url, func(c *proxy.Config) { c.Gate, c.Limits.Body = g, 1000 }))
	body := pattern(20_000) // to judge it takes long
	c.send(fmt.Sprintf("POST /any HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"+
		"POST /plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", token(), len(body), body))
	if h, _ := c.answer(); h.status() != "413" {
		t.Errorf("the first is answered %s", h.line)
	}
	if h, text := c.answer(); h.status() != "200" || text != "ok" {
		t.Errorf("the second is answered %s %q", h.line, text)
	}
	if got := receive(t, more); got != "" {
		t.Errorf("behind the second request the app got %q", got)
	}
}

// An interim answer that is larger than what a client of HTTP/2 says that it takes is left out: the answer comes all the same.
func TestAnInterimAnswerThatTheClientDoesNotTakeIsLeftOut(t *testing.T) {
	t.Parallel()
	url := rawApp(t, func(c *wire, _ int) {
		c.head()
		c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </" + pattern(1000) + ">\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.rest()
	})
	_, f := asks(t, guard(t, url), "GET", true, h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: 500})
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for got := ""; !strings.HasSuffix(got, "ok"); {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		switch frame := frame.(type) {
		case *h2.MetaHeadersFrame:
			got += frame.PseudoValue("status") + " "
		case *h2.DataFrame:
			if got += string(frame.Data()); got != "103 200 ok" {
				t.Errorf("got %q", got)
			}
		case *h2.RSTStreamFrame:
			t.Fatalf("after %q reset by %s", got, frame.ErrCode)
		}
	}
}
