package inject

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Where the sidecar finds its files.
const (
	identityDir = "/var/run/bearerguard"
	stateDir    = "/var/lib/bearerguard"
	tlsDir      = "/var/run/bearerguard-tls"
	clientCADir = "/var/run/bearerguard-client-ca"
	traceDir    = "/var/run/bearerguard-trace"
	// apiTokenDir is where Kubernetes mounts a pod's API token into every container that has nothing there.
	apiTokenDir = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// ourVolume tells whether name is that of a volume that injection adds.
func ourVolume(name string) bool {
	return slices.Contains([]string{IdentityVolume, StateVolume, TLSVolume, ClientCAVolume, TraceVolume, TokensVolume}, name)
}

// volumes returns the identity, with the authority that a ConfigMap has, the state, and the Secrets that flags name. The state lies in
// memory: it holds keys.
func (s *settings) volumes(authority string) []corev1.Volume {
	size := resource.MustParse("48Mi") // twice a million revocations, which are replaced whole, and the rules
	out := []corev1.Volume{
		{Name: IdentityVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(int32(0o644)),
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: Audience, ExpirationSeconds: new(int64(3600)), Path: "token"}},
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: authority},
					Items:                []corev1.KeyToPath{{Key: CAKey, Path: CAKey}},
				}},
			},
		}}},
		{Name: StateVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: &size,
		}}},
	}
	if name := s.said[tlsCert].value; name != "" {
		out = append(out, secret(TLSVolume, name, corev1.TLSCertKey, corev1.TLSPrivateKeyKey))
	}
	if name := s.said[tlsClientCA].value; name != "" {
		out = append(out, secret(ClientCAVolume, name, CAKey))
	}
	if files := s.traceFiles(); len(files) > 0 {
		out = append(out, corev1.Volume{Name: TraceVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(int32(0o644)), Sources: files,
		}}})
	}
	if len(s.audiences) > 0 {
		out = append(out, s.tokens())
	}
	return out
}

// mounts returns where the sidecar has its volumes; see base for the one over the API token.
func (s *settings) mounts() []corev1.VolumeMount {
	out := []corev1.VolumeMount{
		{Name: IdentityVolume, MountPath: identityDir, ReadOnly: true},
		{Name: StateVolume, MountPath: stateDir},
	}
	if s.said[tlsCert].value != "" {
		out = append(out, corev1.VolumeMount{Name: TLSVolume, MountPath: tlsDir, ReadOnly: true})
	}
	if s.said[tlsClientCA].value != "" {
		out = append(out, corev1.VolumeMount{Name: ClientCAVolume, MountPath: clientCADir, ReadOnly: true})
	}
	if len(s.traceFiles()) > 0 {
		out = append(out, corev1.VolumeMount{Name: TraceVolume, MountPath: traceDir, ReadOnly: true})
	}
	return out
}

// secret returns a volume of some keys of a Secret. Only the sidecar mounts it, and it runs as another user than root.
func secret(volume, name string, keys ...string) corev1.Volume {
	source := &corev1.SecretVolumeSource{SecretName: name, DefaultMode: new(int32(0o644))}
	for _, key := range keys {
		source.Items = append(source.Items, corev1.KeyToPath{Key: key, Path: key})
	}
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{Secret: source}}
}
