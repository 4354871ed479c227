package inject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bearerguard/bearerguard/api/flags"
	"github.com/bearerguard/bearerguard/api/memlimit"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// Names of the annotations about resources, behind the prefix.
const (
	cpuRequest, cpuLimit       = "cpu", "cpu-limit"
	memoryRequest, memoryLimit = "memory", "memory-limit"
)

// littleCPU is the limit below which requests wait for the sidecar before the app is busy.
const littleCPU = "100m"

// setResource reads one annotation about the sidecar's resources.
func (s *settings) setResource(p place, name, value string) (err error) {
	field := p.field(name)
	memory := "an amount of memory such as 64Mi, at least " + minMemoryText
	switch name {
	case v1alpha1.AnnotationCPU:
		s.cpu, err = parseQuantity(field, value, "a CPU request above 0 such as 100m", resource.MustParse("1m"))
	case v1alpha1.AnnotationCPULimit:
		s.cpuMax, err = parseQuantity(field, value, "a CPU limit above 0 such as 500m", resource.MustParse("1m"))
	case v1alpha1.AnnotationMemory:
		s.memory, err = parseQuantity(field, value, memory, minMemory())
		s.memMax = s.memory // memory-limit of the same place is read after it
		delete(s.said, memoryLimit)
	case v1alpha1.AnnotationMemoryLimit:
		s.memMax, err = parseQuantity(field, value, memory, minMemory())
	}
	s.say(p, name, value)
	return err
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

// nearer returns that of a request and its limit which is said nearer to the pod; the limit, if they are equally near.
func (s *settings) nearer(request, limit string) (name string, at said) {
	r, asked := s.said[request]
	l, limited := s.said[limit]
	if asked && (!limited || r.rank > l.rank) {
		return request, r
	}
	return limit, l
}

// checkResources holds requests against limits, and what the sidecar is to hold against its memory.
func (s *settings) checkResources() error {
	for _, r := range []struct {
		request, limit string
		least, most    resource.Quantity
	}{{cpuRequest, cpuLimit, s.cpu, s.cpuMax}, {memoryRequest, memoryLimit, s.memory, s.memMax}} {
		if r.most.IsZero() || r.most.Cmp(r.least) >= 0 {
			continue
		}
		name, at := s.nearer(r.request, r.limit)
		if name == r.request {
			return refuse(at.field, fmt.Sprintf("at most that, or %s%s raised", v1alpha1.Prefix, r.limit),
				"the request of %s is above the limit of %s", r.least.String(), r.most.String())
		}
		return refuse(at.field, fmt.Sprintf("at least that, or %s%s lowered", v1alpha1.Prefix, r.request),
			"the limit of %s is below the request of %s", r.most.String(), r.least.String())
	}
	if cache := s.number("token-cache-bytes"); cache >= s.memMax.Value() {
		return refuse(s.said["token-cache-bytes"].field, fmt.Sprintf("less, or %s%s raised", v1alpha1.Prefix, memoryLimit),
			"%d bytes do not fit into the sidecar's memory limit of %s", cache, s.memMax.String())
	}
	return nil
}

// memoryWarnings tells of what may use up the sidecar's memory.
func (s *settings) memoryWarnings() []string {
	var out []string
	limit, cache := s.memMax.Value(), s.number("token-cache-bytes")
	if cache > limit/2 {
		out = append(out, fmt.Sprintf("%s: %d bytes are more than half of the sidecar's memory limit of %s; connections need memory too",
			s.said["token-cache-bytes"].field, cache, s.memMax.String()))
	}
	collector := memlimit.Collector(limit) // what the sidecar goes by
	if _, said := s.said["token-cache-bytes"]; !said {
		cache = memlimit.Cache(collector, flags.DefaultTokenCacheBytes)
	}
	holds := memlimit.Connections(collector, cache, s.said[tlsCert].value != "")
	if n := s.number("max-connections"); n > holds {
		out = append(out, fmt.Sprintf("%s: so many connections may need more than the sidecar's memory limit of %s, which holds %d",
			s.said["max-connections"].field, s.memMax.String(), holds))
	}
	return out
}

// keepGuaranteed makes the sidecar's requests equal its limits if that is what makes pod one of QoS class Guaranteed: its
// own containers are such, and the sidecar's count too. The nearest of request and limit holds for both, the limit if they
// are equally near. Where the pod itself says both, it has the last word.
func (s *settings) keepGuaranteed(pod *corev1.Pod) (warnings []string) {
	if !guaranteed(pod) {
		return nil
	}
	for _, r := range []struct {
		request, limit string
		least, most    *resource.Quantity
	}{{cpuRequest, cpuLimit, &s.cpu, &s.cpuMax}, {memoryRequest, memoryLimit, &s.memory, &s.memMax}} {
		name, _ := s.nearer(r.request, r.limit)
		own := s.said[r.request].rank == ofPod && s.said[r.limit].rank == ofPod
		switch {
		case own && r.least.Cmp(*r.most) != 0:
			warnings = append(warnings, fmt.Sprintf("%s: differs from %s%s, so that the pod is of QoS class Burstable; without the sidecar it is Guaranteed",
				annotation(v1alpha1.Prefix+r.limit), v1alpha1.Prefix, r.request))
		case name == r.request || r.most.IsZero():
			*r.most = *r.least
		default:
			*r.least = *r.most
		}
	}
	if s.cpuMax.Cmp(resource.MustParse(littleCPU)) < 0 {
		warnings = append(warnings, fmt.Sprintf("the sidecar may use %s of CPU and no more, so that the pod stays of QoS class Guaranteed; set %s%s to what its requests need",
			s.cpuMax.String(), v1alpha1.Prefix, cpuRequest))
	}
	return warnings
}

// guaranteed tells whether pod, as its own containers are, is of QoS class Guaranteed: each has limits of CPU and memory, and
// requests that equal them or are left out. Resources of the pod as a whole decide on the class by themselves.
func guaranteed(pod *corev1.Pod) bool {
	if pod.Spec.Resources != nil {
		return false
	}
	some := false
	for c := range containers(pod) {
		some = true
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit, request := c.Resources.Limits[name], c.Resources.Requests[name]
			if limit.IsZero() || !request.IsZero() && request.Cmp(limit) != 0 {
				return false
			}
		}
	}
	return some
}

// requirements returns what each container of the sidecar asks for.
func (s *settings) requirements() corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: s.cpu, corev1.ResourceMemory: s.memory},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: s.memMax},
	}
	if !s.cpuMax.IsZero() {
		r.Limits[corev1.ResourceCPU] = s.cpuMax
	}
	return r
}
