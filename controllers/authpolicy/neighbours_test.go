package authpolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// listed is a cache with these objects.
type listed struct {
	client.Reader
	policies []policyObject
	labels   []map[string]string
	err      error
}

func (l *listed) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch into := list.(type) {
	case *policyObjects:
		into.Items = l.policies
	case *metav1.PartialObjectMetadataList:
		for _, labels := range l.labels {
			into.Items = append(into.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Labels: labels}})
		}
	}
	return l.err
}

func TestNeighboursAreReadFromTheCache(t *testing.T) {
	t.Parallel()
	orders := policy.Selector{MatchLabels: map[string]string{"app": "orders"}}
	p := compile.Neighbour{Name: "new", Selector: orders, Issuers: 1}
	var n Neighbours
	if got := n.Warnings(t.Context(), "shop", p); got != nil {
		t.Errorf("without a cache: %q", got)
	}
	cache := &listed{labels: []map[string]string{{"app": "billing"}}}
	n.reader = cache
	if got := n.Warnings(t.Context(), "shop", p); len(got) != 1 || !strings.HasPrefix(got[0], "spec.selector: selects none of the 1 pods") {
		t.Errorf("no pod: %q", got)
	}
	cache.labels = append(cache.labels, map[string]string{"app": "orders"})
	for i := range 4 {
		cache.policies = append(cache.policies, object(i, 1, 16))
	}
	cache.policies = append(cache.policies, policyObject{ObjectMeta: metav1.ObjectMeta{Name: "odd", UID: "odd"}, Spec: json.RawMessage(`"canary"`)})
	if got := n.Warnings(t.Context(), "shop", p); len(got) != 1 || !strings.Contains(got[0], "65 issuers come together") {
		t.Errorf("the 65th issuer: %q", got)
	}
	cache.policies[0] = object(0, 2, 15)
	if got := n.Warnings(t.Context(), "shop", p); got != nil {
		t.Errorf("an edit has made room: %q", got)
	}
	cache.err = errors.New("not synced")
	if got := n.Warnings(t.Context(), "shop", compile.Neighbour{Name: "new", Selector: orders}); got != nil {
		t.Errorf("a cache that does not answer: %q", got)
	}
	for i := range 3 * knownNamespaces {
		cache.err = nil
		n.Warnings(t.Context(), fmt.Sprint(i), p)
	}
	if got := len(n.known); got > knownNamespaces {
		t.Errorf("%d namespaces are remembered", got)
	}
}

// object is a policy for every pod with some issuers.
func object(i, generation, issuers int) policyObject {
	spec := `{"issuers":[` + strings.TrimSuffix(strings.Repeat(`{},`, issuers), ",") + `]}`
	return policyObject{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i), UID: types.UID(fmt.Sprint(i)), Generation: int64(generation)}, Spec: json.RawMessage(spec),
	}
}
