package preflight_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/bearerguard/bearerguard/controllers/preflight"
)

// What another release has not made is told of as long as it is missing, and not longer.
func TestRulesThatAreMissingAreToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := client.ObjectKey{Namespace: "bearerguard-blue", Name: "bearerguard-controller"}
		api := fake.NewClientBuilder().WithObjects(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}).Build()
		recorder := events.NewFakeRecorder(10)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- (&preflight.Guard{Reader: api, Events: recorder, Deployment: key, Every: time.Minute}).Start(ctx)
		}()
		synctest.Wait()
		if got := <-recorder.Events; !strings.Contains(got, "Warning AdmissionPolicyMissing the cluster has no ValidatingAdmissionPolicy bearerguard-asked, without which pods") {
			t.Errorf("told %q", got)
		}
		time.Sleep(time.Minute) // in a bubble
		synctest.Wait()
		if got := <-recorder.Events; !strings.Contains(got, "AdmissionPolicyMissing") {
			t.Errorf("told %q", got)
		}
		if err := api.Create(ctx, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: preflight.Shared}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(recorder.Events) > 0 {
			t.Errorf("told of what is there: %q", <-recorder.Events)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
