package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/sidecar/authz"
)

// Serve says how gateways ask.
type Serve struct {
	// ExtAuthz is the address for those that ask as Envoy does.
	ExtAuthz string
	// CheckHeaders is the form in which they may send headers.
	CheckHeaders authz.CheckHeaders
	// ForwardAuth is the address for those that ask by HTTP; Convention is theirs.
	ForwardAuth string
	Convention  authz.Convention
	// AppPort is the port that rules see; 0: it is not known.
	AppPort int
	// GatewayDoes are what the gateway does by its own configuration.
	GatewayDoes []authz.Promise
}

// serveToo are the flags of run that serve has as well.
func serveToo() []string {
	return []string{
		"policies", "labels", "namespace", "push", "push-server-name", "push-ca", "push-token", "state-dir", "admin",
		"tls-cert", "tls-key", "tls-client-ca", "readiness", "log-level", "log-format", "log-allow-every", "log-subjects", "log-scopes",
		"max-header-bytes", "max-headers", "max-url-bytes", "max-connections", "max-streams", "max-http2-requests", "token-cache-bytes",
		"read-header-timeout", "idle-timeout", "write-timeout", "drain-wait", "max-staleness", "drain", "key-allow-http", "key-allow-nets",
		"trace-ca", "trace-headers", "trace-endpoint", "trace-protocol", "trace-ratio", "trace-rate", "trace-service",
	}
}

// rawServe is what the flags of serve alone say.
type rawServe struct {
	Serve

	convention string
	form       string
	does       []string
}

// ServeFlags is Flags for a sidecar that forwards nothing and is asked by gateways.
func ServeFlags(fs *pflag.FlagSet) func() (Config, error) {
	all, r, s := pflag.NewFlagSet("", pflag.ContinueOnError), &raw{}, &rawServe{}
	r.define(all)
	s.define(fs)
	for _, name := range serveToo() {
		fs.AddFlag(all.Lookup(name))
	}
	return func() (Config, error) {
		if err := fromEnvironment(fs, os.LookupEnv); err != nil {
			return Config{}, err
		}
		r.serve = s
		return r.config()
	}
}

func (s *rawServe) define(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&s.ExtAuthz, "ext-authz", "", "address to answer gateways on that ask as Envoy does, by gRPC (envoy.service.auth.v3): host:port or :port")
	fs.StringVar(&s.form, "ext-authz-headers", string(authz.RawHeaders), "raw: every header field by itself, for which Envoy needs encode_raw_headers; merged: also one value a name, which may hide fields that come twice")
	fs.StringVar(&s.ForwardAuth, "forward-auth", "", "address to answer gateways on that ask by HTTP, as nginx, Traefik and Caddy do: host:port or :port")
	fs.StringVar(&s.convention, "forward-auth-headers", "", "how they describe a request: x-forwarded (Traefik, Caddy) or x-original (nginx)")
	fs.IntVar(&s.AppPort, "app-port", 0, "the port of the app that rules see; 0: rules that ask for one are refused")
	fs.StringSliceVar(&s.does, "gateway-does", nil, "what policies may ask for because the gateway's own configuration does it: strip-token, max-body, cors, resource-metadata, close-streams")
}

// sockets checks what is listened on.
func (s *rawServe) sockets(fail func(string, string, ...any)) Serve {
	out := s.Serve
	if out.ExtAuthz == "" && out.ForwardAuth == "" {
		fail("ext-authz", "give --ext-authz ADDRESS, or --forward-auth ADDRESS")
	}
	for flag, address := range map[string]string{"ext-authz": out.ExtAuthz, "forward-auth": out.ForwardAuth} {
		if address != "" && !isAddress(address) {
			fail(flag, "%q is no address; want host:port or :port", address)
		}
	}
	if out.ForwardAuth == "" && s.convention != "" {
		fail("forward-auth-headers", "goes with --forward-auth")
	}
	if out.CheckHeaders = authz.CheckHeaders(s.form); out.CheckHeaders != authz.RawHeaders && out.CheckHeaders != authz.MergedHeaders {
		fail("ext-authz-headers", "%q is not known; want %s or %s", s.form, authz.RawHeaders, authz.MergedHeaders)
	}
	out.Convention = authz.Convention(s.convention)
	if out.ForwardAuth != "" && !slices.Contains(authz.Conventions(), out.Convention) {
		fail("forward-auth-headers", "%q is not known; want %s for Traefik and Caddy, or %s for nginx", s.convention, authz.XForwarded, authz.XOriginal)
	}
	if out.AppPort < 0 || out.AppPort > 65535 {
		fail("app-port", "is %d; want 1 to 65535, or 0 if it is not known", out.AppPort)
	}
	out.GatewayDoes = s.promises(fail)
	return out
}

// promises reads --gateway-does.
func (s *rawServe) promises(fail func(string, string, ...any)) (out []authz.Promise) {
	for _, text := range s.does {
		p := authz.Promise(strings.TrimSpace(text))
		if !slices.Contains(authz.Promises(), p) {
			fail("gateway-does", "%q is not known; want some of %s", text, strings.Trim(fmt.Sprint(authz.Promises()), "[]"))
			continue
		}
		out = append(out, p)
	}
	return out
}
