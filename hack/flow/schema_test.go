package flow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/randompolicy"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// kind is a kind of object, and what says of its spec outside of a cluster whether it can be used.
type kind struct {
	name, file string // of its CRD
	check      func(spec []byte) error
}

var authPolicy = kind{"AuthPolicy", "bearerguard.dev_authpolicies.yaml", func(spec []byte) error {
	s, err := policy.DecodeSpec(spec)
	if err != nil {
		return err
	}
	_, err = decision.Compile([]decision.Policy{{Namespace: "ns", Name: "p", Spec: s}})
	return err
}}

var revocationSource = kind{"RevocationSource", "bearerguard.dev_revocationsources.yaml", func(spec []byte) error {
	var s policy.RevocationSource
	if err := json.Unmarshal(spec, &s); err != nil {
		return err
	}
	issuer := s.AsIssuer()
	return errors.Join(s.Validate("spec"), decision.CheckKeys("spec", &issuer))
}}

var tokenRevocation = kind{"TokenRevocation", "bearerguard.dev_tokenrevocations.yaml", func(spec []byte) error {
	var s policy.Revocation
	if err := json.Unmarshal(spec, &s); err != nil {
		return err
	}
	return s.Validate("spec")
}}

// verdict is what the API server says of an object that it is asked to create, but does not.
type verdict int

const (
	taken verdict = iota
	refusedBySchema
	refusedByWebhook
)

func ask(ctx context.Context, ns string, k kind, spec []byte) (verdict, error) {
	var fields map[string]any
	if err := json.Unmarshal(spec, &fields); err != nil {
		return 0, err
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": fields}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(k.name))
	u.SetNamespace(ns)
	u.SetName("p")
	err := world.client.Create(ctx, u, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	switch {
	case err == nil:
		return taken, nil
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return refusedBySchema, err
	case strings.Contains(err.Error(), "denied the request"):
		return refusedByWebhook, err
	}
	return 0, fmt.Errorf("neither taken nor refused: %w", err)
}

// compare asks the API server about every spec, and reports those that it and k's check do not agree on.
func compare(t *testing.T, k kind, specs []string) {
	t.Helper()
	ns := newNamespace(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	count, reported := map[verdict]int{}, map[string]int{}
	turns := make(chan struct{}, 8)
	for _, spec := range specs {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			v, said := ask(t.Context(), ns, k, []byte(spec))
			if v == taken && said != nil {
				t.Errorf("%s: %v", spec, said)
				return
			}
			err := k.check([]byte(spec))
			mu.Lock()
			defer mu.Unlock()
			count[v]++
			what := fmt.Sprintf("the API server says %s\nand outside of a cluster it is said: %v", clean(said), err)
			if (v == taken) == (err == nil) {
				return
			}
			if reported[what]++; reported[what] == 1 {
				t.Errorf("%s\n%s", spec, what)
			}
		})
	}
	wg.Wait()
	t.Logf("%d specs: %d taken, %d refused by the schema, %d by the webhook", len(specs), count[taken], count[refusedBySchema], count[refusedByWebhook])
	if count[taken] == 0 {
		t.Error("none was taken")
	}
}

func clean(err error) string {
	if err == nil {
		return "nothing against it"
	}
	return err.Error()
}

// The API server, by the schema of each kind and the webhooks, takes exactly what a sidecar takes from a file: each field alone, missing
// and beside each other field of its object, with good values and bad.
func TestSchemaAndCompilerAgree(t *testing.T) {
	for _, k := range []kind{authPolicy, revocationSource, tokenRevocation} {
		t.Run(k.name, func(t *testing.T) { compare(t, k, variations(t, k)) })
	}
}

// The API server takes every policy that the compiler's own tests are made with.
func TestRandomPoliciesAreTaken(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 2))
	var specs []string
	for range 300 {
		spec, err := json.Marshal(randompolicy.Spec(rnd, 1+rnd.IntN(8)))
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, string(spec))
	}
	compare(t, authPolicy, specs)
}
