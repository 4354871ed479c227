// Package flags has those flags of `sidecar run` that take plain values, which a pod's owner may set: by an annotation of the
// same name on the pod or its namespace, or for all pods in the chart. The sidecar and the injector read and check them by
// the same code, so that what admission takes, the sidecar takes. It is pure.
package flags

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Defaults of --max-connections and --max-http2-connections. They are less where a sidecar's memory limit does not hold as many.
const (
	DefaultConnections      = 10000
	DefaultHTTP2Connections = 5000
)

// DefaultTokenCacheBytes is the default of --token-cache-bytes, a quarter of the memory limit if that is less.
const DefaultTokenCacheBytes = 24 << 20

// Values are what the flags say. Those of a type that pflag lacks are there once Check was called.
type Values struct {
	// TrustForwarded are proxies whose X-Forwarded-* fields are believed.
	TrustForwarded []netip.Prefix
	// AppProtocol is auto, http1 or h2c.
	AppProtocol string
	// Readiness is keys or snapshot: what a sidecar has to have to be ready for the first time.
	Readiness string
	// AppAddress is where the app listens; not valid if nothing is said.
	AppAddress netip.Addr
	// LogLevel is error, info or debug; LogFormat json or text.
	LogLevel, LogFormat string
	// LogAllowEvery logs one of so many forwarded requests; 0: none.
	LogAllowEvery uint64
	// LogSubjects allows the claim sub in the log.
	LogSubjects bool
	// LogScopes allows scopes in the log, of tokens that an Audit policy has no rule for.
	LogScopes bool
	// TLSPermissive takes plaintext beside TLS.
	TLSPermissive bool
	// TLSRequestClientCert asks clients for a certificate, and takes any.
	TLSRequestClientCert bool
	// HeadBytes to BodyRate bound a request; 0 is no bound for BodyBytes and BodyRate, which is in bytes a second.
	HeadBytes, Headers, URLBytes int
	BodyBytes, BodyRate          int64
	// Connections to Resets are numbers; 0 is no bound for PerClient.
	Connections, PerClient, Streams, HTTP2Connections, HTTP2Requests, Resets int
	// ReadHeader to Drain are times; 0 is no bound for Response.
	ReadHeader, Idle, Write, Dial, Response, DrainWait, Drain time.Duration
	// MaxStaleness is how long a sidecar goes without its controller before it refuses everything; 0: for ever.
	MaxStaleness time.Duration
	// TokenCacheBytes bounds the cache of verified tokens; 0: none.
	TokenCacheBytes int64
	// Traces say which requests are traced.
	Traces Traces

	trust   []string
	address string
}

// Define defines the flags on fs. Once fs is parsed, Check is to be called.
func (v *Values) Define(fs *pflag.FlagSet) {
	fs.StringSliceVar(&v.trust, "trust-forwarded", nil, "networks, CIDR, separated by commas: proxies whose X-Forwarded-* and Forwarded fields are passed on")
	fs.StringVar(&v.AppProtocol, "app-protocol", "auto", "what requests of HTTP/2 clients go to the app in: http1, h2c (HTTP/2 without TLS), or auto: HTTP/1.1, and h2c for gRPC and Connect")
	fs.StringVar(&v.address, "app-address", "", "IP address to reach the app at; default: with --redirect the one that the client dialled, with --map 127.0.0.1")
	fs.StringVar(&v.Readiness, "readiness", "keys", "what a sidecar that starts has to have to be Ready: keys (rules, and of each Enforce policy with issuers the keys of one), or snapshot (rules alone)")
	fs.StringVar(&v.LogLevel, "log-level", "info", "error, info or debug")
	fs.StringVar(&v.LogFormat, "log-format", "json", "json or text")
	fs.Uint64Var(&v.LogAllowEvery, "log-allow-every", 0, "log one of so many forwarded requests; 0: none (refusals are always logged, up to a rate)")
	fs.BoolVar(&v.LogSubjects, "log-subjects", false, "allow the claim sub of verified tokens in the log")
	fs.BoolVar(&v.LogScopes, "log-scopes", false, "allow the scopes of verified tokens in the log, where an Audit policy has no rule for them")
	fs.BoolVar(&v.TLSPermissive, "tls-permissive", false, "with --tls-cert: take plaintext on the same ports too, told apart by the first byte")
	fs.BoolVar(&v.TLSRequestClientCert, "tls-request-client-cert", false, "with --tls-cert: ask clients for a certificate and take any, also self-signed ones, for tokens that are bound to it; rules see none of it")
	v.Traces.define(fs, "requests without a traceparent", "requests", "bearerguard-sidecar", 0.01)
	v.defineSizes(fs)
	v.defineTimes(fs)
}

func (v *Values) defineSizes(fs *pflag.FlagSet) {
	fs.IntVar(&v.HeadBytes, "max-header-bytes", 64<<10, "most bytes of a request's head")
	fs.IntVar(&v.Headers, "max-headers", 100, "most header fields of a request")
	fs.IntVar(&v.URLBytes, "max-url-bytes", 32<<10, "most bytes of a request target")
	fs.Int64Var(&v.BodyBytes, "max-body-bytes", 0, "most bytes of a request's body, whatever the rules allow; 0: no bound")
	fs.Int64Var(&v.BodyRate, "min-body-rate", 100, "least bytes a second of a request's body, on average once it was waited for as long as --read-header-timeout; 0: any")
	fs.IntVar(&v.Connections, "max-connections", DefaultConnections, "most open client connections, by default fewer if memory is short; others wait")
	fs.IntVar(&v.PerClient, "max-connections-per-client", 0, "most open connections of one address, others are closed; 0: no bound")
	fs.IntVar(&v.Streams, "max-streams", 250, "most concurrent requests on one HTTP/2 connection")
	fs.IntVar(&v.HTTP2Connections, "max-http2-connections", DefaultHTTP2Connections, "most open connections of HTTP/2 clients, by default fewer if memory is short; others wait, as long as --read-header-timeout")
	fs.IntVar(&v.HTTP2Requests, "max-http2-requests", 3000, "most concurrent requests of all HTTP/2 clients, others get 503")
	fs.IntVar(&v.Resets, "max-resets", 100, "most requests that an HTTP/2 client may give up in a second; then its connection ends")
	fs.Int64Var(&v.TokenCacheBytes, "token-cache-bytes", DefaultTokenCacheBytes, "most bytes for verified tokens; 0: no cache")
}

func (v *Values) defineTimes(fs *pflag.FlagSet) {
	fs.DurationVar(&v.ReadHeader, "read-header-timeout", 10*time.Second, "longest time for a request's head")
	fs.DurationVar(&v.Idle, "idle-timeout", 75*time.Second, "longest time between requests of a connection")
	fs.DurationVar(&v.Write, "write-timeout", 60*time.Second, "longest time in which a client takes none of its answer")
	fs.DurationVar(&v.Dial, "dial-timeout", 5*time.Second, "longest time to connect to the app")
	fs.DurationVar(&v.Response, "response-timeout", 0, "longest wait for the head of the app's answer; 0: no bound")
	fs.DurationVar(&v.DrainWait, "drain-wait", 0, "time to go on taking requests once told to stop, while the last answers on connections ask for their end")
	fs.DurationVar(&v.MaxStaleness, "max-staleness", 0, "with --push: refuse every request with 503 Stale once the controller has not been reached for that long, at least 30s; 0: go on with the last rules for ever")
	fs.DurationVar(&v.Drain, "drain", 30*time.Second, "longest time for running requests to end once told to stop")
}

// A Problem is a flag that says something wrong.
type Problem struct {
	// Flag is its name, without dashes.
	Flag string
	// Text is what is wrong, such as `"h3" is not known`; Want is what is expected.
	Text, Want string
}

// Error returns "--flag: what is wrong; want what is expected".
func (p *Problem) Error() string { return fmt.Sprintf("--%s: %s; want %s", p.Flag, p.Text, p.Want) }

// Set parses text as a value of f, whichever flag it is; nil if it is one. Whether the value is within its bounds is for
// Check to say.
func Set(f *pflag.Flag, text string) *Problem {
	// pflag reads the first line of a list and leaves the rest.
	if !strings.ContainsAny(text, "\r\n") && f.Value.Set(text) == nil {
		return nil
	}
	is, want := "is no text of one line", "one line"
	switch f.Value.Type() {
	case "int", "int64":
		is, want = "is no whole number", "one"
	case "uint64":
		is, want = "is no whole number of 0 or more", "one"
	case "float64":
		is, want = "is no number", "one"
	case "bool":
		is, want = "is neither true nor false", "one of them"
	case "duration":
		is, want = "is no duration", `one such as "30s"`
	case "stringSlice":
		is, want = "is no list", "one, separated by commas"
	}
	return &Problem{Flag: f.Name, Text: fmt.Sprintf("%q %s", text, is), Want: want + ": " + f.Usage}
}

// CheckOne returns what is wrong with text as the value of the flag of that name in a container's arguments, whatever the others say;
// nil if nothing is. Kubernetes expands $(NAME) there, so no value has a "$". The flag has to be one of All.
func CheckOne(name, text string) *Problem {
	var v Values
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	v.Define(fs)
	if p := Set(fs.Lookup(name), text); p != nil {
		return p
	}
	problems := v.Check()
	if i := slices.IndexFunc(problems, func(p Problem) bool { return p.Flag == name }); i >= 0 {
		return &problems[i]
	}
	if strings.Contains(text, "$") {
		return &Problem{Flag: name, Text: fmt.Sprintf("%q has a $, which Kubernetes may expand", text), Want: "a value without one"}
	}
	return nil
}

// Info describes a flag for people.
type Info struct {
	Name, Usage, Default string
	// Type is that of pflag: int, int64, uint64, bool, duration, string, stringSlice.
	Type string
	// Choices are the words that the flag takes; nil for any other kind of value.
	Choices []string
}

// All describes every flag that Define defines, in that order.
func All() []Info {
	var v Values
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SortFlags = false
	v.Define(fs)
	var out []Info
	fs.VisitAll(func(f *pflag.Flag) {
		out = append(out, Info{
			Name: f.Name, Usage: f.Usage, Default: strings.Trim(f.DefValue, "[]"), Type: f.Value.Type(), Choices: choices(f.Name),
		})
	})
	return out
}

// Kept describes the other flags of `sidecar run`: injection sets them, or they belong to a sidecar that runs alone. Usage
// says why no annotation sets one.
func Kept() []Info {
	return []Info{
		{Name: "listen", Usage: "injection chooses the sidecar's port; `capture` and `ports` say what it guards"},
		{Name: "upstream", Usage: "the app is in the pod; `app-address` says where"},
		{Name: "map", Usage: "`ports` gives it"},
		{Name: "redirect", Usage: "`capture` gives it"},
		{Name: "policies", Usage: "rules come from the controller"},
		{Name: "labels", Usage: "the controller knows the pod's labels"},
		{Name: "namespace", Usage: "the controller knows the pod's namespace"},
		{Name: "push", Usage: "another push service could give other rules"},
		{Name: "push-server-name", Usage: "as `push`"},
		{Name: "push-ca", Usage: "as `push`"},
		{Name: "push-token", Usage: "as `push`"},
		{Name: "state-dir", Usage: "it holds keys; injection mounts a volume that only the sidecar has"},
		{Name: "admin", Usage: "Kubernetes probes the sidecar there"},
		{Name: "probes", Usage: "injection takes the probes from the pod"},
		{Name: "tls-key", Usage: "it comes with the Secret of `tls-cert`"},
		{Name: "key-allow-http", Usage: "the controller fetches keys; see the chart's `keys`"},
		{Name: "key-allow-nets", Usage: "as `key-allow-http`"},
	}
}
