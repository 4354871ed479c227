package main

import "math"

// wanted is one target: a number that is to be at most, or at least, a bound.
type wanted struct {
	what  string
	value func(m map[string]sample) float64
	least bool // the bound is a lower one
	bound float64
}

// ratio divides a number of one row by that of another.
func ratio(of func(sample) float64, row, to string) func(map[string]sample) float64 {
	return func(m map[string]sample) float64 { return get(m, row, of) / get(m, to, of) }
}

// one is a number of one row.
func one(of func(sample) float64, row string) func(map[string]sample) float64 {
	return func(m map[string]sample) float64 { return get(m, row, of) }
}

func get(m map[string]sample, row string, of func(sample) float64) float64 {
	if s, ok := m[row]; ok {
		return of(s)
	}
	return math.NaN()
}

func cpu(s sample) float64    { return s.cpu }
func speed(s sample) float64  { return s.perSecond }
func p99(s sample) float64    { return s.p99 }
func allocs(s sample) float64 { return s.allocs }

// aboveIdle is the memory of 10,000 idle connections in MiB, by that of those that were held.
func aboveIdle(s sample) float64 { return (s.most - s.idle) * 10_000 / manyIdle }

// targets are what Bearerguard wants to reach, all in one run.
func targets() []wanted {
	idle := func(s sample) float64 { return s.idle }
	const plain = "repeated/haproxy"
	out := []wanted{
		{"CPU, one RS256 token, to HAProxy plain", ratio(cpu, "repeated/bearerguard-RS256", plain), false, 0.95},
		{"CPU, 1,000 RS256 tokens, to HAProxy plain", ratio(cpu, "repeated/bearerguard-RS256-1000", plain+"-1000"), false, 1},
		{"CPU, 50,000 RS256 tokens, to HAProxy plain", ratio(cpu, "repeated/bearerguard-RS256-50000", plain+"-50000"), false, 1.05},
		{"CPU, one ES256 token, to HAProxy plain", ratio(cpu, "repeated/bearerguard-ES256", plain), false, 0.95},
		{"requests/s, RS256, to HAProxy + jwt_verify", ratio(speed, "repeated/bearerguard-RS256", "repeated/haproxy-RS256"), true, 4.5},
		{"requests/s, ES256, to HAProxy + jwt_verify", ratio(speed, "repeated/bearerguard-ES256", "repeated/haproxy-ES256"), true, 9},
		{"CPU, every RS256 token first-seen, to HAProxy + jwt_verify", ratio(cpu, "first-seen/bearerguard-RS256", "first-seen/haproxy-RS256"), false, 0.8},
		{"CPU, every ES256 token first-seen, to HAProxy + jwt_verify", ratio(cpu, "first-seen/bearerguard-ES256", "first-seen/haproxy-ES256"), false, 0.6},
		{"p99 at 5,000 requests/s, to HAProxy plain", ratio(p99, "repeated/bearerguard-RS256", plain), false, 1},
		{"allocations a request, HTTP/1.1", one(allocs, "repeated/bearerguard-RS256"), false, 0.05},
		{"64 KiB answers, CPU, to HAProxy plain", ratio(cpu, "bodies/64k-bearerguard", "bodies/64k-haproxy"), false, 1},
		{"1 MiB answers, CPU, to a TCP splice", ratio(cpu, "bodies/1m-bearerguard", "bodies/1m-splice"), false, 1.1},
		{"1 MiB sent, CPU, to a TCP splice", ratio(cpu, "bodies/upload-1m-bearerguard", "bodies/upload-1m-splice"), false, 1.1},
		{"h2c, CPU, to ReverseProxy + gate", ratio(cpu, "h2c/bearerguard", "h2c/reverseproxy-h2"), false, 0.6},
		{"h2c, CPU, to HAProxy plain", ratio(cpu, "h2c/bearerguard", "h2c/haproxy"), false, 1.2},
		{"h2c, CPU, to HAProxy + jwt_verify RS256", ratio(cpu, "h2c/bearerguard", "h2c/haproxy-RS256"), false, 0.5},
		{"gRPC unary, CPU, to HAProxy plain", ratio(cpu, "grpc/bearerguard-RS256", "grpc/haproxy"), false, 1},
		{"gRPC unary, CPU, to HAProxy + jwt_verify RS256", ratio(cpu, "grpc/bearerguard-RS256", "grpc/haproxy-RS256"), false, 0.35},
		{"gRPC unary, CPU, 1,000 tokens, to HAProxy plain", ratio(cpu, "grpc/bearerguard-RS256-1000", "grpc/haproxy-1000"), false, 1},
		{"gRPC unary, p99 at 5,000 calls/s, to HAProxy plain", ratio(p99, "grpc/bearerguard-RS256", "grpc/haproxy"), false, 1},
		{"allocations a gRPC call", one(allocs, "grpc/bearerguard-RS256"), false, 2},
		{"resident MiB, idle", one(idle, "memory/bearerguard"), false, 15},
		{"MiB above idle for 10,000 connections, HTTP/1.1", one(aboveIdle, "memory/bearerguard"), false, 20},
		{"MiB above idle for 10,000 connections, HTTP/2", one(aboveIdle, "memory/h2-bearerguard"), false, 35},
		{"MiB above idle for 10,000 connections, TLS", one(aboveIdle, "memory/tls-bearerguard"), false, 110},
	}
	for _, calls := range streamingKinds { // a ratio of messages/s/CPU, so HAProxy's CPU is above
		ours, theirs := streaming+"/"+calls+"-bearerguard", streaming+"/"+calls+"-haproxy"
		out = append(out, wanted{"gRPC streaming, " + calls + ", messages/s/CPU, to HAProxy plain", ratio(cpu, theirs, ours), true, 1})
	}
	return out
}

// targetTable has the targets whose rows were measured.
func targetTable(m map[string]sample) [][]string {
	out := [][]string{{"", "measured", "wanted", ""}}
	for _, t := range targets() {
		v := t.value(m)
		if math.IsNaN(v) {
			continue
		}
		sign, met := "at most ", v <= t.bound
		if t.least {
			sign, met = "at least ", v >= t.bound
		}
		verdict := "not met"
		if met {
			verdict = "met"
		}
		out = append(out, []string{t.what, number(v, 2), sign + number(t.bound, 2), verdict})
	}
	return out
}
