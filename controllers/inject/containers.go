package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bearerguard/bearerguard/api/memlimit"
	"github.com/bearerguard/bearerguard/api/probe"
)

// sidecar returns the native sidecar. Fields that the API server would fill in are given, so that a second run finds
// what the first one left.
func (s *settings) sidecar(cfg Config, probes string) corev1.Container {
	c := s.base(cfg, SidecarName, s.runArgs(cfg))
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	c.Lifecycle = s.leaveHook()
	c.Env = []corev1.EnvVar{
		{Name: probe.Env, Value: probes},
		{Name: "GOMEMLIMIT", Value: strconv.FormatInt(memlimit.Collector(s.memMax.Value()), 10)},
	}
	c.Env = append(c.Env, s.flagEnv()...)
	c.Ports = []corev1.ContainerPort{{Name: AdminPortName, ContainerPort: AdminPort, Protocol: corev1.ProtocolTCP}}
	c.StartupProbe = adminProbe("/healthz", 1, 60)
	c.ReadinessProbe = adminProbe("/readyz", 2, 1)
	c.LivenessProbe = adminProbe("/healthz", 10, 3)
	c.VolumeMounts = append(s.mounts(), c.VolumeMounts...)
	c.SecurityContext.RunAsNonRoot = new(true)
	c.SecurityContext.RunAsUser, c.SecurityContext.RunAsGroup = clone(cfg.RunAsUser), clone(cfg.RunAsGroup)
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
		Resources:              s.requirements(),
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
	args = append(args,
		"--admin", fmt.Sprintf(":%d", AdminPort),
		"--push", cfg.PushAddress, "--push-server-name", cfg.PushServerName,
		"--push-ca", identityDir+"/"+CAKey, "--push-token", identityDir+"/token",
		"--state-dir", stateDir)
	return append(args, s.flagArgs()...)
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

func clone(id *int64) *int64 {
	if id == nil {
		return nil
	}
	return new(*id)
}

func joinPorts(ports []int32) string {
	text := make([]string, len(ports))
	for i, p := range ports {
		text[i] = strconv.Itoa(int(p))
	}
	return strings.Join(text, ",")
}
