package exchange

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

// Method is the request method.
func (x *Exchange) Method() string { return text(x.Req.Method) }

// Target is the request target in origin form.
func (x *Exchange) Target() string { return x.verdict.Target }

// Host is the authority: that of the upstream where the client named none.
func (x *Exchange) Host() string {
	if h := x.verdict.Host; h != "" {
		return h
	}
	return x.conn.Info.Upstream.Host // RFC 9112 section 3.2 wants one
}

// Fields gives the fields that the app is to see, without those that frame the request or manage a connection, but with
// Content-Length.
func (x *Exchange) Fields(to Fields) {
	v := &x.verdict
	for i := range x.Req.Fields {
		if f := &x.Req.Fields[i]; x.passes(f, &v.Edit) {
			to.Field(text(f.Name), text(f.Value))
		}
	}
	x.forwarded(to, v.Host)
	for _, r := range v.Edit.Replace {
		for _, value := range r.Values {
			to.Field(r.Name, value)
		}
	}
	for i := range v.Edit.Set.Len() {
		s := v.Edit.Set.At(i)
		to.Field(s.Name, s.Value)
	}
}

// passes says whether a field goes to the app as it came. Fields between two neighbours do not (RFC 9110 section 7.6.1),
// nor those that are written anew.
func (x *Exchange) passes(f *head.Field, e *gate.Edit) bool {
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
	if e.Remove(name) || x.Req.Options && nominated(x.Req.Fields, f.Name) && !forAll(f) {
		return false
	}
	for i := range e.Replace {
		if strings.EqualFold(e.Replace[i].Name, name) {
			return false
		}
	}
	return true
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

// Trailer reports whether a field of the request's trailer section goes to the app.
func (x *Exchange) Trailer(f *head.Field) bool {
	return f.Kind == head.Other && !x.verdict.Edit.RemoveTrailer(text(f.Name))
}

// peer is what is said of a client to the app: X-Forwarded-* and Forwarded (RFC 7239). What the client says of that
// itself is dropped, unless it is a proxy that is trusted: then it is kept and added to.
type peer struct {
	port string
	addr string // empty if it is not known
	host string // the host of the last request, and what Forwarded said of it
	said string
}

func newPeer(i *Info) peer {
	p := peer{port: strconv.Itoa(i.Port)}
	if i.Remote.IsValid() {
		p.addr = i.Remote.String()
	}
	return p
}

// proto is the scheme that the client speaks.
func (i *Info) proto() string {
	if i.Secure {
		return "https"
	}
	return "http"
}

// node is a node of RFC 7239 section 6.
func node(a netip.Addr) string {
	if a.Is6() {
		return `"[` + a.WithZone("").String() + `]"`
	}
	return a.String()
}

// element is the forwarded-element of a request. Most requests of a client name the same host.
func (c *Conn) element(host string) string {
	p := &c.peer
	if p.said != "" && p.host == host {
		return p.said
	}
	b := append([]byte("for="), node(c.Info.Remote)...)
	if host != "" {
		b = appendQuoted(append(b, ";host="...), host)
	}
	p.host, p.said = strings.Clone(host), string(append(append(b, ";proto="...), c.Info.proto()...))
	return p.said
}

// forwarded says who the client is and what it asked for.
func (x *Exchange) forwarded(to Fields, host string) {
	if x.HTTP2 {
		to.Field("Via", "2.0 bearerguard") // RFC 9110 section 7.6.3
	} else {
		to.Field("Via", "1.1 bearerguard")
	}
	to.Field(requestid.Header, x.id.Text())
	if x.trace != nil {
		parent, state := x.trace.Send(x.host.Now())
		to.Field(tracing.Traceparent, parent)
		if state != "" {
			to.Field(tracing.Tracestate, state)
		}
	}
	x.addForwarded(to, host)
}

// addForwarded says where the request comes from. What a trusted proxy says of that is kept.
func (x *Exchange) addForwarded(to Fields, host string) {
	p := &x.conn.peer
	names := [...]string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port"}
	var said [len(names)]bool
	var addresses, elements strings.Builder
	fields := x.Req.Fields
	if !x.conn.Info.Trusted {
		fields = nil
	}
	for i := range fields {
		f := &fields[i]
		if f.Kind != head.Forwarded {
			continue
		}
		name, value := text(f.Name), text(f.Value)
		switch {
		case strings.EqualFold(name, "X-Forwarded-For"):
			addresses.WriteString(value + ", ")
			continue
		case strings.EqualFold(name, "Forwarded"):
			elements.WriteString(value + ", ")
			continue
		case !believed(name):
			continue
		}
		for j := range names {
			said[j] = said[j] || strings.EqualFold(name, names[j])
		}
		to.Field(name, value)
	}
	for i, value := range [...]string{host, x.conn.Info.proto(), p.port} {
		if !said[i] && value != "" {
			to.Field(names[i], value)
		}
	}
	if p.addr != "" {
		to.Field("X-Forwarded-For", addresses.String()+p.addr)
		to.Field("Forwarded", elements.String()+x.conn.element(host))
	}
}

// believed reports whether a field of kind head.Forwarded is passed on for a proxy that is trusted. One in a spelling that
// an app may take for another is not: the proxy may have passed it on unseen.
func believed(name string) bool {
	for i := range len(name) {
		if c := name[i] | 0x20; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// appendQuoted appends s, as a quoted-string if it is not a token (RFC 9110 section 5.6.4).
func appendQuoted(b []byte, s string) []byte {
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
