package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

func TestPatches(t *testing.T) {
	t.Parallel()
	plain, begun, unnoted := pod("orders-0"), pod("orders-0", has(next), noted(old)), pod("orders-0", has(next))
	ofRevision := pod("orders-0", noted(old), func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationInjected] = "1@blue" })
	naked := pod("orders-0", func(p *corev1.Pod) { p.Annotations = nil })
	bald := pod("orders-0", bare, noted(old))
	const at = `{"op":"test","path":"/metadata/uid","value":"uid-orders-0"},`
	image := func(i, name, from, to string) string {
		at := `"/spec/initContainers/` + i
		return `{"op":"test","path":` + at + `/name","value":"` + name + `"},{"op":"test","path":` + at + `/image","value":"` + from + `"},{"op":"replace","path":` + at + `/image","value":"` + to + `"}`
	}
	note := `{"op":"add","path":"` + formerPath + `","value":"` + old + `"}`
	change := at + image("0", "bearerguard-capture", old, next) + "," + image("1", "bearerguard", old, next) + ","
	tests := map[string]struct {
		make func() ([]byte, error)
		want string // or a part of the error
	}{
		"the image, and a note of the former one": {func() ([]byte, error) { return Swap(&plain, next) }, "[" + change + note + "]"},
		"a pod without annotations":               {func() ([]byte, error) { return Swap(&naked, next) }, "[" + change + `{"op":"add","path":"/metadata/annotations","value":{}},` + note + "]"},
		"the former image again": {
			func() ([]byte, error) { return GoBack(&begun) },
			"[" + at + image("0", "bearerguard-capture", old, old) + "," + image("1", "bearerguard", next, old) + `,{"op":"remove","path":"` + formerPath + `"}]`,
		},
		"without a note there is no way back": {func() ([]byte, error) { return GoBack(&unnoted) }, "does not say which image its sidecar had"},
		"a pod that has lost its sidecar":     {func() ([]byte, error) { return Swap(&bald, next) }, "has no sidecar any more"},
		"a release without a revision": {
			func() ([]byte, error) { return Done(&begun, "2") },
			"[" + at + `{"op":"remove","path":"` + formerPath + `"},{"op":"replace","path":"/metadata/annotations/bearerguard.dev~1injected","value":"2"}]`,
		},
		"a release, and the revision that injected it": {
			func() ([]byte, error) { return Done(&ofRevision, "2") },
			"[" + at + `{"op":"remove","path":"` + formerPath + `"},{"op":"replace","path":"/metadata/annotations/bearerguard.dev~1injected","value":"2@blue"}]`,
		},
		"a sidecar that does not tell its release": {func() ([]byte, error) { return Done(&begun, "") }, "[" + at + `{"op":"remove","path":"` + formerPath + `"}]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.make()
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error: %v; want %q", err, tt.want)
				}
				return
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	before := Before{Container: "c://1", Restarts: map[string]int32{"app": 3}}
	state := func(id string, s corev1.ContainerState, ready bool) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.InitContainerStatuses[0].ContainerID, p.Status.InitContainerStatuses[0].State, p.Status.InitContainerStatuses[0].Ready = id, s, ready
		}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "unknown flag: --x\n"}}
	tests := map[string]struct {
		pod  corev1.Pod
		want Outcome
		text string // why it fails, or what it waits for
	}{
		"the former sidecar still runs":         {pod("o-0"), Pending, "the sidecar that it has finishes its requests"},
		"the former one has ended":              {pod("o-0", state("c://1", ended, false)), Pending, "the new sidecar starts"},
		"the image is pulled":                   {pod("o-0", state("c://1", waiting("PodInitializing", ""), false)), Pending, "the new sidecar starts"},
		"there is no such image":                {pod("o-0", state("c://1", waiting("ErrImagePull", "not\x1b found"), false)), Fails, `ErrImagePull: not\x1b found`},
		"the new one does not start":            {pod("o-0", state("c://2", ended, false)), Fails, "the new sidecar ended with code 1: unknown flag: --x"},
		"the new one is started too often":      {pod("o-0", state("c://2", waiting("CrashLoopBackOff", ""), false)), Fails, "CrashLoopBackOff"},
		"the new one runs":                      {pod("o-0", unready, state("c://2", running, false)), Pending, "the new sidecar is not ready"},
		"the new one is ready, and not the app": {pod("o-0", unready, state("c://2", running, true)), Pending, "the pod is not ready"},
		"all is ready":                          {pod("o-0", state("c://2", running, true)), Runs, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, text := before.Judge(&tt.pod)
			if got == Pending {
				text = before.Waits(&tt.pod)
			}
			if got != tt.want || text != tt.text {
				t.Errorf("%d, %q; want %d, %q", got, text, tt.want, tt.text)
			}
		})
	}
	restarted := pod("o-0", func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount++ })
	same := pod("o-0")
	if got := Remember(&same); got.Container != "c://1" || got.Restarted(&restarted) != "app" || got.Restarted(&same) != "" {
		t.Errorf("what is remembered: %+v", got)
	}
}

func TestDrainWait(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]time.Duration{
		"run": usualWait, "run --drain-wait 12s --admin :1": 12 * time.Second, "run --drain-wait": usualWait, "run --drain-wait x": usualWait,
	} {
		p := pod("o-0", func(p *corev1.Pod) { p.Spec.InitContainers[1].Args = strings.Fields(args) })
		if got := DrainWait(&p); got != want {
			t.Errorf("%q: %s; want %s", args, got, want)
		}
	}
	without := pod("o-0", bare)
	if DrainWait(&without) != usualWait {
		t.Error("a pod without a sidecar")
	}
}
