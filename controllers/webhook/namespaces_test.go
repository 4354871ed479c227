package webhook_test

import (
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bearerguard/bearerguard/controllers/webhook"
)

func TestDefaultsOfNamespacesAreCheckedWhereTheyAreMade(t *testing.T) {
	t.Parallel()
	object := func(annotations string) []byte {
		return []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","annotations":` + annotations + `}}`)
	}
	const bad = `{"bearerguard.dev/idle-timeout":"soon","example.test/a":"b"}`
	for name, tc := range map[string]struct {
		old, object []byte
		message     string // empty: allowed
	}{
		"good ones are taken": {object: object(`{"bearerguard.dev/idle-timeout":"2m","bearerguard.dev/cpu-limit":"1","bearerguard.dev/tls-client-ca":"clients"}`)},
		"a wrong value is refused": {object: object(bad), message: `metadata.annotations[bearerguard.dev/idle-timeout] of namespace shop: "soon" is no duration; ` +
			`want one such as "30s": longest time between requests of a connection`},
		"the annotation inject is a label there": {object: object(`{"bearerguard.dev/inject":"enabled"}`),
			message: `metadata.annotations[bearerguard.dev/inject] of namespace shop: is an annotation; a namespace asks for sidecars by a label; want the label of that name`},
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
		})
	}
}
