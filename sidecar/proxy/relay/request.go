package relay

import (
	"strconv"
	"strings"

	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	ends "github.com/bearerguard/bearerguard/sidecar/proxy/exchange"
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
		p.addr, p.node = i.Remote.String(), ends.Node(i.Remote)
	}
	return p
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
	if e.Remove(name) || x.req.Options && x.nominated(f.Name) && !ends.ForAll(f) {
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
			if !ends.Believed(text(f.Name)) {
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

// appendForwarded writes one forwarded-element and ends the line.
func (p *peer) appendForwarded(b []byte, host string) []byte {
	b = append(append(b, "for="...), p.node...)
	if host != "" {
		b = ends.AppendQuoted(append(b, ";host="...), host)
	}
	b = append(append(b, ";proto="...), p.proto...)
	return append(b, "\r\n"...)
}

func appendField[N, V []byte | string](b []byte, name N, value V) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}
