package inject

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	// CAConfigMap is the ConfigMap with the certificate authority, in every namespace with injected pods.
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
	// AdminPort serves health, metrics and the rewritten probes.
	AdminPort = 15081
)

// Config is how pods are injected. The zero value is not usable; see Validate.
type Config struct {
	// Image of the sidecar; required. It holds /sidecar.
	Image string
	// PullPolicy of Image. Default IfNotPresent.
	PullPolicy corev1.PullPolicy
	// Version is the release written into the annotation bearerguard.dev/injected; required.
	Version string
	// PushAddress is host:port of the push service; PushServerName is the name in its certificate. Both required.
	PushAddress, PushServerName string
	// CPU and Memory are the sidecar's requests, MemoryLimit its memory limit, where the pod does not say.
	// There is no CPU limit: a throttled guard delays every request. Required.
	CPU, Memory, MemoryLimit resource.Quantity
	// LogLevel is error, info or debug, where the pod does not say. Default info.
	LogLevel string
	// ExcludedNamespaces are never injected.
	ExcludedNamespaces []string
	// Namespace is that of the pod at hand; see In.
	Namespace Namespace
}

// Namespace is what injection needs to know of a pod's namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
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
	if c.LogLevel != "" && !slices.Contains(logLevels(), c.LogLevel) {
		errs = append(errs, fmt.Errorf("sidecar log level: %q is not known; want one of %v", c.LogLevel, logLevels()))
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
	return errors.Join(errs...)
}

// minMemoryText is what the sidecar needs to start and hold a small snapshot.
const minMemoryText = "24Mi"

func minMemory() resource.Quantity { return resource.MustParse(minMemoryText) }

func logLevels() []string { return []string{"error", "info", "debug"} }
