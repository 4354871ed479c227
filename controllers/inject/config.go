package inject

import (
	"errors"
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bearerguard/bearerguard/api/flags"
)

// Names of what injection adds to a pod. A pod that uses one of them for something else is refused.
const (
	// SidecarName is the container that guards the app.
	SidecarName = "bearerguard"
	// CaptureName is the init container that redirects inbound ports.
	CaptureName = "bearerguard-capture"
	// IdentityVolume has the token and the certificate authority for the push service.
	IdentityVolume = "bearerguard-identity"
	// StateVolume has the last good snapshot.
	StateVolume = "bearerguard-state"
	// TLSVolume has the certificate that the annotation tls-cert names, ClientCAVolume the authority of tls-client-ca.
	TLSVolume      = "bearerguard-tls"
	ClientCAVolume = "bearerguard-client-ca"
	// TraceVolume has what the annotations trace-ca and trace-headers name.
	TraceVolume = "bearerguard-trace"
	// CAConfigMap is the ConfigMap with the certificate authority, in every namespace with injected pods, of the default release.
	CAConfigMap = "bearerguard-ca"
	// CAKey is the entry of CAConfigMap.
	CAKey = "ca.crt"
	// Audience is the audience of the projected token.
	Audience = "bearerguard"
)

// Ports of the sidecar inside the pod.
const (
	// RedirectPort is where captured traffic arrives in redirect capture.
	RedirectPort = 15080
	// AdminPort serves health, metrics, the rewritten probes, and what there is to debug.
	AdminPort = 15081
)

// AdminPortName is what the sidecar's container calls AdminPort.
const AdminPortName = "bg-admin"

// Config is how pods are injected. The zero value is not usable; see Validate.
type Config struct {
	// Image of the sidecar; required. It holds /sidecar.
	Image string
	// PullPolicy of Image. Default IfNotPresent.
	PullPolicy corev1.PullPolicy
	// Version is written into the annotation bearerguard.dev/injected; required.
	Version string
	// CAConfigMap is the ConfigMap with the authority of the push service. Default CAConfigMap.
	CAConfigMap string
	// PushAddress is host:port of the push service; PushServerName is the name in its certificate. Both required.
	PushAddress, PushServerName string
	// CPU and Memory are the sidecar's requests, MemoryLimit its memory limit, where nobody nearer to the pod says. Required.
	CPU, Memory, MemoryLimit resource.Quantity
	// CPULimit is its CPU limit. Default none: a throttled guard delays every request.
	CPULimit resource.Quantity
	// LogLevel is error, info or debug, where nobody nearer to the pod says. Default info.
	LogLevel string
	// Flags are the sidecar's flags by name, where nobody nearer to the pod says: what an annotation of that name takes.
	Flags map[string]string
	// ImagePullSecrets are names of Secrets, in the pod's namespace, to pull Image with.
	ImagePullSecrets []string
	// RunAsUser and RunAsGroup are the sidecar's ids; nil where the platform gives them, as OpenShift does.
	RunAsUser, RunAsGroup *int64
	// ExcludedNamespaces are never injected.
	ExcludedNamespaces []string
	// Namespace is that of the pod at hand; see In.
	Namespace Namespace
}

// Namespace is what injection needs to know of a pod's namespace.
type Namespace struct {
	Name                string
	Labels, Annotations map[string]string
}

func (c Config) caConfigMap() string {
	if c.CAConfigMap == "" {
		return CAConfigMap
	}
	return c.CAConfigMap
}

// In returns c for a pod of namespace ns.
func (c Config) In(ns Namespace) Config {
	c.Namespace = ns
	return c
}

// PushService returns the address and the certificate name of the push service in namespace. With a clusterDomain such
// as cluster.local the address is fully qualified, which spares the pod's resolver its search list.
func PushService(namespace, clusterDomain string) (address, serverName string) {
	serverName = fmt.Sprintf("bearerguard-push.%s.svc", namespace)
	if clusterDomain == "" {
		return serverName + ":8443", serverName
	}
	return fmt.Sprintf("%s.%s.:8443", serverName, clusterDomain), serverName
}

// Validate returns every problem of c, joined.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"image", c.Image}, {"version", c.Version}, {"push address", c.PushAddress}, {"push server name", c.PushServerName},
	} {
		if f.value == "" {
			errs = append(errs, fmt.Errorf("sidecar %s: is empty; want it set", f.name))
		}
	}
	if p := flags.CheckOne(logLevel, c.LogLevel); c.LogLevel != "" && p != nil {
		errs = append(errs, fmt.Errorf("sidecar log level: %s; want %s", p.Text, p.Want))
	}
	if c.CPU.Sign() <= 0 {
		errs = append(errs, fmt.Errorf("sidecar cpu: is %s; want more than 0, such as 50m", c.CPU.String()))
	}
	if c.Memory.Cmp(minMemory()) < 0 {
		errs = append(errs, fmt.Errorf("sidecar memory: is %s; want at least %s", c.Memory.String(), minMemoryText))
	}
	if c.MemoryLimit.Cmp(c.Memory) < 0 {
		errs = append(errs, fmt.Errorf("sidecar memory limit: %s is below the request of %s; want at least that",
			c.MemoryLimit.String(), c.Memory.String()))
	}
	if !c.CPULimit.IsZero() && c.CPULimit.Cmp(c.CPU) < 0 {
		errs = append(errs, fmt.Errorf("sidecar cpu limit: %s is below the request of %s; want at least that, or none",
			c.CPULimit.String(), c.CPU.String()))
	}
	errs = append(errs, c.checkIDs()...)
	for _, name := range c.ImagePullSecrets {
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			errs = append(errs, fmt.Errorf("sidecar image pull secrets: %q is not a name; want names of Secrets", name))
		}
	}
	if errs = append(errs, checkFlags(c.Flags)...); len(errs) > 0 {
		return errors.Join(errs...)
	}
	_, err := parseSettings(nil, c)
	return err
}

// checkIDs returns what is wrong with the ids of the sidecar's process.
func (c Config) checkIDs() []error {
	var errs []error
	for _, id := range []struct {
		name  string
		value *int64
		least int64
	}{{"user", c.RunAsUser, 1}, {"group", c.RunAsGroup, 0}} {
		if id.value != nil && (*id.value < id.least || *id.value > math.MaxInt32) {
			errs = append(errs, fmt.Errorf("sidecar %s id: is %d; want %d to %d, or none where the platform gives it", id.name, *id.value, id.least, math.MaxInt32))
		}
	}
	if c.RunAsUser == nil && c.RunAsGroup != nil {
		// The CRI's LinuxContainerSecurityContext: run_as_group without run_as_user is an error.
		errs = append(errs, errors.New("sidecar group id: is given without a user id; want both or none"))
	}
	return errs
}

// minMemoryText is what the sidecar needs to start and hold a small snapshot.
const minMemoryText = "24Mi"

func minMemory() resource.Quantity { return resource.MustParse(minMemoryText) }
