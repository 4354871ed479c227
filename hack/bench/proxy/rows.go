package main

import "strings"

// row is one proxy under one load.
type row struct {
	// group is the table that the row is in, name its line there. ROWS matches group/name.
	group, name string
	proxy       kind
	load        load
	// latency asks for p50 and p99 at the fixed rate too.
	latency bool
}

// kind is what to start.
type kind struct {
	program string // one of direct, haproxy, nginx, peer, splice, bearerguard
	// mode of haproxy: plain, tcp, jwt, cache; of nginx: plain, or cache, which needs Lua.
	mode string
	// h2 serves HTTP/2 without TLS, h2Upstream speaks it to the app, and grpc says that it is gRPC: the app is calls app.
	h2, h2Upstream, grpc bool
	// tls serves HTTP/1.1 over TLS.
	tls bool
	// other asks for the other build of Bearerguard.
	other bool
	// cacheBytes is Bearerguard's --token-cache-bytes, h2Connections its --max-http2-connections; empty: the default. The row's
	// title names them.
	cacheBytes, h2Connections string
}

// load is what is sent.
type load struct {
	alg    string // of the tokens: RS256 or ES256
	tokens int    // how many different ones
	body   string // of the answer: small, 1k, 64k, 1m
	upload int    // bytes of the request's body
	h2     bool
	tls    bool   // HTTP/1.1 over TLS; only idle connections
	calls  string // kind of call that calls load makes; empty: another program sends the load
}

func (r row) id() string { return r.group + "/" + r.name }

// checks reports whether the proxy refuses bad tokens.
func (k kind) checks() bool {
	return k.program == "bearerguard" || k.program == "peer" || k.mode == "jwt" || k.mode == "cache"
}

const (
	repeated  = "repeated"
	firstSeen = "first-seen"
	bodies    = "bodies"
	overH2    = "h2c"
	overGRPC  = "grpc"
	streaming = "streaming"
	memory    = "memory"

	all = 50_000 // tokens of each algorithm
)

// Kinds that several groups use.
var (
	haproxy     = kind{program: "haproxy", mode: "plain"}
	haproxyJWT  = kind{program: "haproxy", mode: "jwt"}
	nginx       = kind{program: "nginx", mode: "plain"}
	nginxLua    = kind{program: "nginx", mode: "cache"}
	peer        = kind{program: "peer"}
	bearerguard = kind{program: "bearerguard"}
	noCache     = kind{program: "bearerguard", cacheBytes: "0"}
)

// rows is everything that is measured.
func rows() []row {
	var out []row
	for _, part := range [][]row{repeatedRows(), firstSeenRows(), bodyRows(), h2Rows(), grpcRows(), streamingRows(), memoryRows()} {
		out = append(out, part...)
	}
	return out
}

// repeatedRows have tokens that come again and again. HAProxy that only forwards gets as many: their bytes come from more of the client's
// memory, which costs whoever reads them.
func repeatedRows() []row {
	one := func(alg string) load { return load{alg: alg, tokens: 1, body: "small"} }
	out := []row{
		{name: "direct", proxy: kind{program: "direct"}, load: one("RS256"), latency: true},
		{name: "haproxy", proxy: haproxy, load: one("RS256"), latency: true},
		{name: "haproxy-1000", proxy: haproxy, load: load{alg: "RS256", tokens: 1000, body: "small"}},
		{name: "haproxy-50000", proxy: haproxy, load: load{alg: "RS256", tokens: all, body: "small"}},
		{name: "haproxy-RS256", proxy: haproxyJWT, load: one("RS256"), latency: true},
		{name: "haproxy-ES256", proxy: haproxyJWT, load: one("ES256"), latency: true},
		{name: "haproxy-cache-RS256", proxy: kind{program: "haproxy", mode: "cache"}, load: one("RS256"), latency: true},
		{name: "nginx", proxy: nginx, load: one("RS256"), latency: true},
		{name: "nginx-lua-cache-RS256", proxy: nginxLua, load: one("RS256"), latency: true},
		{name: "reverseproxy-RS256", proxy: peer, load: one("RS256"), latency: true},
	}
	for _, alg := range []string{"RS256", "ES256"} {
		out = append(out,
			row{name: "bearerguard-" + alg, proxy: bearerguard, load: one(alg), latency: true},
			row{name: "bearerguard-" + alg + "-1000", proxy: bearerguard, load: load{alg: alg, tokens: 1000, body: "small"}},
			row{name: "bearerguard-" + alg + "-50000", proxy: bearerguard, load: load{alg: alg, tokens: all, body: "small"}},
		)
	}
	return grouped(repeated, out)
}

// firstSeenRows verify every token: nothing is cached.
func firstSeenRows() []row {
	var out []row
	for _, alg := range []string{"RS256", "ES256"} {
		l := load{alg: alg, tokens: all, body: "small"}
		out = append(out,
			row{name: "haproxy-" + alg, proxy: haproxyJWT, load: l},
			row{name: "bearerguard-" + alg, proxy: noCache, load: l},
		)
	}
	return grouped(firstSeen, out)
}

func bodyRows() []row {
	proxies := []struct {
		name string
		kind kind
	}{
		{"splice", kind{program: "splice"}}, {"haproxy-tcp", kind{program: "haproxy", mode: "tcp"}},
		{"haproxy", haproxy}, {"nginx", nginx}, {"reverseproxy", peer}, {"bearerguard", bearerguard},
	}
	var out []row
	for _, size := range []string{"1k", "64k", "1m"} {
		for _, p := range proxies {
			out = append(out, row{name: size + "-" + p.name, proxy: p.kind, load: load{alg: "RS256", tokens: 1, body: size}})
		}
	}
	for _, p := range proxies {
		out = append(out, row{name: "upload-1m-" + p.name, proxy: p.kind, load: load{alg: "RS256", tokens: 1, body: "small", upload: 1 << 20}})
	}
	return grouped(bodies, out)
}

// h2Rows speak HTTP/2 to the client. The app is spoken to over HTTP/1.1, or over HTTP/2 where the name ends with -h2,
// which Bearerguard does if it is told so.
func h2Rows() []row {
	l := load{alg: "RS256", tokens: 1, body: "small", h2: true}
	up := func(k kind) kind { k.h2, k.h2Upstream = true, true; return k }
	down := func(k kind) kind { k.h2 = true; return k }
	out := []row{
		{name: "haproxy", proxy: down(haproxy), load: l},
		{name: "haproxy-h2", proxy: up(haproxy), load: l},
		{name: "haproxy-RS256", proxy: down(haproxyJWT), load: l},
		{name: "haproxy-RS256-h2", proxy: up(haproxyJWT), load: l},
		{name: "nginx", proxy: down(nginx), load: l},
		{name: "reverseproxy", proxy: down(peer), load: l},
		{name: "reverseproxy-h2", proxy: up(peer), load: l},
		{name: "bearerguard", proxy: down(bearerguard), load: l},
		{name: "bearerguard-h2", proxy: up(bearerguard), load: l},
	}
	for _, size := range []string{"1k", "1m"} {
		l.body = size
		out = append(out,
			row{name: size + "-haproxy", proxy: down(haproxy), load: l}, row{name: size + "-nginx", proxy: down(nginx), load: l},
			row{name: size + "-reverseproxy", proxy: down(peer), load: l}, row{name: size + "-bearerguard", proxy: down(bearerguard), load: l},
		)
	}
	return grouped(overH2, out)
}

// inGRPC has a proxy speak gRPC on both sides, over HTTP/2 without TLS.
func inGRPC(k kind) kind { k.h2, k.h2Upstream, k.grpc = true, true, true; return k }

// grpcRows are unary calls. Clients index the token in HPACK's table, as grpc-go does; with 1,000 tokens each is new to the table.
func grpcRows() []row {
	one := load{alg: "RS256", tokens: 1, calls: "unary", h2: true}
	many := one
	many.tokens = 1000
	return grouped(overGRPC, []row{
		{name: "direct", proxy: inGRPC(kind{program: "direct"}), load: one, latency: true},
		{name: "haproxy", proxy: inGRPC(haproxy), load: one, latency: true},
		{name: "haproxy-1000", proxy: inGRPC(haproxy), load: many},
		{name: "haproxy-RS256", proxy: inGRPC(haproxyJWT), load: one, latency: true},
		{name: "haproxy-RS256-1000", proxy: inGRPC(haproxyJWT), load: many},
		{name: "nginx", proxy: inGRPC(nginx), load: one, latency: true},
		{name: "bearerguard-RS256", proxy: inGRPC(bearerguard), load: one, latency: true},
		{name: "bearerguard-RS256-1000", proxy: inGRPC(bearerguard), load: many},
	})
}

// streamingKinds are kinds of streaming calls, as calls load names them.
var streamingKinds = []string{"up", "down", "both", "turns"}

// streamingRows are calls of 100 messages of 1 KiB.
func streamingRows() []row {
	var out []row
	for _, calls := range streamingKinds {
		l := load{alg: "RS256", tokens: 1, calls: calls, h2: true}
		out = append(out,
			row{name: calls + "-haproxy", proxy: inGRPC(haproxy), load: l}, row{name: calls + "-nginx", proxy: inGRPC(nginx), load: l},
			row{name: calls + "-bearerguard", proxy: inGRPC(bearerguard), load: l},
		)
	}
	return grouped(streaming, out)
}

// memoryRows hold idle connections: of HTTP/1.1, of HTTP/2 (h2-) and of HTTP/1.1 over TLS (tls-). The app is spoken to over HTTP/1.1.
func memoryRows() []row {
	l := load{alg: "RS256", tokens: 1000, body: "small"}
	h2, tls := l, l
	h2.h2, h2.calls = true, "get"
	tls.tls = true
	inH2 := func(k kind) kind { k.h2 = true; return k }
	inTLS := func(k kind) kind { k.tls = true; return k }
	roomy := kind{program: "bearerguard", h2Connections: "10000"} // by default there is no room for 9,500
	return grouped(memory, []row{
		{name: "haproxy", proxy: haproxy, load: l}, {name: "haproxy-RS256", proxy: haproxyJWT, load: l},
		{name: "nginx", proxy: nginx, load: l}, {name: "reverseproxy", proxy: peer, load: l},
		{name: "bearerguard", proxy: bearerguard, load: l},
		{name: "h2-haproxy", proxy: inH2(haproxy), load: h2}, {name: "h2-bearerguard", proxy: inH2(roomy), load: h2},
		{name: "tls-haproxy", proxy: inTLS(haproxy), load: tls}, {name: "tls-bearerguard", proxy: inTLS(bearerguard), load: tls},
	})
}

func grouped(group string, rows []row) []row {
	for i := range rows {
		rows[i].group = group
	}
	return rows
}

// title is the line of the table, for people.
func (r row) title() string {
	name := r.name
	for _, pair := range [][2]string{
		{"reverseproxy", "ReverseProxy + gate"}, {"haproxy", "HAProxy"}, {"bearerguard", "Bearerguard"}, {"splice", "TCP splice (Go)"},
		{"-tcp", " TCP mode"}, {"-lua", " + Lua,"}, {"-cache", " cached verdict"}, {"-RS256", " RS256"}, {"-ES256", " ES256"},
		{"-1000", ", 1,000 tokens"}, {"-50000", ", 50,000 tokens"}, {"-h2", ", HTTP/2 to the app"}, {"-other", ", other build"},
		{"1k-", "1 KiB: "}, {"64k-", "64 KiB: "}, {"upload-1m-", "1 MiB sent: "},
		{"up-", "client streams: "}, {"down-", "server streams: "}, {"both-", "both stream: "}, {"turns-", "turn by turn: "}, {"1m-", "1 MiB: "},
		{"h2-", "HTTP/2: "}, {"tls-", "TLS: "},
	} {
		name = strings.Replace(name, pair[0], pair[1], 1)
	}
	if r.proxy.cacheBytes != "" {
		name += ", --token-cache-bytes " + r.proxy.cacheBytes
	}
	if r.proxy.h2Connections != "" {
		name += ", --max-http2-connections " + r.proxy.h2Connections
	}
	return name
}
