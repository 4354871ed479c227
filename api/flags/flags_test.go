package flags_test

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/bearerguard/bearerguard/api/flags"
)

func TestOneValue(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ flag, value, want string }{
		"networks":                      {"trust-forwarded", "10.0.0.0/8, fd00::/8", ""},
		"no networks":                   {"trust-forwarded", "", ""},
		"an address for a network":      {"trust-forwarded", "10.0.0.1", `--trust-forwarded: "10.0.0.1" is no network; want CIDR such as 10.0.0.0/8`},
		"a name of the environment":     {"trace-service", "$(POD_UID)", `--trace-service: "$(POD_UID)" has a $, which Kubernetes may expand; want a value without one`},
		"a second line":                 {"trust-forwarded", "10.0.0.0/8\n$(HOME)", `--trust-forwarded: "10.0.0.0/8\n$(HOME)" is no list; want one, separated by commas: networks`},
		"a time":                        {"idle-timeout", "1m30s", ""},
		"a time without a unit":         {"idle-timeout", "30", `--idle-timeout: "30" is no duration; want one such as "30s": longest time between requests`},
		"a time that is too long":       {"idle-timeout", "2h", "--idle-timeout: is 2h0m0s; want more than 0 and at most 1h"},
		"no time, where it is no bound": {"response-timeout", "0s", ""},
		"no time, where it is one":      {"write-timeout", "0s", "--write-timeout: is 0s; want more than 0"},
		"a negative time":               {"drain-wait", "-1s", "--drain-wait: is -1s; want 0 to 1h"},
		"a size":                        {"max-body-bytes", "1048576", ""},
		"a size with a unit":            {"max-body-bytes", "1Mi", `--max-body-bytes: "1Mi" is no whole number; want one: most bytes`},
		"a negative size":               {"token-cache-bytes", "-1", "--token-cache-bytes: is -1; want 0 or more"},
		"a size that no number holds":   {"max-body-bytes", "99999999999999999999", "is no whole number"},
		"a number below its bounds":     {"max-headers", "0", "--max-headers: is 0; want 1 to 10000"},
		"a negative count":              {"log-allow-every", "-1", `--log-allow-every: "-1" is no whole number of 0 or more`},
		"a word":                        {"app-protocol", "h2c", ""},
		"another word":                  {"app-protocol", "H2C", `--app-protocol: "H2C" is not known; want auto, http1 or h2c`},
		"an empty word":                 {"log-level", "", `--log-level: "" is not known; want error, info or debug`},
		"yes or no":                     {"log-subjects", "true", ""},
		"neither":                       {"log-subjects", "yes", `--log-subjects: "yes" is neither true nor false; want one of them: allow`},
		"an address":                    {"app-address", "::1", ""},
		"a name for an address":         {"app-address", "localhost", `--app-address: "localhost" is no IP address of an app`},
		"an address with a zone":        {"app-address", "fe80::1%eth0", "is no IP address of an app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if p := flags.CheckOne(tc.flag, tc.value); p != nil {
				got = p.Error()
			}
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestEveryDefaultIsGood(t *testing.T) {
	t.Parallel()
	for _, f := range flags.All() {
		if p := flags.CheckOne(f.Name, f.Default); p != nil {
			t.Errorf("%v", p)
		}
		if f.Usage == "" {
			t.Errorf("--%s: no usage", f.Name)
		}
	}
}

// FuzzCheckOne holds that a value which is taken by itself is taken by the sidecar, and that each other has its flag and
// what is expected told.
func FuzzCheckOne(f *testing.F) {
	for _, value := range []string{"10.0.0.0/8,fd00::/8", `"a,b"`, "1m", "0", "-1", "h2c", "true", "::1", "0x10", "1_000", "\n", "$(HOME)"} {
		f.Add(uint(0), value)
		f.Add(uint(9), value)
		f.Add(uint(20), value)
	}
	all := flags.All()
	for i := range all {
		f.Add(uint(i), "a$(HOME)")
		f.Add(uint(i), "http://a/$")
	}
	f.Fuzz(func(t *testing.T, which uint, value string) {
		name := all[which%uint(len(all))].Name
		var v flags.Values
		fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
		v.Define(fs)
		if p := flags.CheckOne(name, value); p != nil {
			if p.Flag != name || p.Text == "" || p.Want == "" {
				t.Fatalf("%+v", p)
			}
			return
		}
		if err := fs.Parse([]string{"--" + name + "=" + value}); err != nil {
			t.Fatalf("taken, but not by the command line: %v", err)
		}
		if problems := v.Check(); len(problems) > 0 {
			t.Fatalf("taken, but not by the sidecar: %v", problems)
		}
		if strings.ContainsAny(value, "$\r\n") {
			t.Fatalf("%q would be expanded or cut", value)
		}
	})
}
