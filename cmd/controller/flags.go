package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bearerguard/bearerguard/api/fetch"
	sharedflags "github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/loopback"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/cell"
	"github.com/bearerguard/bearerguard/controllers/certs"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

// config is how the controller runs, validated.
type config struct {
	namespace             string
	cell                  cell.Cell
	leaderElect           bool
	webhookPort, pushPort int
	eventsPort            int    // 0: none
	metrics, health       string // addresses; "0" is none
	debug                 string // an address of loopback; "0" is none
	certs                 certs.Mode
	certDir               string
	eventsCertDir         string // empty: none
	configurations        string
	networkPolicies       bool
	expectPolicies        bool // of the API server's own, which another release makes
	inject                inject.Config
	fetch                 fetch.Options
	trace                 *traceConfig // nil: nothing is traced
	logLevel, logFormat   string
}

// flags are what the command line says.
type flags struct {
	conf                            config
	mode, clusterDomain             string
	revision, selector              string
	image, cpu, memory, memoryLimit string
	cpuLimit, runAsUser, runAsGroup string
	nets, pullSecrets, sidecarFlags []string
	traces                          sharedflags.Traces
	traceCA, traceHeaders           string
}

func (f *flags) define(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&f.conf.namespace, "namespace", "bearerguard-system", "the controller's own namespace")
	fs.StringVar(&f.revision, "revision", "", "name of this release where several share the cluster; it ends the names of its cluster-wide objects. Empty: the default release")
	fs.StringVar(&f.selector, "namespace-selector", "", "label selector of the namespaces that this release serves, the same as in its webhook configurations; empty: all of them")
	fs.BoolVar(&f.conf.leaderElect, "leader-elect", false, "let one of several replicas write status; give it whenever there can be several")
	fs.IntVar(&f.conf.webhookPort, "webhook-port", 9443, "port of the admission webhooks")
	fs.IntVar(&f.conf.pushPort, "push-port", 8443, "port of the push service for sidecars")
	fs.IntVar(&f.conf.eventsPort, "events-port", 0, "port for what identity providers tell RevocationSources; 0: none, and those that need it are told so")
	fs.StringVar(&f.conf.metrics, "metrics-bind-address", ":8080", "address of /metrics, served over https to who may get it; 0: none")
	fs.StringVar(&f.conf.health, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0: none")
	fs.StringVar(&f.conf.debug, "debug-address", "127.0.0.1:8082", "address of /debug, on loopback: kubectl bearerguard keys asks there by port-forward; 0: none")
	fs.StringVar(&f.mode, "certs", string(certs.Self), "where serving certificates come from: self or cert-manager")
	fs.StringVar(&f.conf.eventsCertDir, "events-cert-dir", "", "folder of tls.crt and tls.key for --events-port, in place of the controller's own certificate")
	fs.StringVar(&f.conf.certDir, "cert-dir", "", "folder of tls.crt, tls.key and ca.crt, with --certs=cert-manager; empty: its Secret is watched")
	fs.StringVar(&f.conf.configurations, "webhook-configurations", "", "manifest of the webhook configurations, which are made again when they are gone; empty: they are not")
	fs.BoolVar(&f.conf.networkPolicies, "network-policies", false, "make NetworkPolicies for policies with networkPolicy: true; takes the right to change NetworkPolicies")
	fs.BoolVar(&f.conf.expectPolicies, "expect-admission-policies", false, "tell, in the log and by an event, while the ValidatingAdmissionPolicies are missing that another release is to make")
	fs.StringVar(&f.image, "sidecar-image", "", "image of injected sidecars (required)")
	fs.StringVar(&f.cpu, "sidecar-cpu", "20m", "CPU request of injected sidecars")
	fs.StringVar(&f.memory, "sidecar-memory", "32Mi", "memory request of injected sidecars")
	fs.StringVar(&f.memoryLimit, "sidecar-memory-limit", "128Mi", "memory limit of injected sidecars")
	fs.StringVar(&f.cpuLimit, "sidecar-cpu-limit", "", "CPU limit of injected sidecars; empty: none")
	fs.StringArrayVar(&f.sidecarFlags, "sidecar-flag", nil, "name=value, a flag of injected sidecars where neither pod nor namespace says, such as trust-forwarded=10.0.0.0/8; repeatable")
	fs.StringSliceVar(&f.pullSecrets, "sidecar-image-pull-secrets", nil, "names of Secrets, in the namespaces of pods, to pull the sidecar's image with")
	fs.StringVar(&f.runAsUser, "sidecar-run-as-user", "65532", "user id of injected sidecars; empty: the platform gives it, as OpenShift does")
	fs.StringVar(&f.runAsGroup, "sidecar-run-as-group", "65532", "group id of injected sidecars; empty: the platform gives it; not used without --sidecar-run-as-user")
	fs.BoolVar(&f.conf.fetch.AllowHTTP, "key-allow-http", false, "fetch key sets over plain http too")
	fs.StringSliceVar(&f.nets, "key-allow-nets", nil, "networks, CIDR, to fetch key sets from although they are loopback, link-local and such")
	fs.StringVar(&f.conf.logLevel, "log-level", "info", "error, info or debug")
	fs.StringVar(&f.conf.logFormat, "log-format", "json", "json or text")
	f.traces.DefineForController(fs)
	fs.StringVar(&f.traceCA, "trace-ca", "", "PEM file: the authority of the certificate of an https --trace-endpoint; default: those of the system")
	fs.StringVar(&f.traceHeaders, "trace-headers", "", "file with header fields for the collector, name: value a line, such as a token; read again when it changes")
	fs.StringVar(&f.clusterDomain, "cluster-domain", "", "the cluster's DNS domain, such as cluster.local; spares sidecars the search list")
}

// checkPorts fails for ports that there are not.
func (c *config) checkPorts(fail func(flag, format string, args ...any)) {
	for flag, port := range map[string]int{"webhook-port": c.webhookPort, "push-port": c.pushPort} {
		if port < 1 || port > 65535 {
			fail(flag, "is %d; want 1 to 65535", port)
		}
	}
	if c.eventsPort < 0 || c.eventsPort > 65535 {
		fail("events-port", "is %d; want 1 to 65535, or 0 for none", c.eventsPort)
	}
}

// config validates; the error tells every problem.
func (f *flags) config() (config, error) {
	c := f.unchecked()
	var problems []error
	fail := func(flag, format string, args ...any) {
		problems = append(problems, fmt.Errorf("--%s: %s", flag, fmt.Sprintf(format, args...)))
	}
	if c.namespace == "" {
		fail("namespace", "is empty; want the controller's own namespace")
	}
	c.cell = f.cell(&c.inject, fail)
	c.checkPorts(fail)
	if c.eventsCertDir != "" && c.eventsPort == 0 {
		fail("events-cert-dir", "is given, but there is no port for it; want --events-port too")
	}
	for flag, address := range map[string]string{"metrics-bind-address": c.metrics, "health-probe-bind-address": c.health} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != "0" {
			fail(flag, "%q is no address; want host:port, :port, or 0 for none", address)
		}
	}
	if c.debug != "0" && !loopback.Address(c.debug) {
		fail("debug-address", "%q is no address of loopback; want such as 127.0.0.1:8082, or 0 for none", c.debug)
	}
	oneOf := func(flag, value string, known ...string) {
		if !slices.Contains(known, value) {
			fail(flag, "%q is not known; want one of %s", value, strings.Join(known, ", "))
		}
	}
	oneOf("certs", f.mode, string(certs.Self), string(certs.CertManager))
	oneOf("log-level", f.conf.logLevel, "error", "info", "debug")
	oneOf("log-format", f.conf.logFormat, "json", "text")
	if c.certs != certs.CertManager && c.certDir != "" {
		fail("cert-dir", "is given, but the controller makes its own certificate; want --certs=cert-manager too")
	}
	c.trace = f.trace(fail)
	c.fetch.AllowNets = networks("key-allow-nets", f.nets, fail)
	f.sidecar(&c.inject, fail)
	if len(problems) == 0 {
		problems = append(problems, c.inject.Validate())
	}
	return c, errors.Join(problems...)
}

// cell checks which namespaces are served, and says what pods are to tell of it.
func (f *flags) cell(c *inject.Config, fail func(string, string, ...any)) cell.Cell {
	if f.revision != "" {
		if err := cell.CheckRevision(f.revision); err != nil {
			fail("revision", "%v", err)
			return cell.Cell{}
		}
		if f.selector == "" {
			fail("namespace-selector", "is empty, and there is a --revision; want the namespaces of this release alone, such as %s=%s", v1alpha1.LabelRevision, f.revision)
		}
	}
	out, err := cell.New(f.revision, f.selector)
	if err != nil {
		fail("namespace-selector", "%v", err)
	}
	c.Version, c.CAConfigMap = out.Mark(c.Version), out.Name(inject.CAConfigMap)
	return out
}

// sidecar checks what injected sidecars are to be.
func (f *flags) sidecar(c *inject.Config, fail func(string, string, ...any)) {
	if f.image == "" {
		fail("sidecar-image", "is empty; want the image that holds /sidecar")
	}
	c.CPU = quantity("sidecar-cpu", f.cpu, fail)
	c.Memory = quantity("sidecar-memory", f.memory, fail)
	c.MemoryLimit = quantity("sidecar-memory-limit", f.memoryLimit, fail)
	if f.cpuLimit != "" {
		c.CPULimit = quantity("sidecar-cpu-limit", f.cpuLimit, fail)
	}
	c.ImagePullSecrets = f.pullSecrets
	if c.RunAsUser = id("sidecar-run-as-user", f.runAsUser, fail); c.RunAsUser != nil {
		c.RunAsGroup = id("sidecar-run-as-group", f.runAsGroup, fail)
	}
	c.Flags = map[string]string{}
	for _, pair := range f.sidecarFlags {
		name, value, ok := strings.Cut(pair, "=")
		if _, twice := c.Flags[name]; !ok || twice {
			fail("sidecar-flag", "%q is no name=value, or its name comes twice; want such as trust-forwarded=10.0.0.0/8", pair)
			continue
		}
		c.Flags[name] = value
	}
}

// id reads a user or group id; nil for no text.
func id(flag, text string, fail func(string, string, ...any)) *int64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		fail(flag, "%q is no id; want a number, or nothing", text)
	}
	return &n
}

func networks(flag string, texts []string, fail func(string, string, ...any)) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range texts {
		p, err := netip.ParsePrefix(t)
		if err != nil {
			fail(flag, "%q is no network; want CIDR such as 10.0.0.0/8", t)
			continue
		}
		out = append(out, p.Masked())
	}
	return out
}

// unchecked is what needs no check.
func (f *flags) unchecked() config {
	c := f.conf
	c.certs = certs.Mode(f.mode)
	address, serverName := inject.PushService(f.conf.namespace, f.clusterDomain)
	c.inject = inject.Config{
		Image: f.image, Version: version, PushAddress: address, PushServerName: serverName, LogLevel: f.conf.logLevel,
		ExcludedNamespaces: []string{f.conf.namespace, "kube-system", "kube-public", "kube-node-lease"},
	}
	return c
}

func quantity(flag, text string, fail func(string, string, ...any)) resource.Quantity {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		fail(flag, "%s is no quantity; want such as 50m or 64Mi", strconv.Quote(text))
	}
	return q
}
