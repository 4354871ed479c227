package flow_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// patience is how long a condition may take before the test fails; conditions come true in milliseconds.
const patience = 60 * time.Second

// poll calls done until it is true or patience is at its end.
func poll(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// status is a status of HTTP, which answers begin with; a request's id may have the same digits.
var status = regexp.MustCompile(`^[1-5][0-9][0-9]$`)

// eventually waits until got returns something that contains want, or begins with it if it is a status.
func eventually(t *testing.T, what string, got func() string, want string) {
	t.Helper()
	fits := strings.Contains
	if status.MatchString(want) {
		fits = strings.HasPrefix
	}
	var last string
	poll(t, func() bool { last = got(); return fits(last, want) })
	if !fits(last, want) {
		t.Fatalf("%s: got %s; want %s", what, last, want)
	}
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s: got %s; want %s", what, got, want)
	}
}

// conditions returns the conditions of the current generation, sorted, and the count of sidecars.
func conditions(t *testing.T, p *v1alpha1.AuthPolicy) string {
	t.Helper()
	var got v1alpha1.AuthPolicy
	if err := world.client.Get(t.Context(), client.ObjectKeyFromObject(p), &got); err != nil {
		return err.Error()
	}
	var out []string
	for _, c := range got.Status.Conditions {
		if c.ObservedGeneration == got.Generation {
			out = append(out, fmt.Sprintf("%s=%s", c.Type, c.Status))
		}
	}
	slices.Sort(out)
	if got.Status.Sidecars != nil {
		out = append(out, got.Status.Sidecars.Summary)
	}
	return strings.Join(out, " ")
}

func containerNamed(t *testing.T, all []corev1.Container, name string) corev1.Container {
	t.Helper()
	for _, c := range all {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("the pod has no container %s", name)
	return corev1.Container{}
}

func revocation(ns, subject string) *v1alpha1.TokenRevocation {
	return &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "gone"},
		Spec:       policy.Revocation{Issuer: issuerURL, Entries: []policy.RevocationEntry{{Subject: subject}}},
	}
}

func duration(d time.Duration) *policy.Duration { return &policy.Duration{Duration: d} }
