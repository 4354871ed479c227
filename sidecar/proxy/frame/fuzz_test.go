package frame

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// seeds are what the tests of rules send.
func seeds(f *testing.F, ofServers bool) {
	names := []string{}
	broken := brokenRules()
	for name := range broken {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if b := broken[name]; b.client == ofServers && b.sends.Len() < 4096 {
			f.Add(bytes.TrimPrefix(b.sends.Bytes(), []byte(Preface)), uint16(7))
		}
	}
}

// answering is a Handler that does something of everything.
func answering(c *Conn, r *recorder) {
	r.onHead = func(id uint32, h *Head) {
		switch id % 8 {
		case 1:
			c.Headers(id, list(":status: 200"), More)
			c.Data(id, make([]byte, 3000), More)
			c.Headers(id, list("a: b"), Last)
		case 3:
			c.Headers(id, list(":status: 204"), Last)
		case 5:
			c.Reset(id, Cancel)
		}
	}
	r.onData = func(id uint32, p []byte, _ End) { c.Took(id, len(p)) }
}

// split feeds bytes in pieces and returns what was told and written.
func split(t *testing.T, c *Conn, r *recorder, p []byte, piece int) (log []string, out []byte) {
	err := feed(t, c, p, piece)
	if err != nil {
		r.note("%v", err)
	}
	for i, e := range c.streams.list {
		st := e.of
		if i > 0 && st.id <= c.streams.list[i-1].id || st.recv < 0 || st.held < 0 || st.window > maxWindow || st.queued() > c.cfg.Queue {
			t.Fatalf("stream %d: %+v", st.id, st)
		}
	}
	if c.streams.Len() > int(c.cfg.Streams) || len(c.Output()) > outFull+64<<10 {
		t.Fatalf("%d streams, %d bytes of output", c.streams.Len(), len(c.Output()))
	}
	log, out = r.log, take(c)
	c.Close()
	return log, out
}

// FuzzServer feeds a server whatever a client may send: it means the same however it is split, and no bound is exceeded.
func FuzzServer(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, p []byte, piece uint16) {
		p = append([]byte(Preface), p...)
		run := func(piece int) ([]string, []byte) {
			r := &recorder{}
			c := NewServer(Config{Streams: 5, Window: 2000, HeadBytes: 2000}, &Pool{}, r)
			answering(c, r)
			return split(t, c, r, p, piece)
		}
		same(t, run, len(p), piece)
	})
}

// FuzzClient feeds a client whatever a server may send.
func FuzzClient(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, p []byte, piece uint16) {
		run := func(piece int) ([]string, []byte) {
			r := &recorder{}
			c := NewClient(Config{Window: 2000, HeadBytes: 2000}, &Pool{}, r)
			ask(t, c, Last)
			ask(t, c, More)
			c.Data(3, make([]byte, 70_000), More)
			r.onData = func(id uint32, p []byte, _ End) { c.Took(id, len(p)) }
			return split(t, c, r, p, piece)
		}
		same(t, run, len(p), piece)
	})
}

// same compares a run in one piece with one in many. The order of what a second's budget and a window's batches do to the
// output differs with the pieces; what was told does not, and neither does how it ends.
func same(t *testing.T, run func(int) ([]string, []byte), n int, piece uint16) {
	t.Helper()
	whole, out := run(n + 1)
	pieces, out2 := run(int(piece)%n1(n) + 1)
	told := func(log []string) []string {
		var l []string
		for _, s := range log {
			if !strings.Contains(s, " sent ") { // in one go or several
				l = append(l, s)
			}
		}
		slices.Sort(l) // GOAWAY ends streams in no order
		return l
	}
	if diff := cmp.Diff(told(whole), told(pieces)); diff != "" {
		t.Errorf("in pieces it means something else:\n%s", diff)
	}
	dec := func(b []byte) string {
		l := frames(t, b, hpack.NewDecoder(4096, nil))
		if len(l) == 0 || !strings.HasPrefix(l[len(l)-1], "GOAWAY") {
			return ""
		}
		return l[len(l)-1]
	}
	if a, b := dec(out), dec(out2); a != b {
		t.Errorf("the peer sees %q, and in pieces %q", a, b)
	}
}

func n1(n int) int { return max(n, 1) }

// FuzzHeads compares heads with golang.org/x/net/http2's reader of frames: what is taken here is taken there, as the same.
func FuzzHeads(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, p []byte, _ uint16) {
		r := &recorder{}
		c := NewServer(Config{Streams: 1 << 20}, &Pool{}, r)
		var ours []string
		r.onHead = func(id uint32, h *Head) {
			ours = append(ours, itoa(int(id))+" "+h.Method+" "+h.Scheme+" "+h.Authority+" "+h.Path+shown(h.Fields))
		}
		_, err := c.Feed([]byte(Preface), start)
		if err == nil {
			_, err = c.Feed(p, start)
		}
		theirs := heads(onlyHeads(p))
		for i, h := range ours { // x/net takes content-length as it comes
			if !slices.Contains(theirs, h) && !strings.Contains(h, "content-length") {
				t.Errorf("head %d: we read %q, x/net %q (%v)", i, h, theirs, err)
			}
		}
	})
}

// onlyHeads leaves the frames that make heads, HEADERS and CONTINUATION: x/net ends a connection where RFC 9113 ends a stream
// (PRIORITY of a wrong length, section 6.3), and for frames of types that are not known here (PRIORITY_UPDATE, RFC 9218).
func onlyHeads(p []byte) (rest []byte) {
	for len(p) >= 9 {
		n := min(9+int(p[0])<<16+int(p[1])<<8+int(p[2]), len(p))
		if p[3] == 1 || p[3] == 9 {
			rest = append(rest, p[:n]...)
		}
		p = p[n:]
	}
	return rest
}

// heads are what x/net reads of requests.
func heads(p []byte) (all []string) {
	fr := http2.NewFramer(nil, bytes.NewReader(p))
	fr.SetMaxReadFrameSize(maxFrame)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.MaxHeaderListSize = 64 << 10
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			if _, ok := err.(http2.StreamError); ok { //nolint:errorlint // it comes as it is
				continue
			}
			return all
		}
		h, ok := f.(*http2.MetaHeadersFrame)
		if !ok {
			continue
		}
		authority := h.PseudoValue("authority")
		for _, f := range h.RegularFields() { // what an absent authority is (RFC 9113, section 8.3.1)
			if f.Name == "host" && authority == "" {
				authority = f.Value
			}
		}
		all = append(all, itoa(int(h.StreamID))+" "+h.PseudoValue("method")+" "+h.PseudoValue("scheme")+" "+authority+" "+h.PseudoValue("path")+shown(h.RegularFields()))
	}
}
