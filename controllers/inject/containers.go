package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/probe"
)

// Where the sidecar finds its files.
const (
	identityDir = "/var/run/bearerguard"
	stateDir    = "/var/lib/bearerguard"
	// apiTokenDir is where Kubernetes mounts a pod's API token into every container that has nothing there.
	apiTokenDir = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// userID is the sidecar's user and group: "nonroot" of distroless images.
const userID int64 = 65532

// sidecar returns the native sidecar. Fields that the API server would fill in are given, so that a second run finds
// what the first one left.
func (s *settings) sidecar(cfg Config, probes string) corev1.Container {
	c := s.base(cfg, SidecarName, s.runArgs(cfg))
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	c.Lifecycle = s.leaveHook()
	c.Env = []corev1.EnvVar{
		{Name: probe.Env, Value: probes},
		{Name: "GOMEMLIMIT", Value: strconv.FormatInt(s.memMax.Value()/10*9, 10)},
	}
	c.Ports = []corev1.ContainerPort{{Name: "bg-admin", ContainerPort: AdminPort, Protocol: corev1.ProtocolTCP}}
	c.StartupProbe = adminProbe("/healthz", 1, 60)
	c.ReadinessProbe = adminProbe("/readyz", 2, 1)
	c.LivenessProbe = adminProbe("/healthz", 10, 3)
	c.VolumeMounts = append([]corev1.VolumeMount{
		{Name: IdentityVolume, MountPath: identityDir, ReadOnly: true},
		{Name: StateVolume, MountPath: stateDir},
	}, c.VolumeMounts...)
	c.SecurityContext.RunAsNonRoot = new(true)
	c.SecurityContext.RunAsUser = new(userID)
	c.SecurityContext.RunAsGroup = new(userID)
	return c
}

// capture returns the init container that redirects inbound ports. Writing nftables rules takes NET_ADMIN, and a
// process gets it only as root; it has no other capability, no writable file and ends before anything else starts.
func (s *settings) captureContainer(cfg Config) corev1.Container {
	exclude := slices.Concat([]int32{RedirectPort, AdminPort}, s.exclude)
	c := s.base(cfg, CaptureName, []string{"capture", "--to", strconv.Itoa(RedirectPort), "--exclude", joinPorts(exclude)})
	c.SecurityContext.RunAsNonRoot = new(false)
	c.SecurityContext.RunAsUser = new(int64(0))
	c.SecurityContext.RunAsGroup = new(int64(0))
	c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
	return c
}

// base returns what both containers share.
func (s *settings) base(cfg Config, name string, args []string) corev1.Container {
	pull := cfg.PullPolicy
	if pull == "" {
		pull = corev1.PullIfNotPresent
	}
	return corev1.Container{
		Name: name, Image: cfg.Image, ImagePullPolicy: pull, Command: []string{"/sidecar"}, Args: args,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: s.cpu, corev1.ResourceMemory: s.memory},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: s.memMax},
		},
		TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		// The identity volume also lies over the place of the pod's API token, which the sidecar must not have.
		VolumeMounts: []corev1.VolumeMount{{Name: IdentityVolume, MountPath: apiTokenDir, ReadOnly: true}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Privileged: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

func (s *settings) runArgs(cfg Config) []string {
	args := []string{"run"}
	if s.capture == Redirect {
		args = append(args, "--redirect", "--listen", fmt.Sprintf(":%d", RedirectPort))
	}
	for _, p := range s.ports {
		args = append(args, "--map", p.String())
	}
	args = append(args, s.drainArgs()...)
	return append(args,
		"--admin", fmt.Sprintf(":%d", AdminPort),
		"--push", cfg.PushAddress, "--push-server-name", cfg.PushServerName,
		"--push-ca", identityDir+"/"+CAKey, "--push-token", identityDir+"/token",
		"--state-dir", stateDir, "--log-level", s.logLevel)
}

// adminProbe asks the sidecar itself, every period seconds.
func adminProbe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(AdminPort), Scheme: corev1.URISchemeHTTP,
		}},
		TimeoutSeconds: 2, PeriodSeconds: period, SuccessThreshold: 1, FailureThreshold: failures,
	}
}

// volumes returns the identity and the state. The state lies in memory: it holds keys.
func volumes() []corev1.Volume {
	size := resource.MustParse("16Mi")
	return []corev1.Volume{
		{Name: IdentityVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(int32(0o644)),
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: Audience, ExpirationSeconds: new(int64(3600)), Path: "token"}},
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: CAConfigMap},
					Items:                []corev1.KeyToPath{{Key: CAKey, Path: CAKey}},
				}},
			},
		}}},
		{Name: StateVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: &size,
		}}},
	}
}

func joinPorts(ports []int32) string {
	text := make([]string, len(ports))
	for i, p := range ports {
		text[i] = strconv.Itoa(int(p))
	}
	return strings.Join(text, ",")
}
