package relay

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
	"github.com/bearerguard/bearerguard/sidecar/trace"
)

// peer is what is said of a client to the app: X-Forwarded-* and Forwarded (RFC 7239). What the client says of that
// itself is dropped, unless it is a proxy that is trusted: then it is kept and added to.
type peer struct {
	trusted bool
	proto   string
	port    string
	addr    string // empty if it is not known
	node    string // addr as Forwarded has it
}

func newPeer(i Info, trusted bool) peer {
	p := peer{trusted: trusted, proto: "http", port: strconv.Itoa(i.Port)}
	if i.Secure {
		p.proto = "https"
	}
	if i.Remote.IsValid() {
		p.addr, p.node = i.Remote.String(), node(i.Remote)
	}
	return p
}

// node is a node of RFC 7239 section 6.
func node(a netip.Addr) string {
	if a.Is6() {
		return `"[` + a.WithZone("").String() + `]"`
	}
	return a.String()
}

// writeRequest makes the head that the app is to see.
func (x *exchange) writeRequest(b []byte, v *gate.Verdict) []byte {
	b = append(b, x.req.Method...)
	b = append(b, ' ')
	b = append(b, v.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	if v.Host != "" {
		b = append(b, v.Host...)
	} else {
		b = append(b, x.c.info.Upstream.Host...) // RFC 9112 section 3.2 wants one
	}
	b = append(b, "\r\n"...)
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; x.passes(f, &v.Edit) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	b = x.writeHops(b)
	b = x.writeForwarded(b, v.Host)
	for _, r := range v.Edit.Replace {
		for _, value := range r.Values {
			b = appendField(b, r.Name, value)
		}
	}
	for i := range v.Edit.Set.Len() {
		s := v.Edit.Set.At(i)
		b = appendField(b, s.Name, s.Value)
	}
	return append(b, "\r\n"...)
}

// passes says whether a field goes to the app as it came. Fields between two neighbours do not (RFC 9110 section 7.6.1),
// nor those that are written anew.
func (x *exchange) passes(f *head.Field, e *gate.Edit) bool {
	switch f.Kind {
	case head.Host, head.Connection, head.KeepAlive, head.ProxyConnection, head.ProxyAuthorization, head.ProxyAuthenticate,
		head.TransferEncoding, head.Upgrade, head.TE, head.HTTP2Settings:
		return false
	case head.Forwarded, head.RequestID, // written anew
		head.Proxy,    // an app may take it for its own settings
		head.Identity: // of verified claims or not at all
		return false
	case head.ContentLength:
		return true
	case head.Expect:
		if x.asked {
			return false
		}
	default:
	}
	name := text(f.Name)
	if x.trace != nil && trace.Context(name) {
		return false
	}
	if e.Remove(name) || x.req.Options && x.nominated(f.Name) && !forAll(f) {
		return false
	}
	for i := range e.Replace {
		if strings.EqualFold(e.Replace[i].Name, name) {
			return false
		}
	}
	return true
}

// nominated reports whether the client's Connection field names the field.
func (x *exchange) nominated(name []byte) bool {
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; f.Kind == head.Connection && head.ListsName(f.Value, name) {
			return true
		}
	}
	return false
}

// forAll says whether a field is for all recipients, so that the client's Connection field must not name it (RFC 9110
// section 7.6.1): what the gate has decided by, the app is to see, and nobody is to take an authenticated request for
// another one.
func forAll(f *head.Field) bool {
	switch f.Kind {
	case head.Authorization, head.Cookie, head.Via, head.Date, head.Expect, head.Trailer:
		return true
	default:
	}
	if f.Seen {
		return true
	}
	name := text(f.Name)
	for _, known := range [...]string{"cache-control", "origin", "referer", "traceparent", "tracestate", "baggage"} {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	for _, prefix := range [...]string{"content-", "sec-"} {
		if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// writeHops writes the fields between us and the app.
func (x *exchange) writeHops(b []byte) []byte {
	if x.req.Chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case x.upgrade != "" && x.req.Trailers:
		b = append(b, "TE: trailers\r\nConnection: Upgrade, TE\r\n"...)
	case x.upgrade != "":
		b = append(b, "Connection: Upgrade\r\n"...)
	case x.req.Trailers:
		b = append(b, "TE: trailers\r\nConnection: TE\r\n"...)
	}
	if x.upgrade != "" {
		b = appendField(b, "Upgrade", x.upgrade)
	}
	return b
}

// writeForwarded says who the client is and what it asked for.
func (x *exchange) writeForwarded(b []byte, host string) []byte {
	p := &x.c.peer
	b = append(b, x.via()...)
	b = appendField(b, requestid.Header, x.id.Text())
	if x.trace != nil {
		b = x.writeTrace(b)
	}
	if p.trusted {
		return x.addForwarded(b, host)
	}
	if host != "" {
		b = appendField(b, "X-Forwarded-Host", host)
	}
	b = appendField(b, "X-Forwarded-Proto", p.proto)
	b = appendField(b, "X-Forwarded-Port", p.port)
	if p.addr == "" {
		return b
	}
	b = appendField(b, "X-Forwarded-For", p.addr)
	return p.appendForwarded(append(b, "Forwarded: "...), host)
}

// writeTrace says which span of the trace is the app's parent.
func (x *exchange) writeTrace(b []byte) []byte {
	parent, state := x.trace.Send(x.c.relay.Now())
	b = appendField(b, tracing.Traceparent, parent)
	if state != "" {
		b = appendField(b, tracing.Tracestate, state)
	}
	return b
}

// via is the Via field, with the version that the client speaks (RFC 9110 section 7.6.3).
func (x *exchange) via() string {
	if x.http2 {
		return "Via: 2.0 bearerguard\r\n"
	}
	return "Via: 1.1 bearerguard\r\n"
}

// addForwarded keeps what a trusted proxy says, and adds to it.
func (x *exchange) addForwarded(b []byte, host string) []byte {
	p := &x.c.peer
	const hostName, protoName, portName, forName, forwarded = "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-for", "forwarded"
	var said [3]bool
	lists := [2][]byte{[]byte("X-Forwarded-For: "), []byte("Forwarded: ")}
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		if f.Kind != head.Forwarded {
			continue
		}
		switch strings.ToLower(text(f.Name)) {
		case forName:
			lists[0] = append(append(lists[0], f.Value...), ", "...)
			continue
		case forwarded:
			lists[1] = append(append(lists[1], f.Value...), ", "...)
			continue
		case hostName:
			said[0] = true
		case protoName:
			said[1] = true
		case portName:
			said[2] = true
		default:
			if !Believed(text(f.Name)) {
				continue
			}
		}
		b = appendField(b, f.Name, f.Value)
	}
	for i, name := range [...]string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port"} {
		if !said[i] && (i > 0 || host != "") {
			b = appendField(b, name, [...]string{host, p.proto, p.port}[i])
		}
	}
	if p.addr == "" {
		return b
	}
	b = append(append(append(b, lists[0]...), p.addr...), "\r\n"...)
	return p.appendForwarded(append(b, lists[1]...), host)
}

// Believed reports whether a field of kind head.Forwarded is passed on for a proxy that is trusted. One in a spelling that
// an app may take for another is not: the proxy may have passed it on unseen.
func Believed(name string) bool {
	for i := range len(name) {
		if c := name[i] | 0x20; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// appendForwarded writes one forwarded-element and ends the line.
func (p *peer) appendForwarded(b []byte, host string) []byte {
	b = append(append(b, "for="...), p.node...)
	if host != "" {
		b = AppendQuoted(append(b, ";host="...), host)
	}
	b = append(append(b, ";proto="...), p.proto...)
	return append(b, "\r\n"...)
}

// AppendQuoted appends s, as a quoted-string if it is not a token (RFC 9110 section 5.6.4).
func AppendQuoted(b []byte, s string) []byte {
	if head.IsToken(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// chooseID makes the client's request id this request's if it is one value and sane, and else makes one.
func (x *exchange) chooseID() {
	given, n := "", 0
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; f.Kind == head.RequestID && strings.EqualFold(text(f.Name), requestid.Header) {
			given = text(f.Value)
			n++
		}
	}
	if n != 1 {
		given = ""
	}
	x.id.Choose(given)
}

func appendField[N, V []byte | string](b []byte, name N, value V) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// upgradable returns the protocol that the app may be offered. One to another version of HTTP, or to TLS, would carry
// requests past the gate; a choice of protocols is not offered.
func (x *exchange) upgradable() string {
	if len(x.req.Upgrade) == 0 || x.req.HasLength && x.req.Length > 0 || x.req.Chunked {
		return ""
	}
	protocol := strings.ToLower(string(x.req.Upgrade))
	for _, other := range [...]string{"h2", "h3", "http", "tls", "ssl"} {
		if strings.HasPrefix(protocol, other) {
			return ""
		}
	}
	if strings.ContainsAny(protocol, ", \t") {
		return ""
	}
	return string(x.req.Upgrade)
}
