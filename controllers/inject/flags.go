package inject

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Names of flags that injection itself gives a meaning to.
const (
	logLevel      = "log-level"
	drainWaitName = "drain-wait"
	appAddress    = "app-address"
	tlsCert       = "tls-cert"
	tlsClientCA   = "tls-client-ca"
	tlsPermissive = "tls-permissive"
	tlsRequest    = "tls-request-client-cert"
	traceEndpoint = "trace-endpoint"
	traceCA       = "trace-ca"
	traceHeaders  = "trace-headers"
)

// podIP is the value of app-address that stands for the pod's own address, and appAddressEnv the variable it comes in.
const (
	podIP         = "pod-ip"
	appAddressEnv = "BEARERGUARD_APP_ADDRESS"
)

// isFlag tells whether a pod, a namespace and the chart may set the sidecar's flag of that name.
func isFlag(name string) bool {
	return slices.Contains(ofFiles(), name) || slices.ContainsFunc(flags.All(), func(f flags.Info) bool { return f.Name == name })
}

// ofFiles returns the names of those flags that take a file in the sidecar, and for pods the name of what has it.
func ofFiles() []string { return []string{tlsCert, tlsClientCA, traceCA, traceHeaders} }

// FlagNames returns the names of all flags that may be set, sorted.
func FlagNames() []string {
	names := ofFiles()
	for _, f := range flags.All() {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// setFlag reads a flag of the sidecar, by the sidecar's own code wherever the value is passed on as it is.
func (s *settings) setFlag(p place, name, value string) error {
	field, short := p.field(name), strings.TrimPrefix(name, v1alpha1.Prefix)
	if !isFlag(short) {
		return unknown(p, name)
	}
	switch short {
	case traceCA, traceHeaders:
		if err := checkTraceFile(short, field, value); err != nil {
			return err
		}
	case tlsCert, tlsClientCA:
		if problems := validation.IsDNS1123Subdomain(value); value != "" && len(problems) > 0 {
			return refuse(field, "the name of a Secret in the pod's namespace", "%q is not a name", value)
		}
	case appAddress:
		if value != "" && !slices.Contains([]string{"127.0.0.1", "::1", podIP}, value) {
			return refuse(field, "127.0.0.1, ::1 or "+podIP, "%q is none of these", value)
		}
	case drainWaitName:
		if _, err := parseDrainWait(field, value); err != nil {
			return err
		}
	default:
		if problem := flags.CheckOne(short, value); problem != nil {
			return refuse(field, problem.Want, "%s", problem.Text)
		}
	}
	s.say(p, name, value)
	return nil
}

// checkFlags returns every problem of the chart's flags.
func checkFlags(all map[string]string) []error {
	s := settings{said: map[string]said{}}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !isFlag(name) {
			errs = append(errs, refuse("sidecar.flags["+name+"]", "one of "+strings.Join(FlagNames(), ", "), "is not a flag for pods"))
			continue
		}
		if err := s.setFlag(place{rank: ofChart}, v1alpha1.Prefix+name, all[name]); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// number returns the value of a flag that takes one, 0 if nobody says it.
func (s *settings) number(flag string) int64 {
	n, _ := strconv.ParseInt(s.said[flag].value, 0, 64) // it was checked
	return n
}

// on tells whether a flag is true.
func (s *settings) on(flag string) bool {
	b, _ := strconv.ParseBool(s.said[flag].value) // it was checked
	return b
}

// checkTLS holds the flags about TLS against each other. Defaults of those that need a certificate wait for a pod that has one.
func (s *settings) checkTLS() error {
	ca, hasCert := s.said[tlsClientCA], s.said[tlsCert].value != ""
	want := v1alpha1.AnnotationTLSCert + " beside it"
	if ca.value != "" && !hasCert {
		return refuse(ca.field, want, "has no meaning without a certificate to serve")
	}
	for _, f := range [...]struct{ name, why string }{
		{tlsPermissive, "who comes in plaintext shows no certificate"},
		{tlsRequest, "certificates of that authority alone are taken"},
	} {
		switch said := s.said[f.name]; {
		case s.on(f.name) && !hasCert && said.rank == ofPod:
			return refuse(said.field, want, "has no meaning without a certificate to serve")
		case s.on(f.name) && ca.value != "":
			return refuse(said.field, fmt.Sprintf("false, or %s empty", v1alpha1.AnnotationTLSClientCA),
				"does not go with %s: %s", v1alpha1.AnnotationTLSClientCA, f.why)
		}
	}
	return nil
}

// flagArgs returns the sidecar's arguments for what was said.
func (s *settings) flagArgs() []string {
	var args []string
	if s.said[tlsCert].value != "" {
		args = append(args, "--tls-cert", tlsDir+"/"+corev1.TLSCertKey, "--tls-key", tlsDir+"/"+corev1.TLSPrivateKeyKey)
	}
	if s.said[tlsClientCA].value != "" {
		args = append(args, "--tls-client-ca", clientCADir+"/"+CAKey)
	}
	args = append(args, s.traceArgs()...)
	for _, f := range flags.All() {
		at, ok := s.said[f.Name]
		switch {
		case !ok, f.Name == drainWaitName, f.Name == appAddress && (at.value == podIP || at.value == ""),
			(f.Name == tlsPermissive || f.Name == tlsRequest) && s.said[tlsCert].value == "":
		case f.Type == "bool":
			args = append(args, "--"+f.Name+"="+at.value)
		default:
			args = append(args, "--"+f.Name, at.value)
		}
	}
	return args
}

// flagEnv returns the variables of flags whose value only the running pod knows.
func (s *settings) flagEnv() []corev1.EnvVar {
	var out []corev1.EnvVar
	if s.said[appAddress].value == podIP {
		out = append(out, ofPodField(appAddressEnv, "status.podIP"))
	}
	return append(out, s.traceEnv()...)
}

// ofPodField returns a variable that has a field of the pod.
func ofPodField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}}
}

// flagWarnings tells of values that may do more than they seem to.
func (s *settings) flagWarnings() []string {
	var out []string
	trust := s.said["trust-forwarded"]
	networks, _ := flags.Networks(strings.Split(trust.value, ","))
	if slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Bits() == 0 }) {
		out = append(out, fmt.Sprintf("%s: every client is believed, whatever it says of its address and scheme; name the proxies' networks", trust.field))
	}
	if address := s.said[appAddress]; s.capture == Ports && address.value == podIP {
		out = append(out, fmt.Sprintf("%s: the app listens on the pod's address, so that clients which use its port go around the sidecar; "+
			"let a NetworkPolicy keep them off, or use redirect capture", address.field))
	}
	return append(append(out, s.traceWarnings()...), s.memoryWarnings()...)
}
