package webhook_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/controllers/webhook"
)

func TestDefaultsOfNamespacesAreCheckedWhereTheyAreMade(t *testing.T) {
	t.Parallel()
	object := func(annotations string) []byte {
		return []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","annotations":` + annotations + `}}`)
	}
	labelled := func(labels string) []byte {
		return []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","labels":` + labels + `}}`)
	}
	const bad = `{"bearerguard.dev/idle-timeout":"soon","example.test/a":"b"}`
	for name, tc := range map[string]struct {
		old, object []byte
		message     string // empty: allowed
		warnings    []string
	}{
		"good ones are taken": {object: object(`{"bearerguard.dev/idle-timeout":"2m","bearerguard.dev/cpu-limit":"1","bearerguard.dev/tls-client-ca":"clients"}`)},
		"a wrong value is refused": {object: object(bad), message: `metadata.annotations[bearerguard.dev/idle-timeout] of namespace shop: "soon" is no duration; ` +
			`want one such as "30s": longest time between requests of a connection`},
		"the annotation inject is a label there": {object: object(`{"bearerguard.dev/inject":"enabled"}`),
			message: `metadata.annotations[bearerguard.dev/inject] of namespace shop: is an annotation; a namespace asks for sidecars by a label; want the label of that name`},
		"labels that are known are taken": {object: labelled(`{"bearerguard.dev/inject":"enabled","bearerguard.dev/enforce":"true"}`)},
		"a wrong value of the label inject is refused": {object: labelled(`{"bearerguard.dev/inject":"true"}`),
			message: `metadata.labels[bearerguard.dev/inject] of namespace shop: "true" is neither; want enabled or disabled`},
		"a wrong value of the label enforce is refused": {object: labelled(`{"bearerguard.dev/enforce":"yes"}`),
			message: `metadata.labels[bearerguard.dev/enforce] of namespace shop: "yes" is neither; want true or false`},
		"a label that is not known is refused": {object: labelled(`{"bearerguard.dev/enforced":"true"}`),
			message: `metadata.labels[bearerguard.dev/enforced] of namespace shop: is not known; want one of bearerguard.dev/{enforce,inject,revision}`},
		"a revision is taken": {object: labelled(`{"bearerguard.dev/revision":"blue"}`)},
		"a revision that none can have is refused": {object: labelled(`{"bearerguard.dev/revision":""}`),
			message: `metadata.labels[bearerguard.dev/revision] of namespace shop: "" is no name; want the revision of a release, such as blue, or no label for the default one`},
		"pods do not move with their namespace": {old: labelled(`{"bearerguard.dev/inject":"enabled"}`), object: labelled(`{"bearerguard.dev/inject":"enabled","bearerguard.dev/revision":"blue"}`), warnings: []string{
			"namespace shop goes from the default release to revision blue: pods stay with the release that injected them until they are restarted: " +
				"kubectl -n shop rollout restart deployment,statefulset,daemonset",
		}},
		"a wrong label that was there passes": {old: labelled(`{"bearerguard.dev/inject":"yes"}`), object: labelled(`{"bearerguard.dev/inject":"yes","a":"b"}`)},
		"a label that goes is told": {old: labelled(`{"bearerguard.dev/inject":"enabled","bearerguard.dev/enforce":"true"}`), object: labelled(`{}`), warnings: []string{
			"namespace shop no longer asks for sidecars: new pods that do not ask themselves have none and take every request",
			"namespace shop no longer enforces sidecars: pods may leave theirs out",
		}},
		"an update of something else passes": {old: object(bad), object: object(`{"bearerguard.dev/idle-timeout":"soon","example.test/a":"c"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := admissionv1.AdmissionRequest{Kind: kind("", "v1", "Namespace"), Name: "shop", Object: runtime.RawExtension{Raw: tc.object}}
			if tc.old != nil {
				req.Operation, req.OldObject = admissionv1.Update, runtime.RawExtension{Raw: tc.old}
			}
			resp := serve(t).review(t, webhook.NamespacesPath, req)
			if resp.Allowed != (tc.message == "") || resp.Result.Message != tc.message {
				t.Errorf("allowed %v, message %q; want %q", resp.Allowed, resp.Result.Message, tc.message)
			}
			if diff := cmp.Diff(tc.warnings, resp.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}
