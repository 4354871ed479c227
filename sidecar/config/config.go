package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// EnvPrefix begins the name of each environment variable.
const EnvPrefix = "BEARERGUARD_"

// Config is how a sidecar runs.
type Config struct {
	// Listen are the sockets and the app behind each.
	Listen []proxy.Listen
	// Dir is the folder of rules in standalone mode; empty: rules are pushed.
	Dir string
	// Namespace and Labels of the workload, in standalone mode; nil Labels: every policy applies.
	Namespace string
	Labels    map[string]string
	// Push is where rules are pushed from; the zero Push in standalone mode.
	Push Push
	// StateDir keeps the last good bundle; empty: nothing is kept.
	StateDir string
	// Admin is the address of health, metrics and probes.
	Admin string
	// Probes are the app's own probes, by "container/kind".
	Probes map[string]probe.Probe
	// LogLevel is error, info or debug; LogFormat json or text.
	LogLevel, LogFormat string
	// LogAllowEvery logs one of so many forwarded requests; 0: none. LogSubjects allows the claim sub in the log.
	LogAllowEvery uint64
	LogSubjects   bool
	// AppProtocol is what requests of HTTP/2 clients go to the app in.
	AppProtocol proxy.AppProtocol
	// Limits bound what clients may use.
	Limits proxy.Limits
	// TLS has the files of the listener's certificate; the zero TLS: no TLS.
	TLS TLS
	// Plaintext takes clients without TLS on the same ports.
	Plaintext bool
	// TrustForwarded are proxies whose X-Forwarded-* fields are believed.
	TrustForwarded []netip.Prefix
	// Fetch are the rules for fetching key sets in standalone mode.
	Fetch fetch.Options
	// CacheBytes bounds the cache of verified tokens.
	CacheBytes int64
}

// Push is how the push service is reached.
type Push struct{ Address, ServerName, CAFile, TokenFile string }

// TLS are PEM files.
type TLS struct{ Cert, Key, ClientCA string }

// raw is what the flags say.
type raw struct {
	listen, maps, labels, nets, trust []string
	upstream, probes, app             string
	redirect                          bool
	cache                             int64
	headBytes                         int
	bodyRate                          int64
	readHead, idle, drain             time.Duration
	c                                 Config
}

// Flags defines the flags on fs. The function that it returns is to be called once fs is parsed: it reads the environment,
// validates and returns the Config.
func Flags(fs *pflag.FlagSet) func() (Config, error) {
	r := &raw{}
	r.define(fs)
	return func() (Config, error) {
		if err := fromEnvironment(fs, os.LookupEnv); err != nil {
			return Config{}, err
		}
		return r.config()
	}
}

func (r *raw) define(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringSliceVar(&r.listen, "listen", nil, "address to take requests on, host:port or :port; repeatable")
	fs.StringVar(&r.upstream, "upstream", "", "the app behind --listen, such as http://127.0.0.1:9000")
	fs.StringSliceVar(&r.maps, "map", nil, "listen:app, two ports: take requests on one, forward to 127.0.0.1 on the other; repeatable")
	fs.BoolVar(&r.redirect, "redirect", false, "forward to 127.0.0.1 on the port that the client dialled, as sidecar capture redirects it")
	fs.StringVar(&r.app, "app-protocol", string(proxy.AppAuto), "what requests of HTTP/2 clients go to the app in: http1, h2c (HTTP/2 without TLS), or auto: HTTP/1.1, and h2c for gRPC and Connect")
	fs.StringVar(&r.c.Dir, "policies", "", "standalone: folder with AuthPolicy, TokenRevocation, Secret and ConfigMap YAML")
	fs.StringSliceVar(&r.labels, "labels", nil, "standalone: the workload's labels, k=v,...; default: every policy applies")
	fs.StringVar(&r.c.Namespace, "namespace", "default", "standalone: namespace of objects that name none")
	fs.StringVar(&r.c.Push.Address, "push", "", "host:port of the controller's push service")
	fs.StringVar(&r.c.Push.ServerName, "push-server-name", "", "name in the push service's certificate; default: the host of --push")
	fs.StringVar(&r.c.Push.CAFile, "push-ca", "/var/run/bearerguard/ca.crt", "PEM file: the authority of the push service's certificate")
	fs.StringVar(&r.c.Push.TokenFile, "push-token", "/var/run/bearerguard/token", "file with the pod's service-account token for audience bearerguard")
	fs.StringVar(&r.c.StateDir, "state-dir", "", "folder for the last good rules; memory-backed, since they hold keys")
	fs.StringVar(&r.c.Admin, "admin", "127.0.0.1:15081", "address of /healthz, /readyz, /metrics, /debug/snapshot and /probe/; empty: none")
	fs.StringVar(&r.probes, "probes", "", "JSON: the app's probes that /probe/<container>/<kind> runs; written by the injector")
	fs.StringVar(&r.c.LogLevel, "log-level", "info", "error, info or debug")
	fs.StringVar(&r.c.LogFormat, "log-format", "json", "json or text")
	fs.Uint64Var(&r.c.LogAllowEvery, "log-allow-every", 0, "log one of so many forwarded requests; 0: none (refusals are always logged, up to a rate)")
	fs.BoolVar(&r.c.LogSubjects, "log-subjects", false, "allow the claim sub of verified tokens in the log")
	fs.IntVar(&r.headBytes, "max-header-bytes", 64<<10, "most bytes of a request's head")
	fs.IntVar(&r.c.Limits.Fields, "max-headers", 100, "most header fields of a request")
	fs.IntVar(&r.c.Limits.URL, "max-url-bytes", 32<<10, "most bytes of a request target")
	fs.Int64Var(&r.c.Limits.Body, "max-body-bytes", 0, "most bytes of a request's body, whatever the rules allow; 0: no bound")
	fs.Int64Var(&r.bodyRate, "min-body-rate", 100, "least bytes a second of a request's body, on average once it was waited for as long as --read-header-timeout; 0: any")
	fs.IntVar(&r.c.Limits.Connections, "max-connections", 10000, "most open client connections; others wait")
	fs.IntVar(&r.c.Limits.PerClient, "max-connections-per-client", 0, "most open connections of one address, others are closed; 0: no bound")
	fs.IntVar(&r.c.Limits.Streams, "max-streams", 250, "most concurrent requests on one HTTP/2 connection")
	fs.IntVar(&r.c.Limits.HTTP2Connections, "max-http2-connections", 5000, "most open connections of HTTP/2 clients; others wait, as long as --read-header-timeout")
	fs.IntVar(&r.c.Limits.HTTP2Requests, "max-http2-requests", 3000, "most concurrent requests of all HTTP/2 clients, others get 503")
	fs.IntVar(&r.c.Limits.Resets, "max-resets", 100, "most requests that an HTTP/2 client may give up in a second; then its connection ends")
	fs.DurationVar(&r.readHead, "read-header-timeout", 10*time.Second, "longest time for a request's head")
	fs.DurationVar(&r.idle, "idle-timeout", 75*time.Second, "longest time between requests of a connection")
	fs.DurationVar(&r.c.Limits.Write, "write-timeout", 60*time.Second, "longest time in which a client takes none of its answer")
	fs.DurationVar(&r.c.Limits.Dial, "dial-timeout", 5*time.Second, "longest time to connect to the app")
	fs.DurationVar(&r.c.Limits.Response, "response-timeout", 0, "longest wait for the head of the app's answer; 0: no bound")
	fs.DurationVar(&r.c.Limits.Linger, "drain-wait", 0, "time to go on taking requests once told to stop, while the last answers on connections ask for their end")
	fs.DurationVar(&r.drain, "drain", 30*time.Second, "longest time for running requests to end once told to stop")
	fs.Int64Var(&r.cache, "token-cache-bytes", 8<<20, "most bytes for verified tokens; 0: no cache")
	fs.StringVar(&r.c.TLS.Cert, "tls-cert", "", "PEM file: serve TLS with this certificate; read again when it changes")
	fs.StringVar(&r.c.TLS.Key, "tls-key", "", "PEM file: its private key")
	fs.BoolVar(&r.c.Plaintext, "tls-permissive", false, "with --tls-cert: take plaintext on the same ports too, told apart by the first byte")
	fs.StringVar(&r.c.TLS.ClientCA, "tls-client-ca", "", "PEM file: ask clients for a certificate of this authority")
	fs.StringSliceVar(&r.trust, "trust-forwarded", nil, "networks, CIDR: proxies whose X-Forwarded-* and Forwarded fields are passed on")
	fs.BoolVar(&r.c.Fetch.AllowHTTP, "key-allow-http", false, "standalone: fetch key sets over plain http too")
	fs.StringSliceVar(&r.nets, "key-allow-nets", nil, "standalone: networks, CIDR, to fetch key sets from although they are loopback, link-local and such")
}

// fromEnvironment sets flags that were not given from their variables.
func fromEnvironment(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var problems []error
	fs.VisitAll(func(f *pflag.Flag) {
		name := EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if !ok || f.Changed || f.Name == "help" {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %q is not a %s; want: %s", name, value, f.Value.Type(), f.Usage))
		}
	})
	return errors.Join(problems...)
}

// config validates.
func (r *raw) config() (Config, error) {
	c := r.c
	var problems []error
	fail := func(flag, format string, args ...any) {
		problems = append(problems, fmt.Errorf("--%s: %s", flag, fmt.Sprintf(format, args...)))
	}
	c.Limits.HeadBytes, c.Limits.ReadHead, c.Limits.Idle, c.Limits.Drain = r.headBytes, r.readHead, r.idle, r.drain
	if c.Limits.BodyRate = r.bodyRate; r.bodyRate == 0 {
		c.Limits.BodyRate = -1
	}
	c.Listen = r.sockets(fail)
	switch c.AppProtocol = proxy.AppProtocol(r.app); c.AppProtocol {
	case proxy.AppAuto, proxy.AppHTTP1, proxy.AppH2C:
	default:
		fail("app-protocol", "%q is none; want auto, http1 or h2c", r.app)
	}
	c.Labels = parseLabels(r.labels, fail)
	c.Fetch.AllowNets = prefixes("key-allow-nets", r.nets, fail)
	c.TrustForwarded = prefixes("trust-forwarded", r.trust, fail)
	var err error
	if c.Probes, err = probe.Parse(r.probes); err != nil {
		fail("probes", "%s", err)
	}
	if c.CacheBytes = r.cache; r.cache == 0 {
		c.CacheBytes = -1
	}
	checkSource(&c, fail)
	checkLimits(c.Limits, r.cache, fail)
	if (c.TLS.Cert == "") != (c.TLS.Key == "") || c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		fail("tls-cert", "goes with --tls-key, and --tls-client-ca with both; want none or all that are needed")
	}
	if c.Plaintext && (c.TLS.Cert == "" || c.TLS.ClientCA != "") {
		fail("tls-permissive", "goes with --tls-cert and without --tls-client-ca: who comes in plaintext shows no certificate")
	}
	if c.Admin != "" && !isAddress(c.Admin) {
		fail("admin", "%q is no address; want host:port or :port", c.Admin)
	}
	if err := errors.Join(problems...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func checkSource(c *Config, fail func(string, string, ...any)) {
	switch {
	case c.Dir == "" && c.Push.Address == "":
		fail("policies", "give --policies DIR (standalone) or --push ADDRESS; rules have to come from somewhere")
	case c.Dir != "" && c.Push.Address != "":
		fail("policies", "is given together with --push; want one of the two")
	case c.Push.Address != "" && !isAddress(c.Push.Address):
		fail("push", "%q is no address; want host:port", c.Push.Address)
	}
	if c.Dir != "" {
		if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
			fail("policies", "%q is no folder that can be read", c.Dir)
		}
		c.Push = Push{}
	}
	if c.StateDir != "" {
		if info, err := os.Stat(c.StateDir); err != nil || !info.IsDir() {
			fail("state-dir", "%q is no folder that can be read", c.StateDir)
		}
	}
}

func checkLimits(l proxy.Limits, cache int64, fail func(string, string, ...any)) {
	for _, n := range []struct {
		flag        string
		value, most int
		least       int
	}{
		{"max-header-bytes", l.HeadBytes, 1 << 20, 1 << 10},
		{"max-headers", l.Fields, 10000, 1},
		{"max-connections", l.Connections, 1 << 20, 1},
		{"max-streams", l.Streams, 100000, 1},
		{"max-http2-connections", l.HTTP2Connections, 1 << 20, 1},
		{"max-http2-requests", l.HTTP2Requests, 1 << 20, 1},
		{"max-resets", l.Resets, 1 << 20, 1},
		{"max-url-bytes", l.URL, 1 << 20, 16},
		{"max-connections-per-client", l.PerClient, 1 << 20, 0},
	} {
		if n.value < n.least || n.value > n.most {
			fail(n.flag, "is %d; want %d to %d", n.value, n.least, n.most)
		}
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"read-header-timeout", l.ReadHead}, {"idle-timeout", l.Idle}, {"write-timeout", l.Write}, {"dial-timeout", l.Dial}, {"drain", l.Drain}} {
		if d.value <= 0 || d.value > time.Hour {
			fail(d.flag, "is %s; want more than 0 and at most 1h", d.value)
		}
	}
	if l.Response < 0 {
		fail("response-timeout", "is %s; want 0 or more", l.Response)
	}
	if l.Linger < 0 || l.Linger > time.Hour {
		fail("drain-wait", "is %s; want 0 to 1h", l.Linger)
	}
	if l.Body < 0 {
		fail("max-body-bytes", "is %d; want 0 or more", l.Body)
	}
	if l.BodyRate < -1 {
		fail("min-body-rate", "is %d; want 0 or more", l.BodyRate)
	}
	if cache < 0 {
		fail("token-cache-bytes", "is %d; want 0 or more", cache)
	}
}

func parseLabels(pairs []string, fail func(string, string, ...any)) map[string]string {
	if pairs == nil {
		return nil
	}
	labels := make(map[string]string, len(pairs))
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			fail("labels", "%q is no label; want key=value", p)
			continue
		}
		labels[k] = v
	}
	return labels
}

func prefixes(flag string, texts []string, fail func(string, string, ...any)) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			fail(flag, "%q is no network; want CIDR such as 127.0.0.0/8", t)
			continue
		}
		out = append(out, p.Masked())
	}
	return out
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n < 1<<16
}
