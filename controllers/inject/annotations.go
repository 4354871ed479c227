package inject

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Values of bearerguard.dev/inject.
const (
	enabled  = "enabled"
	disabled = "disabled"
)

// Capture is how inbound traffic reaches the sidecar.
type Capture string

// The ways to capture.
const (
	// Redirect sends every inbound TCP port to the sidecar, with an init container that needs NET_ADMIN. The default.
	Redirect Capture = "redirect"
	// Ports lets the sidecar listen on given ports, and the app on others, on 127.0.0.1. It needs no privilege.
	Ports Capture = "ports"
)

// settings is what a pod's annotations say, over the defaults of a Config.
type settings struct {
	capture             Capture
	ports               []PortPair
	exclude             []int32
	cpu, memory, memMax resource.Quantity
	logLevel            string
	drainWait           *int64 // seconds; nil: the default
}

// annotation returns the field path of an annotation.
func annotation(name string) string { return "metadata.annotations[" + name + "]" }

// parseInject reads a value of bearerguard.dev/inject; field is where it was found.
func parseInject(field, value string) (on bool, err error) {
	switch value {
	case enabled:
		return true, nil
	case disabled:
		return false, nil
	}
	return false, refuse(field, "enabled or disabled", "%q is neither", value)
}

// parseSettings reads every bearerguard.dev/ annotation. The error joins all problems, in the order of the names.
func parseSettings(annotations map[string]string, cfg Config) (settings, error) {
	s := settings{capture: Redirect, cpu: cfg.CPU, memory: cfg.Memory, memMax: cfg.MemoryLimit, logLevel: cfg.LogLevel}
	if s.logLevel == "" {
		s.logLevel = "info"
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(name, v1alpha1.Prefix) {
			continue
		}
		if err := s.set(name, annotations[name]); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return settings{}, errors.Join(errs...)
	}
	return s, s.check(annotations)
}

// set reads one annotation.
func (s *settings) set(name, value string) (err error) {
	field := annotation(name)
	switch name {
	case v1alpha1.AnnotationInject:
		_, err = parseInject(field, value)
	case v1alpha1.AnnotationInjected:
		// The webhook's own mark; see restore.
	case v1alpha1.AnnotationCapture:
		s.capture = Capture(value)
		if s.capture != Redirect && s.capture != Ports {
			err = refuse(field, "redirect or ports", "%q is neither", value)
		}
	case v1alpha1.AnnotationPorts:
		s.ports, err = parsePairs(field, value)
	case v1alpha1.AnnotationExcludePorts:
		s.exclude, err = parsePorts(field, value)
	case v1alpha1.AnnotationCPU:
		s.cpu, err = parseQuantity(field, value, "a CPU request above 0 such as 100m", resource.MustParse("1m"))
	case v1alpha1.AnnotationMemory:
		s.memory, err = parseQuantity(field, value, "an amount of memory such as 64Mi, at least "+minMemoryText, minMemory())
		s.memMax = s.memory
	case v1alpha1.AnnotationLogLevel:
		s.logLevel = value
		if !slices.Contains(logLevels(), value) {
			err = refuse(field, "one of "+strings.Join(logLevels(), ", "), "%q is not a log level", value)
		}
	case v1alpha1.AnnotationDrainWait:
		s.drainWait, err = parseDrainWait(field, value)
	default:
		err = refuse(field, "one of "+strings.Join(Annotations(), ", "), "is not known")
	}
	return err
}

// Annotations returns the names that a pod may carry, sorted.
func Annotations() []string {
	return []string{
		v1alpha1.AnnotationCapture, v1alpha1.AnnotationCPU, v1alpha1.AnnotationDrainWait, v1alpha1.AnnotationExcludePorts,
		v1alpha1.AnnotationInject, v1alpha1.AnnotationLogLevel, v1alpha1.AnnotationMemory, v1alpha1.AnnotationPorts,
	}
}

// check holds annotations against each other.
func (s *settings) check(annotations map[string]string) error {
	_, hasPorts := annotations[v1alpha1.AnnotationPorts]
	_, hasExclude := annotations[v1alpha1.AnnotationExcludePorts]
	switch {
	case s.capture == Ports && !hasPorts:
		return refuse(annotation(v1alpha1.AnnotationPorts), `pairs listen:app such as "8080:18080"`,
			"is missing, and %s=ports needs it", v1alpha1.AnnotationCapture)
	case s.capture == Redirect && hasPorts:
		return refuse(annotation(v1alpha1.AnnotationPorts), fmt.Sprintf("%s=ports beside it, or no %s", v1alpha1.AnnotationCapture, v1alpha1.AnnotationPorts),
			"has no meaning in redirect capture")
	case s.capture == Ports && hasExclude:
		return refuse(annotation(v1alpha1.AnnotationExcludePorts), "it left out: only the ports listed are captured",
			"has no meaning in ports capture")
	}
	return nil
}

func parseQuantity(field, value, want string, least resource.Quantity) (resource.Quantity, error) {
	q, err := resource.ParseQuantity(value)
	if err != nil {
		return q, refuse(field, want, "%q is not a quantity", value)
	}
	if q.Cmp(least) < 0 {
		return q, refuse(field, want, "%q is too little", value)
	}
	return q, nil
}
