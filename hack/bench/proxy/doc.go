// Command proxy measures what a request costs: through Bearerguard, and through what else one could put in front of an app.
// `make bench-proxy` builds and runs it. It needs root: to install the others (Debian), and to run in front of whatever else
// the machine does, so that the machine is not good for much else meanwhile.
//
//	make bench-proxy                                                 # everything, three rounds, about half an hour
//	QUICK=1 make bench-proxy                                         # one short round, 2 to 3 minutes
//	ROWS='^repeated/(haproxy|bearerguard-RS256)$' make bench-proxy   # some rows; bench-proxy -list prints them all
//	ROWS='^memory/' make bench-proxy                                 # resident memory, also with idle connections
//	ROWS='^grpc/' make bench-proxy                                   # unary calls of gRPC; streams: '^streaming/'
//	PERF=1 ROWS='h2c/bearerguard' make bench-proxy                   # a profile, bin/bench-proxy/perf-*.data (linux-perf)
//	bin/bench-proxy/bench-proxy -rounds 5 -time 2s -sidecar FILE     # another build, other times
//	bin/bench-proxy/bench-proxy -rows '^repeated/' -other FILE       # two builds, in turns
//
// The table goes to bin/bench-proxy/result.md too.
//
// One core is for the proxy under test, another for the load generator and the app (a third for the app where there is
// one), all on the loopback interface. A row is one proxy under one load. Rounds go over all rows, so that whatever else the
// machine does hits them alike, and the table has the medians. Every proxy is started anew for every row and round; those
// that claim to check tokens must refuse five bad ones first.
//
//   - CPU is the proxy's user and system time a request (streams: a message), of all its threads, from /proc/PID/stat, while
//     64 connections (HTTP/2: 16 connections of 16 streams; streams of gRPC: 16 of 4) keep it as busy as they can. Busy tells
//     how much of its core that was: where it is well below 95 %, the load generator was the limit, and requests/s says less
//     than CPU does.
//   - p50 and p99 are of 5,000 requests a second sent at fixed times, counted from the time a request was due: the medians of
//     parts of half a second each, since one stop of the virtual machine makes up all of a part's p99.
//   - RSS is the proxy's, idle and with 1,000 and 9,500 connections that have each had one request answered, some seconds ago:
//     of HTTP/1.1, of HTTP/2 without TLS, of HTTP/1.1 over TLS 1.3. None may have been closed meanwhile. It is the mean of
//     twenty readings within ten seconds, since a collector of garbage makes it rise and fall. The targets are for
//     10,000 connections, of which both ends do not fit into 20,000 open files: what 9,500 add, times 10,000/9,500. The private
//     part is RssAnon of /proc/PID/status: what each further process of the same program on a node adds.
//   - allocs are the Go heap's allocations a request, without those for new connections.
//   - slowed is how much longer than at its best a fixed piece of work took on the proxy's core, right before and after:
//     other programs and other virtual machines slow everything down. Rows with different numbers do not compare well.
//
// The rows of gRPC have HTTP/2 without TLS on both sides; HAProxy is told so (proto h2). Clients index the token in HPACK's
// table as grpc-go does, and calls end well only with :status 200, grpc-status 0 and as many messages as were asked for.
// Streaming calls have 100 messages of 1 KiB: from the client (up), from the app (down), from both as fast as flow control
// lets them (both), or each after the answer to the one before (turns). A message is counted once for each time that it goes
// through the proxy. In the rows of h2c, h2load never indexes a token.
//
// Files: rows.go says what is measured, proxies.go how each is started, measure.go and loadgen.go how, targets.go what is
// wanted, missing.go which row needs which packages. The load generator and the app are in c/, those of gRPC
// in calls/, what holds connections over TLS in idle/, httputil.ReverseProxy with our gate in peer/, configurations in config/.
package main
