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

// rank tells how near to the pod something is said; the nearest wins.
type rank int

const (
	ofChart rank = iota
	ofNamespace
	ofPod
)

// place is where settings are said: in the chart, on a namespace, or on a pod, its template or its workload.
type place struct {
	rank      rank
	namespace string
}

// field returns the path of a setting, for errors.
func (p place) field(name string) string {
	switch p.rank {
	case ofChart:
		return "sidecar.flags[" + strings.TrimPrefix(name, v1alpha1.Prefix) + "]"
	case ofNamespace:
		return annotation(name) + " of namespace " + p.namespace
	case ofPod:
	}
	return annotation(name)
}

// said is a value and where it was found.
type said struct {
	value, field string
	rank         rank
}

// settings is how one pod is injected: what its annotations say, over those of its namespace, over the chart's.
type settings struct {
	capture                     Capture
	ports                       []PortPair
	exclude                     []int32
	cpu, cpuMax, memory, memMax resource.Quantity // cpuMax 0: none
	drainWait                   int64             // seconds; see resolveDrainWait
	audiences                   []audience        // of the app's own tokens
	// said has what was said, by the name behind the prefix: all flags, cpu, memory and their limits.
	said map[string]said
}

// parseSettings reads every bearerguard.dev/ annotation of a pod and of its namespace. The error joins all problems, those
// of the namespace first, in the order of the names.
func parseSettings(annotations map[string]string, cfg Config) (settings, error) {
	s := settings{
		capture: Redirect, cpu: cfg.CPU, cpuMax: cfg.CPULimit, memory: cfg.Memory, memMax: cfg.MemoryLimit, said: map[string]said{},
	}
	s.said[logLevel] = said{value: cfg.LogLevel}
	if cfg.LogLevel == "" {
		s.said[logLevel] = said{value: "info"}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Flags)) {
		errs = append(errs, s.setFlag(place{rank: ofChart}, v1alpha1.Prefix+name, cfg.Flags[name]))
	}
	errs = append(errs, s.read(place{ofNamespace, cfg.Namespace.Name}, cfg.Namespace.Annotations), s.read(place{rank: ofPod}, annotations))
	if err := errors.Join(errs...); err != nil {
		return settings{}, err
	}
	return s, errors.Join(s.checkCapture(annotations), s.checkTLS(), s.checkTraces(), s.checkResources())
}

// CheckNamespace returns every annotation and label of a namespace that would have its pods refused, joined; nil if none would.
func CheckNamespace(ns Namespace) error {
	s := settings{said: map[string]said{}}
	return errors.Join(checkLabels(ns), s.read(place{ofNamespace, ns.Name}, ns.Annotations))
}

// read reads the annotations of one place.
func (s *settings) read(p place, annotations map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if strings.HasPrefix(name, v1alpha1.Prefix) {
			errs = append(errs, s.set(p, name, annotations[name]))
		}
	}
	return errors.Join(errs...)
}

// set reads one annotation.
func (s *settings) set(p place, name, value string) error {
	if p.rank == ofNamespace && !slices.Contains(NamespaceAnnotations(), name) {
		return unknown(p, name)
	}
	field := p.field(name)
	var err error
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
	case v1alpha1.AnnotationTokenAudiences:
		s.audiences, err = parseAudiences(field, value)
	case v1alpha1.AnnotationCPU, v1alpha1.AnnotationCPULimit, v1alpha1.AnnotationMemory, v1alpha1.AnnotationMemoryLimit:
		err = s.setResource(p, name, value)
	default:
		err = s.setFlag(p, name, value)
	}
	return err
}

// say notes what was said.
func (s *settings) say(p place, name, value string) {
	s.said[strings.TrimPrefix(name, v1alpha1.Prefix)] = said{value: value, field: p.field(name), rank: p.rank}
}

// checkCapture holds the annotations about ports against each other.
func (s *settings) checkCapture(annotations map[string]string) error {
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
