package frame

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// broken is a peer that breaks a rule.
type broken struct {
	sends  *wire
	client bool // the peer is a server: this side is a client that has opened streams 1 and 3
	cfg    Config
	rule   *Error
	stream uint32                   // that ends; 0: the connection does
	onHead func(c *Conn, id uint32) // when a head has come
}

const (
	none = uint32(0)
	huge = uint32(maxWindow)
)

// brokenRules has at least one case for each rule.
func brokenRules() map[string]broken {
	ack := func(w *wire) *wire { return w.frame(typeSettings, flagAck, 0) }
	reply := func(c *Conn, id uint32) { c.Headers(id, list(":status: 200"), Last) }
	return map[string]broken{
		"3.4: HTTP/1.1 instead of a preface":              {sends: bare().text("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), rule: errPreface},
		"3.4: a preface with one wrong byte at its end":   {sends: bare().text(Preface[:23] + "\r"), rule: errPreface},
		"3.4: HEADERS before SETTINGS":                    {sends: bare().text(Preface).get(1), rule: errNoSettings},
		"3.4: an acknowledgement before SETTINGS":         {sends: bare().text(Preface).frame(typeSettings, flagAck, 0), rule: errNoSettings},
		"3.4: a server that starts with PING":             {sends: bare().frame(typePing, 0, 0, "12345678"), client: true, rule: errNoSettings},
		"4.2: a frame of 16,385 bytes":                    {sends: client().post(1).data(1, More, strings.Repeat("a", maxFrame+1)), rule: errFrameSize},
		"4.2: RST_STREAM of 3 bytes":                      {sends: client().post(1).frame(typeReset, 0, 1, 0, 0, 0), rule: errFrameLength},
		"4.2: PING of 9 bytes":                            {sends: client().frame(typePing, 0, 0, "123456789"), rule: errFrameLength},
		"4.2: WINDOW_UPDATE of 5 bytes":                   {sends: client().frame(typeUpdate, 0, 0, "12345"), rule: errFrameLength},
		"4.2: GOAWAY of 7 bytes":                          {sends: client().frame(typeGoAway, 0, 0, "1234567"), rule: errFrameLength},
		"6.5: SETTINGS of 7 bytes":                        {sends: client().frame(typeSettings, 0, 0, "1234567"), rule: errFrameLength},
		"6.1: DATA that is padded and has no bytes":       {sends: client().post(1).frame(typeData, flagPadded, 1), rule: errFrameLength},
		"6.2: HEADERS too short for its priority":         {sends: client().frame(typeHeaders, flagPriority|flagEndHeads, 1, "1234"), rule: errFrameLength},
		"6.2: HEADERS that is padded and has no bytes":    {sends: client().frame(typeHeaders, flagPadded|flagEndHeads, 1), rule: errFrameLength},
		"4.3: an index of HPACK that nothing has":         {sends: client().frame(typeHeaders, flagEndHeads, 1, 0xff, 0xff, 0xff, 0x0f), rule: errCompression},
		"4.3: a block that breaks off":                    {sends: client().frame(typeHeaders, flagEndHeads, 1, 0x40, 0x05, "ab"), rule: errCompression},
		"4.3: a table larger than what was offered":       {sends: client().frame(typeHeaders, flagEndHeads, 1, 0x3f, 0xe2, 0x1f), rule: errCompression},
		"4.3: DATA in the middle of a block":              {sends: client().frame(typeHeaders, 0, 1).data(1, More, "a"), rule: errInterrupted},
		"4.3: CONTINUATION of another stream":             {sends: client().frame(typeHeaders, 0, 1).frame(typeContinuation, flagEndHeads, 3), rule: errInterrupted},
		"6.2: HEADERS in the middle of a block":           {sends: client().frame(typeHeaders, 0, 1).get(3), rule: errInterrupted},
		"5.5: an unknown frame in the middle of a block":  {sends: client().frame(typeHeaders, 0, 1).frame(0x42, 0, 0), rule: errInterrupted},
		"6.10: CONTINUATION after a complete block":       {sends: client().get(1).frame(typeContinuation, flagEndHeads, 1), rule: errContinuation},
		"5.1: DATA on an idle stream":                     {sends: client().data(1, Last, "a"), rule: errIdle},
		"5.1: RST_STREAM on an idle stream":               {sends: client().frame(typeReset, 0, 1, uint32(Cancel)), rule: errIdle},
		"5.1: WINDOW_UPDATE on an idle stream":            {sends: client().frame(typeUpdate, 0, 1, uint32(1)), rule: errIdle},
		"5.1: DATA on a stream of the server's":           {sends: client().get(1).data(2, Last, "a"), rule: errIdle},
		"5.1: an answer on a stream that is not open yet": {sends: server().headers(5, Last, ":status: 200"), client: true, rule: errIdle},
		"5.1: an answer on an even stream":                {sends: server().headers(2, Last, ":status: 200"), client: true, rule: errIdle},
		"5.1: DATA after both sides have ended a stream":  {sends: client().get(1).data(1, Last, "a"), onHead: reply, rule: errClosed},
		"5.1: HEADERS after both sides have ended":        {sends: client().get(1).get(1), onHead: reply, rule: errClosed},
		"5.1.1: an even number":                           {sends: client().get(2), rule: errStreamID},
		"5.1.1: a number below the highest":               {sends: client().get(5).get(3), rule: errStreamID},
		"5.1.1: DATA on stream 0":                         {sends: client().data(0, More, "a"), rule: errStreamZero},
		"5.1.1: HEADERS on stream 0":                      {sends: client().get(0), rule: errStreamZero},
		"6.3: PRIORITY on stream 0":                       {sends: client().frame(typePriority, 0, 0, "12345"), rule: errStreamZero},
		"6.4: RST_STREAM on stream 0":                     {sends: client().frame(typeReset, 0, 0, none), rule: errStreamZero},
		"6.5: SETTINGS on a stream":                       {sends: client().frame(typeSettings, 0, 1), rule: errStreamZero},
		"6.7: PING on a stream":                           {sends: client().frame(typePing, 0, 1, "12345678"), rule: errStreamZero},
		"6.8: GOAWAY on a stream":                         {sends: client().frame(typeGoAway, 0, 1, none, none), rule: errStreamZero},
		"6.1: padding as long as the frame":               {sends: client().post(1).frame(typeData, flagPadded, 1, 3, "abc"[:2]), rule: errPadding},
		"6.2: padding longer than HEADERS":                {sends: client().frame(typeHeaders, flagPadded|flagEndHeads, 1, 2, 0), rule: errPadding},
		"6.5: an acknowledgement with a payload":          {sends: client().frame(typeSettings, flagAck, 0, "123456"), rule: errAck},
		"6.5.2: ENABLE_PUSH of 2":                         {sends: client().frame(typeSettings, 0, 0, 0, setPush, uint32(2)), rule: errPush},
		"6.5.2: a server that enables push":               {sends: server().frame(typeSettings, 0, 0, 0, setPush, uint32(1)), client: true, rule: errPush},
		"6.5.2: a window of 2^31":                         {sends: client().frame(typeSettings, 0, 0, 0, setWindow, uint32(1<<31)), rule: errWindowSetting},
		"6.5.2: frames below 16,384":                      {sends: client().frame(typeSettings, 0, 0, 0, setFrame, uint32(16383)), rule: errFrameSetting},
		"6.5.2: frames above 2^24-1":                      {sends: client().frame(typeSettings, 0, 0, 0, setFrame, uint32(1<<24)), rule: errFrameSetting},
		"6.9.2: SETTINGS that make a window too large":    {sends: client().get(1).frame(typeUpdate, 0, 1, huge-initial).frame(typeSettings, 0, 0, 0, setWindow, uint32(initial+1)), rule: errWindowsGrow},
		"8.4: a client that promises":                     {sends: client().get(1).frame(typePromise, flagEndHeads, 1, uint32(2)), rule: errPromise},
		"8.4: a server that promises what is not taken":   {sends: server().frame(typePromise, flagEndHeads, 1, uint32(2)), client: true, rule: errPromise},
		"6.9.1: DATA beyond the connection's window":      {sends: client().post(1).times(4, func(w *wire, _ int) { w.data(1, More, strings.Repeat("a", maxFrame)) }), rule: errConnWindow},
		"6.9: WINDOW_UPDATE of the connection by 0":       {sends: client().frame(typeUpdate, 0, 0, none), rule: errUpdate},
		"6.9.1: a connection's window above 2^31-1":       {sends: client().frame(typeUpdate, 0, 0, huge), rule: errOverflow},

		"5.1: DATA on a half-closed stream":                    {sends: client().get(1).data(1, Last, "a"), rule: errHalfClosed, stream: 1},
		"5.1: HEADERS on a half-closed stream":                 {sends: client().get(1).get(1), rule: errHalfClosed, stream: 1},
		"5.1: DATA after RST_STREAM":                           {sends: client().post(1).frame(typeReset, 0, 1, none).data(1, More, "a"), rule: errHalfClosed, stream: 1},
		"5.1: HEADERS after RST_STREAM":                        {sends: client().post(1).frame(typeReset, 0, 1, none).get(1), rule: errHalfClosed, stream: 1},
		"5.1: DATA of an answer after its end":                 {sends: server().headers(3, Last, ":status: 200").data(3, More, "a"), client: true, rule: errClosed},
		"RFC 7540 5.3.1: PRIORITY on itself":                   {sends: client().post(1).frame(typePriority, 0, 1, uint32(1), 9), rule: errSelf, stream: 1},
		"RFC 7540 5.3.1: HEADERS that depend on themselves":    {sends: client().frame(typeHeaders, flagEndHeads|flagPriority, 1, uint32(1), 9, bare().block(getFields...)), rule: errSelf, stream: 1},
		"RFC 7540 5.3.1: trailers that depend on themselves":   {sends: client().post(1).frame(typeHeaders, flagEndHeads|flagEnd|flagPriority, 1, uint32(1), 9), rule: errSelf, stream: 1},
		"RFC 7540 5.3.1: PRIORITY of an idle stream on itself": {sends: client().frame(typePriority, 0, 1, uint32(1), 9), rule: errSelf},
		"6.3: PRIORITY of 4 bytes":                             {sends: client().post(1).frame(typePriority, 0, 1, none), rule: errPriority, stream: 1},
		"6.9.1: DATA beyond the stream's window":               {cfg: Config{ConnWindow: 1 << 20}, sends: client().post(1).times(4, func(w *wire, _ int) { w.data(1, More, strings.Repeat("a", maxFrame)) }), rule: errWindow, stream: 1},
		"6.9.2: a small window counts once it is known":        {cfg: Config{Window: 10}, sends: ack(client()).post(1).data(1, More, "12345678901"), rule: errWindow, stream: 1},
		"6.9: WINDOW_UPDATE by 0":                              {sends: client().post(1).frame(typeUpdate, 0, 1, none), rule: errUpdate, stream: 1},
		"6.9.1: a window above 2^31-1":                         {sends: client().post(1).frame(typeUpdate, 0, 1, huge), rule: errOverflow, stream: 1},
		"5.1.2: one stream too many":                           {cfg: Config{Streams: 2}, sends: client().get(1).get(3).get(5), rule: errRefused, stream: 5},
		"8.1: an answer's DATA before its head":                {sends: server().data(1, Last, "a"), client: true, rule: errNoHead, stream: 1},
		"8.1: DATA after an interim head":                      {sends: server().headers(1, More, ":status: 103").data(1, Last, "a"), client: true, rule: errNoHead, stream: 1},
		"8.1: an interim head that ends the stream":            {sends: server().headers(1, Last, ":status: 103"), client: true, rule: errInterimEnds, stream: 1},
		"8.1: trailers that do not end the stream":             {sends: client().post(1).headers(1, More, "a: b"), rule: errTrailersGoOn, stream: 1},
		"8.1: an answer's trailers that do not end it":         {sends: server().headers(1, More, ":status: 200").headers(1, More, "a: b"), client: true, rule: errTrailersGoOn, stream: 1},
		"8.1.1: more DATA than declared":                       {sends: client().post(1, "content-length: 3").data(1, More, "abcd"), rule: errLength, stream: 1},
		"8.1.1: less DATA than declared":                       {sends: client().post(1, "content-length: 3").data(1, Last, "ab"), rule: errLength, stream: 1},
		"8.1.1: no DATA, and some is declared":                 {sends: client().get(1, "content-length: 3"), rule: errLength, stream: 1},
		"8.1.1: trailers before all that is declared":          {sends: client().post(1, "content-length: 3").headers(1, Last, "a: b"), rule: errLength, stream: 1},
		"8.1.1: an answer shorter than declared":               {sends: server().headers(1, More, ":status: 200", "content-length: 3").data(1, Last, "a"), client: true, rule: errLength, stream: 1},
		"8.1.1: an answer without the DATA it declares":        {sends: server().headers(1, Last, ":status: 200", "content-length: 3"), client: true, rule: errLength, stream: 1},
		"8.1.1: an answer to HEAD with DATA":                   {sends: server().headers(3, More, ":status: 200", "content-length: 3").data(3, Last, "abc"), client: true, rule: errLength, stream: 3},
		"8.1.1: two content-lengths":                           {sends: client().post(1, "content-length: 3", "content-length: 3"), rule: errContentLength, stream: 1},
		"8.1.1: a list of content-lengths":                     {sends: client().post(1, "content-length: 3, 3"), rule: errContentLength, stream: 1},
		"8.1.1: a negative content-length":                     {sends: client().post(1, "content-length: -1"), rule: errContentLength, stream: 1},
		"8.2.1: upper case":                                    {sends: client().get(1, "X-a: b"), rule: errName, stream: 1},
		"8.2.1: a name with a blank":                           {sends: client().get(1, "x a: b"), rule: errName, stream: 1},
		"8.2.1: a name with a colon":                           {sends: client().frame(typeHeaders, flagEndHeads, 1, bare().block(getFields...), 0, 3, "a:b", 1, "c"), rule: errName, stream: 1},
		"8.2.1: a name that is empty":                          {sends: client().frame(typeHeaders, flagEndHeads, 1, bare().block(getFields...), 0, 0, 1, "c"), rule: errName, stream: 1},
		"8.2.1: a name outside of ASCII":                       {sends: client().get(1, "\u00e4: b"), rule: errName, stream: 1},
		"8.2.1: a line end in a value":                         {sends: client().get(1, "a: b\r\nc: d"), rule: errValue, stream: 1},
		"8.2.1: a zero byte in a value":                        {sends: client().get(1, "a: b\x00"), rule: errValue, stream: 1},
		"8.2.1: a value that ends in a blank":                  {sends: client().get(1, "a: b "), rule: errValue, stream: 1},
		"8.2.1: a line end in a path":                          {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: /a\r\nb: c"), rule: errValue, stream: 1},
		"8.2.1: upper case in trailers":                        {sends: client().post(1).headers(1, Last, "A: b"), rule: errName, stream: 1},
		"8.2.2: connection":                                    {sends: client().get(1, "connection: close"), rule: errConnection, stream: 1},
		"8.2.2: keep-alive":                                    {sends: client().get(1, "keep-alive: 1"), rule: errConnection, stream: 1},
		"8.2.2: proxy-connection":                              {sends: client().get(1, "proxy-connection: close"), rule: errConnection, stream: 1},
		"8.2.2: transfer-encoding":                             {sends: client().post(1, "transfer-encoding: chunked"), rule: errConnection, stream: 1},
		"8.2.2: upgrade":                                       {sends: client().get(1, "upgrade: websocket"), rule: errConnection, stream: 1},
		"8.2.2: transfer-encoding in trailers":                 {sends: client().post(1).headers(1, Last, "transfer-encoding: chunked"), rule: errConnection, stream: 1},
		"8.2.2: an answer with connection":                     {sends: server().headers(1, Last, ":status: 200", "connection: close"), client: true, rule: errConnection, stream: 1},
		"8.2.2: te other than trailers":                        {sends: client().get(1, "te: trailers, gzip"), rule: errTE, stream: 1},
		"8.3: a pseudo-field that nobody knows":                {sends: client().get(1, ":a: b"), rule: errPseudo, stream: 1},
		"8.3: a pseudo-field of answers":                       {sends: client().get(1, ":status: 200"), rule: errPseudo, stream: 1},
		"8.3: a pseudo-field twice":                            {sends: client().get(1, ":path: /b"), rule: errPseudo, stream: 1},
		"8.3: a pseudo-field after others":                     {sends: client().headers(1, Last, ":method: GET", ":scheme: http", "a: b", ":path: /a"), rule: errPseudo, stream: 1},
		"8.3: a pseudo-field in trailers":                      {sends: client().post(1).headers(1, Last, ":path: /a"), rule: errPseudo, stream: 1},
		"8.3: a pseudo-field of requests in an answer":         {sends: server().headers(1, Last, ":status: 200", ":path: /a"), client: true, rule: errPseudo, stream: 1},
		"8.3.1: no method":                                     {sends: client().headers(1, Last, ":scheme: http", ":path: /a"), rule: errPseudoMissing, stream: 1},
		"8.3.1: no scheme":                                     {sends: client().headers(1, Last, ":method: GET", ":path: /a"), rule: errPseudoMissing, stream: 1},
		"8.3.1: no path":                                       {sends: client().headers(1, Last, ":method: GET", ":scheme: http"), rule: errPseudoMissing, stream: 1},
		"8.3.1: an empty path":                                 {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: "), rule: errPseudoMissing, stream: 1},
		"8.3.1: an empty authority":                            {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: /a", ":authority: "), rule: errPseudoMissing, stream: 1},
		"8.3.1: a method that is no token":                     {sends: client().headers(1, Last, ":method: G T", ":scheme: http", ":path: /a"), rule: errPseudoMissing, stream: 1},
		"8.3.1: a path without a slash":                        {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: a"), rule: errPath, stream: 1},
		"8.3.1: a whole URL as the path":                       {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: http://x/a"), rule: errPath, stream: 1},
		"8.3.1: a star for GET":                                {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: *"), rule: errPath, stream: 1},
		"8.3.1: a path with a blank":                           {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: /a HTTP/1.1"), rule: errPath, stream: 1},
		"8.3.1: a user in the authority":                       {sends: client().headers(1, Last, ":method: GET", ":scheme: http", ":path: /a", ":authority: u@x"), rule: errAuthority, stream: 1},
		"8.3.1: a host that differs from the authority":        {sends: client().get(1, "host: y"), rule: errAuthority, stream: 1},
		"8.3.1: two hosts, the first of which is empty":        {sends: client().get(1, "host: ", "host: x"), rule: errAuthority, stream: 1},
		"8.3.1: two hosts":                                     {sends: client().get(1, "host: x", "host: x"), rule: errAuthority, stream: 1},
		"8.3.2: an answer without a status":                    {sends: server().headers(1, Last, "a: b"), client: true, rule: errStatus, stream: 1},
		"8.3.2: a status of two digits":                        {sends: server().headers(1, Last, ":status: 99"), client: true, rule: errStatus, stream: 1},
		"8.3.2: a status with a sign":                          {sends: server().headers(1, Last, ":status: +20"), client: true, rule: errStatus, stream: 1},
		"8.5: CONNECT with a path":                             {sends: client().headers(1, More, ":method: CONNECT", ":authority: x:1", ":path: /"), rule: errConnect, stream: 1},
		"RFC 8441: extended CONNECT, which is not offered":     {sends: client().headers(1, More, ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":path: /", ":authority: x"), rule: errPseudo, stream: 1},
		"8.6: switching protocols":                             {sends: server().headers(1, More, ":status: 101"), client: true, rule: errSwitching, stream: 1},
		"10.5.1: trailers above the limit":                     {cfg: Config{Fields: 2}, sends: client().post(1).headers(1, Last, "a: b", "c: d", "e: f"), rule: errTooLarge, stream: 1},
		"10.5.1: an answer above the limit":                    {cfg: Config{HeadBytes: 100}, sends: server().headers(1, Last, ":status: 200", "a: "+strings.Repeat("b", 99)), client: true, rule: errTooLarge, stream: 1},
	}
}

// TestRules has peers break one rule each, with bytes that come at once and one by one: what they see is the rule's code, on
// the stream or on the connection, and whoever uses the package hears of the rule.
func TestRules(t *testing.T) {
	t.Parallel()
	for name, b := range brokenRules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1 << 20, 1, 7} {
				b.run(t, piece)
			}
		})
	}
}

func (b broken) run(t *testing.T, piece int) {
	t.Helper()
	r := &recorder{}
	c := b.conn(t, r)
	if b.onHead != nil {
		r.onHead = func(id uint32, _ *Head) { b.onHead(c, id) }
	}
	err := feed(t, c, b.sends.Bytes(), piece)
	out := written(t, c)
	last := out[len(out)-1]
	if b.stream == 0 {
		if !errors.Is(err, b.rule) || !errors.Is(c.err, b.rule) {
			t.Errorf("pieces of %d: error %v, want %v\n%s", piece, err, b.rule, strings.Join(r.log, "\n"))
		}
		if !strings.HasPrefix(last, "GOAWAY ") || !strings.HasSuffix(last, " "+b.rule.Code.String()) {
			t.Errorf("pieces of %d: the peer sees %q", piece, out)
		}
		if n, again := c.Feed([]byte("more"), start); n != 0 || !errors.Is(again, b.rule) {
			t.Errorf("after its end the connection takes %d bytes, error %v", n, again)
		}
		return
	}
	if err != nil || !errors.Is(r.whys[b.stream], b.rule) {
		t.Errorf("pieces of %d: error %v, stream's %v, want %v\n%s", piece, err, r.whys[b.stream], b.rule, strings.Join(r.log, "\n"))
	}
	if want := "RST_STREAM " + itoa(int(b.stream)) + " " + b.rule.Code.String(); !slices.Contains(out, want) {
		t.Errorf("pieces of %d: the peer sees %q", piece, out)
	}
	if c.room(b.stream) != 0 || c.Headers(b.stream, list(":status: 200"), Last) == nil {
		t.Errorf("the stream can still be sent on")
	}
}

func (b broken) conn(t *testing.T, r *recorder) *Conn {
	t.Helper()
	if !b.client {
		return NewServer(b.cfg, &Pool{}, r)
	}
	c := NewClient(b.cfg, &Pool{}, r)
	for _, method := range []string{"GET", "HEAD"} {
		if _, err := c.Open(list(":method: "+method, ":scheme: http", ":path: /", ":authority: x"), Last); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// A rule that no peer can break by these tests guards nothing.
func TestEachRuleIsBroken(t *testing.T) {
	t.Parallel()
	met := map[*Error]bool{errResets: true, errFlood: true, errUnread: true, errHeadFar: true, errFragments: true} // TestFloods
	met[ErrCrowded], met[ErrLate] = true, true                                                                     // TestOwnersEndConnections
	for _, b := range brokenRules() {
		met[b.rule] = true
	}
	for _, e := range rules {
		if !met[e] {
			t.Errorf("no case breaks %v", e)
		}
	}
}
