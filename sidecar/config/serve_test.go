package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/sidecar/authz"
)

func TestServeFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		args []string
		want Serve
		fail string
	}{
		"forward-auth for nginx": {
			args: []string{"--forward-auth", ":9002", "--forward-auth-headers", "x-original", "--app-port", "8080", "--gateway-does", "cors,max-body"},
			want: Serve{CheckHeaders: authz.RawHeaders, ForwardAuth: ":9002", Convention: authz.XOriginal, AppPort: 8080, GatewayDoes: []authz.Promise{authz.CORS, authz.MaxBody}},
		},
		"ext_authz":                         {args: []string{"--ext-authz", ":9001"}, want: Serve{ExtAuthz: ":9001", CheckHeaders: authz.RawHeaders}},
		"an address for Envoy that is none": {args: []string{"--ext-authz", "9001"}, fail: `--ext-authz: "9001" is no address`},
		"merged headers":                    {args: []string{"--ext-authz", ":9001", "--ext-authz-headers", "merged"}, want: Serve{ExtAuthz: ":9001", CheckHeaders: authz.MergedHeaders}},
		"headers of another form":           {args: []string{"--ext-authz", ":9001", "--ext-authz-headers", "some"}, fail: `--ext-authz-headers: "some" is not known; want raw or merged`},
		"a convention for nobody":           {args: []string{"--ext-authz", ":9001", "--forward-auth-headers", "x-original"}, fail: "--forward-auth-headers: goes with --forward-auth"},
		"no address":                        {args: nil, fail: "--ext-authz: give --ext-authz ADDRESS, or --forward-auth ADDRESS"},
		"an address that is none":           {args: []string{"--forward-auth", "9002", "--forward-auth-headers", "x-original"}, fail: `--forward-auth: "9002" is no address`},
		"no convention":                     {args: []string{"--forward-auth", ":9002"}, fail: `--forward-auth-headers: "" is not known; want x-forwarded for Traefik and Caddy, or x-original for nginx`},
		"no port":                           {args: []string{"--forward-auth", ":9002", "--forward-auth-headers", "x-original", "--app-port", "-1"}, fail: "--app-port: is -1"},
		"an empty promise":                  {args: []string{"--forward-auth", ":9002", "--forward-auth-headers", "x-original", "--gateway-does", "all"}, fail: `--gateway-does: "all" is not known; want some of strip-token max-body cors resource-metadata close-streams`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			parse := ServeFlags(fs)
			if err := fs.Parse(append([]string{"--policies", dir}, tc.args...)); err != nil {
				t.Fatal(err)
			}
			c, err := parse()
			if (err == nil) != (tc.fail == "") || err != nil && !strings.Contains(err.Error(), tc.fail) {
				t.Fatalf("got %v, want %q", err, tc.fail)
			}
			if diff := cmp.Diff(tc.want, c.Serve); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}
