package inject_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/inject"
)

func TestVerifyTellsAGuardFromAForgery(t *testing.T) {
	t.Parallel()
	ns := inject.Namespace{Name: "shop", Labels: map[string]string{v1alpha1.LabelEnforce: "true"}}
	cfg := validConfig().In(ns)
	sidecar := func(p *corev1.Pod) *corev1.Container {
		return &p.Spec.InitContainers[slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == inject.SidecarName })]
	}
	bare := func(p *corev1.Pod) {
		p.Spec.InitContainers, p.Spec.Volumes = nil, nil
		delete(p.Annotations, v1alpha1.AnnotationInjected)
	}
	const another = ": is another; want what admission puts there"
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   string // "": it is a guard
	}{
		"what injection made":                 {func(*corev1.Pod) {}, ""},
		"it, though the pod says disabled":    {func(p *corev1.Pod) { p.Annotations[injectKey] = "disabled" }, ""},
		"it, with the limits of a LimitRange": {func(p *corev1.Pod) { sidecar(p).Resources.Limits[corev1.ResourceCPU] = resource.MustParse("1") }, ""},
		"it, beside containers of other tools": {func(p *corev1.Pod) {
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "x"})
		}, ""},
		"no guard": {bare, "spec.initContainers: has no sidecar, and namespace shop (bearerguard.dev/enforce) takes no pod without one; " +
			"want bearerguard.dev/inject=enabled on the pod, its template or its namespace"},
		"a container of that name, made by hand": {func(p *corev1.Pod) {
			bare(p)
			p.Spec.InitContainers = []corev1.Container{{Name: inject.SidecarName, Image: "example.test/true:1"}}
		}, `spec.initContainers[0].name: "bearerguard" is taken; want another name; this one is kept for the sidecar`},
		"another image":           {func(p *corev1.Pod) { sidecar(p).Image = "example.test/true:1" }, "spec.initContainers[bearerguard].image" + another},
		"an older release":        {func(p *corev1.Pod) { sidecar(p).Image += "-old" }, "spec.initContainers[bearerguard].image" + another},
		"another command":         {func(p *corev1.Pod) { sidecar(p).Command = []string{"/bin/true"} }, "spec.initContainers[bearerguard].command" + another},
		"policies of its own":     {func(p *corev1.Pod) { sidecar(p).Args = append(sidecar(p).Args, "--policies", "/x") }, "spec.initContainers[bearerguard].args" + another},
		"settings by environment": {func(p *corev1.Pod) { sidecar(p).Env = append(sidecar(p).Env, corev1.EnvVar{Name: "A"}) }, "spec.initContainers[bearerguard].env" + another},
		"and by a ConfigMap":      {func(p *corev1.Pod) { sidecar(p).EnvFrom = []corev1.EnvFromSource{{}} }, "spec.initContainers[bearerguard].envFrom" + another},
		"an init container":       {func(p *corev1.Pod) { sidecar(p).RestartPolicy = nil }, "spec.initContainers[bearerguard].restartPolicy" + another},
		"a hook":                  {func(p *corev1.Pod) { sidecar(p).Lifecycle = nil }, "spec.initContainers[bearerguard].lifecycle" + another},
		"a program run by a probe": {func(p *corev1.Pod) {
			sidecar(p).StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/sidecar"}}}}
		}, "spec.initContainers[bearerguard].startupProbe.exec" + another},
		"a program mounted over":   {func(p *corev1.Pod) { sidecar(p).VolumeMounts[0].MountPath = "/sidecar" }, "spec.initContainers[bearerguard].volumeMounts" + another},
		"more privilege":           {func(p *corev1.Pod) { sidecar(p).SecurityContext.RunAsUser = new(int64(0)) }, "spec.initContainers[bearerguard].securityContext" + another},
		"capture that is not done": {func(p *corev1.Pod) { p.Spec.InitContainers[0].Args = []string{"version"} }, "spec.initContainers[bearerguard-capture].args" + another},
		"no capture":               {func(p *corev1.Pod) { p.Spec.InitContainers = p.Spec.InitContainers[1:] }, "spec.initContainers[bearerguard-capture]: is missing; want what admission puts there"},
		"another authority": {func(p *corev1.Pod) { p.Spec.Volumes[0].Projected.Sources[1].ConfigMap.Name = "mine" },
			"spec.volumes[bearerguard-identity]: is missing or another; want what admission puts there"},
		"the node's network": {func(p *corev1.Pod) { p.Spec.HostNetwork = true },
			"spec.hostNetwork: the pod uses the node's network, which a sidecar cannot guard; want it changed, or bearerguard.dev/inject=disabled"},
		"an app that mounts the sidecar's state": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: inject.StateVolume, MountPath: "/x"}}
		}, `spec.containers[app].volumeMounts[0].name: "bearerguard-state" is the sidecar's alone; want a volume of the pod's own`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
			pod.Annotations = annotations{injectKey: "enabled"}
			result, err := inject.Inject(pod, cfg)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(result.Pod)
			got := ""
			if err := inject.Verify(result.Pod, cfg); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}
