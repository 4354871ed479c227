package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/probe"
	"github.com/bearerguard/bearerguard/sidecar/proxy"
)

// parse does what Flags does, with an environment of its own.
func parse(args []string, env map[string]string) (Config, error) {
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	r := &raw{}
	r.define(fs)
	if err := fs.Parse(args); err != nil {
		return Config{}, err
	}
	if err := fromEnvironment(fs, func(k string) (string, bool) { v, ok := env[k]; return v, ok }); err != nil {
		return Config{}, err
	}
	return r.config()
}

func TestConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	standalone := []string{"--policies", dir, "--listen", ":8080", "--upstream", "http://127.0.0.1:9000"}
	pushed := []string{"--push", "push.bearerguard-system.svc:8443", "--redirect", "--listen", ":15080"}
	app := []proxy.Listen{{Address: ":8080", Upstream: "http://127.0.0.1:9000"}}
	tests := map[string]struct {
		args []string
		env  map[string]string
		want Config // what is left out is not compared
	}{
		"standalone": {args: standalone, want: Config{Listen: app, Dir: dir, Namespace: "default", Admin: "127.0.0.1:15081"}},
		"standalone with labels and nets": {
			args: append([]string{"--labels", "app=a,b=", "--namespace", "shop", "--key-allow-http", "--key-allow-nets", "127.0.0.9/8"}, standalone...),
			want: Config{Listen: app, Dir: dir, Namespace: "shop", Labels: map[string]string{"app": "a", "b": ""}, Admin: "127.0.0.1:15081"},
		},
		"by the environment alone": {
			env: map[string]string{
				"BEARERGUARD_POLICIES": dir, "BEARERGUARD_LISTEN": ":8080", "BEARERGUARD_UPSTREAM": "http://127.0.0.1:9000", "BEARERGUARD_ADMIN": ":1",
				"BEARERGUARD_PUSH_PORT": "tcp://10.0.0.1:443", // as Kubernetes sets it for a Service bearerguard-push
			},
			want: Config{Listen: app, Dir: dir, Namespace: "default", Admin: ":1"},
		},
		"a flag wins over its variable": {
			args: append([]string{"--admin", ":2"}, standalone...), env: map[string]string{"BEARERGUARD_ADMIN": ":1"},
			want: Config{Listen: app, Dir: dir, Namespace: "default", Admin: ":2"},
		},
		"pushed, redirected": {args: pushed, want: Config{
			Listen: []proxy.Listen{{Address: ":15080", Redirect: true}}, Namespace: "default", Admin: "127.0.0.1:15081",
			Push: Push{Address: "push.bearerguard-system.svc:8443", CAFile: "/var/run/bearerguard/ca.crt", TokenFile: "/var/run/bearerguard/token"},
		}},
		"pushed, redirected to an app on another address": {args: append([]string{"--app-address", "2001:db8::7"}, pushed...), want: Config{
			Listen: []proxy.Listen{{Address: ":15080", Redirect: true, AppAddress: netip.MustParseAddr("2001:db8::7")}}, Namespace: "default", Admin: "127.0.0.1:15081",
			Push: Push{Address: "push.bearerguard-system.svc:8443", CAFile: "/var/run/bearerguard/ca.crt", TokenFile: "/var/run/bearerguard/token"},
		}},
		"pairs of ports, the app's address by the environment": {
			args: append([]string{"--map", "8080:18080"}, pushed[:2]...), env: map[string]string{"BEARERGUARD_APP_ADDRESS": "::1"}, want: Config{
				Listen: []proxy.Listen{{Address: ":8080", Upstream: "http://[::1]:18080", Port: 8080}}, Namespace: "default", Admin: "127.0.0.1:15081",
				Push: Push{Address: "push.bearerguard-system.svc:8443", CAFile: "/var/run/bearerguard/ca.crt", TokenFile: "/var/run/bearerguard/token"},
			}},
		"pairs of ports": {args: append([]string{"--map", "8080:18080,9090:19090"}, pushed[:2]...), want: Config{
			Listen: []proxy.Listen{
				{Address: ":8080", Upstream: "http://127.0.0.1:18080", Port: 8080}, {Address: ":9090", Upstream: "http://127.0.0.1:19090", Port: 9090},
			}, Namespace: "default", Admin: "127.0.0.1:15081",
			Push: Push{Address: "push.bearerguard-system.svc:8443", CAFile: "/var/run/bearerguard/ca.crt", TokenFile: "/var/run/bearerguard/token"},
		}},
		"with probes": {args: append([]string{"--probes", `{"app/readiness":{"httpGet":{"scheme":"HTTP","port":8080,"path":"/ok"},"timeoutSeconds":2}}`}, standalone...), want: Config{
			Listen: app, Dir: dir, Namespace: "default", Admin: "127.0.0.1:15081",
			Probes: map[string]probe.Probe{"app/readiness": {HTTPGet: &probe.HTTPGet{Scheme: "HTTP", Port: 8080, Path: "/ok"}, TimeoutSeconds: 2}},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(test.args, test.env)
			if err != nil {
				t.Fatal(err)
			}
			ignore := cmp.Options{cmpopts.IgnoreFields(Config{}, "Limits", "Fetch", "LogLevel", "LogFormat", "CacheBytes", "AppProtocol", "AppAddress", "ReadyByKeys"), cmpopts.EquateComparable(netip.Addr{})}
			if diff := cmp.Diff(test.want, got, ignore); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
	for name, want := range map[string]string{
		"pushed, redirected": "invalid IP", "pushed, redirected to an app on another address": "2001:db8::7",
		"pairs of ports": "127.0.0.1", "pairs of ports, the app's address by the environment": "::1",
	} {
		if got, err := parse(tests[name].args, tests[name].env); err != nil || got.AppAddress.String() != want {
			t.Errorf("%s: probes are sent to %s (%v), want %s", name, got.AppAddress, err, want)
		}
	}
	got, err := parse(tests["standalone with labels and nets"].args, map[string]string{"BEARERGUARD_IDLE_TIMEOUT": "1m", "BEARERGUARD_APP_PROTOCOL": "h2c"})
	if err != nil {
		t.Fatal(err)
	}
	if got.AppProtocol != proxy.AppH2C {
		t.Errorf("app protocol %q", got.AppProtocol)
	}
	if !got.Fetch.AllowHTTP || got.Fetch.AllowNets[0] != netip.MustParsePrefix("127.0.0.0/8") || got.Limits.Idle != time.Minute {
		t.Errorf("fetch %+v, idle %s", got.Fetch, got.Limits.Idle)
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := []string{"--policies", dir, "--listen", ":8080", "--upstream", "http://127.0.0.1:9000"}
	tests := map[string]struct {
		args []string // after the good ones
		bare bool     // without the good ones
		env  map[string]string
		want string
	}{
		"nothing at all":                       {bare: true, want: "--listen: give --listen ADDRESS"},
		"no rules":                             {bare: true, args: good[2:], want: "--policies: give --policies DIR (standalone) or --push ADDRESS"},
		"two sources of rules":                 {args: []string{"--push", "a:1"}, want: "--policies: is given together with --push"},
		"no such folder":                       {args: []string{"--policies", "/nonexistent"}, want: `--policies: "/nonexistent" is no folder`},
		"no such state folder":                 {args: []string{"--state-dir", "/nonexistent"}, want: `--state-dir: "/nonexistent" is no folder`},
		"a push address without port":          {bare: true, args: append([]string{"--push", "host"}, good[2:]...), want: `--push: "host" is no address; want host:port`},
		"a port too high":                      {args: []string{"--listen", ":65536"}, want: `--listen: ":65536" is no address`},
		"a named port":                         {args: []string{"--listen", ":http"}, want: `--listen: ":http" is no address`},
		"both ways to the app":                 {args: []string{"--redirect"}, want: "--upstream: give exactly one of --upstream URL and --redirect"},
		"an upstream with a path":              {args: []string{"--upstream", "http://127.0.0.1:1/x"}, want: `--upstream: "http://127.0.0.1:1/x" is no plain http or https URL`},
		"an upstream that is no URL":           {args: []string{"--upstream", "127.0.0.1:1"}, want: "--upstream:"},
		"a pair with itself":                   {args: []string{"--map", "8080:8080"}, want: `--map: "8080:8080" is no pair of ports`},
		"half a pair":                          {args: []string{"--map", "8080"}, want: `--map: "8080" is no pair of ports`},
		"a label without a value":              {args: []string{"--labels", "app"}, want: `--labels: "app" is no label; want key=value`},
		"an address for a network":             {args: []string{"--key-allow-nets", "127.0.0.1"}, want: `--key-allow-nets: "127.0.0.1" is no network`},
		"an unknown protocol":                  {args: []string{"--app-protocol", "h3"}, want: `--app-protocol: "h3" is not known; want auto, http1 or h2c`},
		"a zero timeout":                       {args: []string{"--read-header-timeout", "0s"}, want: "--read-header-timeout: is 0s; want more than 0"},
		"a tiny head":                          {args: []string{"--max-header-bytes", "1"}, want: "--max-header-bytes: is 1; want 1024 to 1048576"},
		"a negative cache":                     {args: []string{"--token-cache-bytes", "-1"}, want: "--token-cache-bytes: is -1"},
		"certificates of anybody, without TLS": {args: []string{"--tls-request-client-cert"}, want: "--tls-request-client-cert: goes with --tls-cert"},
		"certificates of anybody, and of an authority": {
			args: []string{"--tls-cert", "a", "--tls-key", "b", "--tls-client-ca", "c", "--tls-request-client-cert"}, want: "--tls-request-client-cert: goes with --tls-cert and without --tls-client-ca",
		},
		"a certificate without key":       {args: []string{"--tls-cert", "a"}, want: "--tls-cert: goes with --tls-key"},
		"an age of rules from a folder":   {args: []string{"--max-staleness", "1m"}, want: "--max-staleness: goes with --push"},
		"an age that is no age":           {bare: true, args: []string{"--push", "a:1", "--redirect", "--listen", ":1", "--max-staleness", "1s"}, want: "--max-staleness: is 1s; want 0, or 30s to 720h"},
		"an app's address and a URL":      {args: []string{"--app-address", "::1"}, want: "--app-address: is given together with --upstream"},
		"an app's address that is a name": {args: []string{"--app-address", "localhost"}, want: `--app-address: "localhost" is no IP address`},
		"an app's address for all":        {args: []string{"--app-address", "::"}, want: `--app-address: "::" is no IP address`},
		"an unknown log level":            {args: []string{"--log-level", "loud"}, want: `--log-level: "loud" is not known; want error, info or debug`},
		"a proxy without a network":       {args: []string{"--trust-forwarded", "10.0.0.1"}, want: `--trust-forwarded: "10.0.0.1" is no network; want CIDR`},
		"a bad admin address":             {args: []string{"--admin", "15081"}, want: `--admin: "15081" is no address`},
		"probes that are no JSON":         {args: []string{"--probes", "{canary"}, want: "--probes: is not the JSON that the injector writes"},
		"a probe of no kind":              {args: []string{"--probes", `{"app/readiness":{}}`}, want: "--probes: app/readiness: has 0 of httpGet, tcpSocket, grpc"},
		"a probe without a port":          {args: []string{"--probes", `{"app/readiness":{"tcpSocket":{}}}`}, want: "--probes: app/readiness: port: is 0"},
		"a probe with a bad name":         {args: []string{"--probes", `{"app":{"tcpSocket":{"port":1}}}`}, want: `--probes: "app" is no name of a probe`},
		"a variable of a wrong type":      {env: map[string]string{"BEARERGUARD_MAX_HEADERS": "many"}, want: `BEARERGUARD_MAX_HEADERS: "many" is no whole number; want one: most header fields`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := test.args
			if !test.bare {
				args = append(append([]string{}, good...), args...)
			}
			_, err := parse(args, test.env)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v\nwant one with %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error repeats the probes: %v", err)
			}
		})
	}
}

func TestConfigTellsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parse([]string{"--listen", "x", "--labels", "y", "--admin", "z"}, nil)
	for _, flag := range []string{"--listen: ", "--labels: ", "--admin: ", "--policies: ", "--upstream: "} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("no complaint about %sin:\n%v", flag, err)
		}
	}
}

// What a pod's owner can set and what he cannot is said of every flag, once.
func TestEveryFlagHasItsPlace(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, f := range append(flags.All(), flags.Kept()...) {
		want = append(want, f.Name)
	}
	want = append(want, "tls-cert", "tls-client-ca", "trace-ca", "trace-headers") // Secrets to an annotation, files to the sidecar
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	(&raw{}).define(fs)
	fs.VisitAll(func(f *pflag.Flag) { got = append(got, f.Name) })
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-described +defined):\n%s", diff)
	}
}
