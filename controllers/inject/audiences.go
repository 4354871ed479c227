package inject

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

const (
	// TokensVolume has the tokens that the app shows to others.
	TokensVolume = "bearerguard-tokens"
	// TokensDir is where the app's containers find them, a file for each audience.
	TokensDir = "/var/run/secrets/bearerguard.dev/tokens"
	// tokenSeconds is how long such a token is good; the kubelet renews it at four fifths of that.
	tokenSeconds = 3600
	maxAudiences = 16
)

// audience is one token that the app gets.
type audience struct{ file, name string }

// parseAudiences reads "orders,pay" or "orders=https://orders.example.com": a token's file and its audience, which are the
// same where only one is given.
func parseAudiences(field, value string) ([]audience, error) {
	const want = `audiences separated by commas, such as "orders,pay"; for one that is no file name, file=audience such as "orders=https://orders.example.com"`
	var out []audience
	for part := range strings.SplitSeq(value, ",") {
		file, name, named := strings.Cut(strings.TrimSpace(part), "=")
		if !named {
			name = file
		}
		switch {
		case file == "" || name == "":
			return nil, refuse(field, want, "%q has an empty entry", value)
		case !fileName(file):
			return nil, refuse(field, want, "%q is no name of a file", file)
		case len(name) > 253 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }):
			return nil, refuse(field, want, "%q is no audience", name)
		case name == Audience:
			return nil, refuse(field, "the audiences of other apps", "%q is the audience of the sidecar's own token", name)
		case slices.ContainsFunc(out, func(a audience) bool { return a.file == file }):
			return nil, refuse(field, "each file once", "%q comes twice", file)
		}
		if out = append(out, audience{file, name}); len(out) > maxAudiences {
			return nil, refuse(field, "at most 16", "has too many audiences")
		}
	}
	return out, nil
}

// fileName holds for a file's name that needs no quoting anywhere.
func fileName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && (i == 0 || !strings.ContainsRune("-_.", rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// tokens returns the volume with the app's tokens.
func (s *settings) tokens() corev1.Volume {
	p := &corev1.ProjectedVolumeSource{DefaultMode: new(int32(0o644))}
	for _, a := range s.audiences {
		p.Sources = append(p.Sources, corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Audience: a.name, ExpirationSeconds: new(int64(tokenSeconds)), Path: a.file,
		}})
	}
	return corev1.Volume{Name: TokensVolume, VolumeSource: corev1.VolumeSource{Projected: p}}
}

// mountTokens mounts the tokens into every container of the app.
func (s *settings) mountTokens(pod *corev1.Pod) error {
	if len(s.audiences) == 0 {
		return nil
	}
	for c := range containers(pod) {
		for i, m := range c.VolumeMounts {
			if path := strings.TrimRight(m.MountPath, "/"); path == TokensDir || strings.HasPrefix(path, TokensDir+"/") {
				return refuse(c.field+".volumeMounts["+m.Name+"].mountPath", "another path, or no "+v1alpha1.AnnotationTokenAudiences,
					"%q (entry %d) is where the tokens go", m.MountPath, i)
			}
		}
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: TokensVolume, MountPath: TokensDir, ReadOnly: true})
	}
	return nil
}

// unmountTokens undoes mountTokens.
func unmountTokens(pod *corev1.Pod) {
	for c := range containers(pod) {
		c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == TokensVolume && m.MountPath == TokensDir })
		if len(c.VolumeMounts) == 0 {
			c.VolumeMounts = nil
		}
	}
}

// tokenWarnings says of a pod that gets no sidecar that its app gets no tokens either.
func (s *settings) tokenWarnings() []string {
	if len(s.audiences) == 0 {
		return nil
	}
	return []string{annotation(v1alpha1.AnnotationTokenAudiences) + ": no tokens are mounted, since the pod gets no sidecar; set " +
		v1alpha1.AnnotationInject + "=enabled, or mount a projected volume"}
}
