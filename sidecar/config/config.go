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
	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/otlp"
	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// EnvPrefix begins the name of each environment variable.
const EnvPrefix = "BEARERGUARD_"

// Config is how a sidecar runs.
type Config struct {
	// Listen are the sockets and the app behind each.
	Listen []proxy.Listen
	// Serve says how gateways ask a sidecar that forwards nothing and has no Listen.
	Serve Serve
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
	// LogAllowEvery logs one of so many forwarded requests; 0: none. LogSubjects allows the claim sub in the log,
	// LogScopes the scopes of tokens that an Audit policy has no rule for.
	LogAllowEvery uint64
	LogSubjects   bool
	LogScopes     bool
	// AppProtocol is what requests of HTTP/2 clients go to the app in.
	AppProtocol proxy.AppProtocol
	// AppAddress is where the app is reached, but for --upstream; not valid: at the address that the client, or the kubelet,
	// dialled.
	AppAddress netip.Addr
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
	// ReadyByKeys says that a sidecar is ready for the first time only once no Enforce policy lacks all keys.
	ReadyByKeys bool
	// MaxStaleness is how long the sidecar goes without its controller; 0: for ever.
	MaxStaleness time.Duration
	// CacheBytes bounds the cache of verified tokens.
	CacheBytes int64
	// Trace says which requests are traced, and where traces go; nil: nothing is traced.
	Trace *Trace
}

// Trace is how requests are traced.
type Trace struct {
	// Collector has no log and no version yet.
	Collector otlp.Config
	Sample    tracing.Options
}

// Push is how the push service is reached.
type Push struct{ Address, ServerName, CAFile, TokenFile string }

// TLS are PEM files.
type TLS struct {
	Cert, Key, ClientCA string
	// RequestClientCert asks clients for a certificate and takes any, or none (RFC 8705 section 2.2): whose it is nobody has vouched for.
	RequestClientCert bool
}

// raw is what the flags say.
type raw struct {
	listen, maps, labels, nets []string
	upstream, probes           string
	redirect                   bool
	v                          flags.Values
	traceCA, traceHeaders      string
	c                          Config
	serve                      *rawServe // nil: it forwards
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
	fs.StringSliceVar(&r.maps, "map", nil, "listen:app, two ports: take requests on one, forward to the app on the other; repeatable")
	fs.BoolVar(&r.redirect, "redirect", false, "forward to the address and port that the client dialled, as sidecar capture redirects it; --app-address takes the address's place")
	fs.StringVar(&r.c.Dir, "policies", "", "standalone: folder with AuthPolicy, TokenRevocation, Secret and ConfigMap YAML")
	fs.StringSliceVar(&r.labels, "labels", nil, "standalone: the workload's labels, k=v,...; default: every policy applies")
	fs.StringVar(&r.c.Namespace, "namespace", "default", "standalone: namespace of objects that name none")
	fs.StringVar(&r.c.Push.Address, "push", "", "host:port of the controller's push service")
	fs.StringVar(&r.c.Push.ServerName, "push-server-name", "", "name in the push service's certificate; default: the host of --push")
	fs.StringVar(&r.c.Push.CAFile, "push-ca", "/var/run/bearerguard/ca.crt", "PEM file: the authority of the push service's certificate")
	fs.StringVar(&r.c.Push.TokenFile, "push-token", "/var/run/bearerguard/token", "file with the pod's service-account token for audience bearerguard")
	fs.StringVar(&r.c.StateDir, "state-dir", "", "folder for the last good rules; memory-backed, since they hold keys")
	fs.StringVar(&r.c.Admin, "admin", "127.0.0.1:15081", "address of /healthz, /readyz, /metrics, /debug and /probe/; empty: none")
	fs.StringVar(&r.probes, "probes", "", "JSON: the app's probes that /probe/<container>/<kind> runs; written by the injector")
	fs.StringVar(&r.c.TLS.Cert, "tls-cert", "", "PEM file: serve TLS with this certificate; read again when it changes")
	fs.StringVar(&r.c.TLS.Key, "tls-key", "", "PEM file: its private key")
	fs.StringVar(&r.c.TLS.ClientCA, "tls-client-ca", "", "PEM file: ask clients for a certificate of this authority")
	fs.StringVar(&r.traceCA, "trace-ca", "", "PEM file: the authority of the certificate of an https --trace-endpoint; default: those of the system")
	fs.StringVar(&r.traceHeaders, "trace-headers", "", `file with header fields for the collector, "name: value" a line, such as a token; read again when it changes`)
	r.v.Define(fs)
	fs.BoolVar(&r.c.Fetch.AllowHTTP, "key-allow-http", false, "standalone: fetch key sets over plain http too")
	fs.StringSliceVar(&r.nets, "key-allow-nets", nil, "standalone: networks, CIDR, to fetch key sets from although they are loopback, link-local and such")
}

// fromEnvironment sets flags that were not given from their variables.
func fromEnvironment(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var problems []error
	fs.VisitAll(func(f *pflag.Flag) {
		name := EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if !ok {
			name, value, ok = fromOpenTelemetry(f.Name, lookup)
		}
		if !ok || f.Changed || f.Name == "help" {
			return
		}
		if p := flags.Set(f, value); p != nil {
			problems = append(problems, fmt.Errorf("%s: %s; want %s", name, p.Text, p.Want))
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
	for _, p := range r.v.Check() {
		problems = append(problems, &p)
	}
	c.take(&r.v)
	if !r.redirect && !c.AppAddress.IsValid() {
		c.AppAddress = loopback
	}
	if r.serve != nil {
		c.Serve = r.serve.sockets(fail)
	} else {
		c.Listen = r.sockets(fail)
	}
	c.Labels = parseLabels(r.labels, fail)
	var bad []string
	if c.Fetch.AllowNets, bad = flags.Networks(r.nets); len(bad) > 0 {
		fail("key-allow-nets", "%q is no network; want CIDR such as 127.0.0.0/8", bad[0])
	}
	var err error
	if c.Probes, err = probe.Parse(r.probes); err != nil {
		fail("probes", "%s", err)
	}
	checkSource(&c, fail)
	checkTLS(&c, fail)
	c.Trace = r.trace(fail)
	if c.Admin != "" && !isAddress(c.Admin) {
		fail("admin", "%q is no address; want host:port or :port", c.Admin)
	}
	if err := errors.Join(problems...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func checkTLS(c *Config, fail func(string, string, ...any)) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") || c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		fail("tls-cert", "goes with --tls-key, and --tls-client-ca with both; want none or all that are needed")
	}
	if c.TLS.RequestClientCert && (c.TLS.Cert == "" || c.TLS.ClientCA != "") {
		fail("tls-request-client-cert", "goes with --tls-cert and without --tls-client-ca, which takes certificates of that authority alone")
	}
	if c.Plaintext && (c.TLS.Cert == "" || c.TLS.ClientCA != "") {
		fail("tls-permissive", "goes with --tls-cert and without --tls-client-ca: who comes in plaintext shows no certificate")
	}
}

// take takes over the values of plain flags. Where 0 means none to the flag, a negative number does to the proxy.
func (c *Config) take(v *flags.Values) {
	c.AppProtocol, c.AppAddress = proxy.AppProtocol(v.AppProtocol), v.AppAddress
	c.MaxStaleness, c.ReadyByKeys = v.MaxStaleness, v.Readiness == "keys"
	c.TrustForwarded, c.Plaintext, c.TLS.RequestClientCert = v.TrustForwarded, v.TLSPermissive, v.TLSRequestClientCert
	c.LogLevel, c.LogFormat, c.LogAllowEvery, c.LogSubjects = v.LogLevel, v.LogFormat, v.LogAllowEvery, v.LogSubjects
	c.LogScopes = v.LogScopes
	c.Limits = proxy.Limits{
		HeadBytes: v.HeadBytes, Fields: v.Headers, URL: v.URLBytes, Body: v.BodyBytes, BodyRate: v.BodyRate,
		Connections: v.Connections, PerClient: v.PerClient, Streams: v.Streams, Resets: v.Resets,
		HTTP2Connections: v.HTTP2Connections, HTTP2Requests: v.HTTP2Requests,
		ReadHead: v.ReadHeader, Idle: v.Idle, Write: v.Write, Dial: v.Dial, Response: v.Response,
		Linger: v.DrainWait, Drain: v.Drain,
	}
	if v.BodyRate == 0 {
		c.Limits.BodyRate = -1
	}
	if c.CacheBytes = v.TokenCacheBytes; c.CacheBytes == 0 {
		c.CacheBytes = -1
	}
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
	if c.MaxStaleness > 0 && c.Push.Address == "" {
		fail("max-staleness", "goes with --push: a folder of rules is always at hand")
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

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n < 1<<16
}
