package authpolicy

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

const (
	// warningWait is how long an answer of admission waits for what is only a warning.
	warningWait = 200 * time.Millisecond
	// knownNamespaces is how many namespaces are remembered.
	knownNamespaces = 64
)

// Neighbours tells, at admission, how a policy gets on with the others of its namespace and with the pods there. The zero
// value is what Options take; it knows nobody before Setup. It is safe for concurrent use.
type Neighbours struct {
	mu     sync.Mutex
	reader client.Reader                      // guarded by mu
	known  map[string]map[types.UID]neighbour // by namespace, guarded by mu
}

// neighbour is a policy as it was read at a generation.
type neighbour struct {
	generation int64
	compile.Neighbour
}

// Warnings returns sentences for the user about p in its namespace; none if the cache does not answer in time.
func (n *Neighbours) Warnings(ctx context.Context, namespace string, p compile.Neighbour) []string {
	here, ok := n.list(ctx, namespace)
	if !ok {
		return nil
	}
	pods := podMetadataList()
	if !n.ask(ctx, pods, namespace) {
		return nil
	}
	labels := make([]map[string]string, 0, len(pods.Items))
	for i := range pods.Items {
		labels = append(labels, pods.Items[i].Labels)
	}
	return compile.Company(p, here, labels)
}

// list returns the policies of a namespace; ok is false if the cache does not answer in time.
func (n *Neighbours) list(ctx context.Context, namespace string) (all []compile.Neighbour, ok bool) {
	var policies policyObjects
	if !n.ask(ctx, &policies, namespace) {
		return nil, false
	}
	return n.read(namespace, policies.Items), true
}

// ask lists objects of a namespace from the cache, and reports whether it answered in time.
func (n *Neighbours) ask(ctx context.Context, into client.ObjectList, namespace string) bool {
	n.mu.Lock()
	reader := n.reader
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, warningWait)
	defer cancel()
	return reader != nil && reader.List(ctx, into, client.InNamespace(namespace)) == nil
}

// read returns the policies of a namespace. One that was read before is not decoded again.
func (n *Neighbours) read(namespace string, policies []policyObject) (all []compile.Neighbour) {
	n.mu.Lock()
	was := n.known[namespace]
	n.mu.Unlock()
	now := make(map[types.UID]neighbour, len(policies))
	for i := range policies {
		o := &policies[i]
		p, ok := was[o.UID]
		if !ok || p.generation != o.Generation {
			p = neighbour{o.Generation, briefly(o)}
		}
		now[o.UID] = p
		all = append(all, p.Neighbour)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.known[namespace]; !ok && len(n.known)%knownNamespaces == 0 {
		n.known = map[string]map[types.UID]neighbour{}
	}
	n.known[namespace] = now // never changed again
	return all
}

// briefly reads of a policy what matters to others. What cannot be read is left out: its status tells of that.
func briefly(o *policyObject) compile.Neighbour {
	var spec struct {
		Selector policy.Selector   `json:"selector"`
		Issuers  []json.RawMessage `json:"issuers"`
		Rules    []json.RawMessage `json:"rules"`
		Mode     policy.Mode       `json:"mode"`
		Resource *policy.Resource  `json:"resource"`
	}
	_ = json.Unmarshal(o.Spec, &spec)
	issuers := policy.Spec{Issuers: make([]policy.Issuer, len(spec.Issuers))}
	for i := range spec.Issuers {
		_ = json.Unmarshal(spec.Issuers[i], &issuers.Issuers[i])
	}
	cost := compile.CostOf(o.Namespace, issuers)
	cost.Rules = len(spec.Rules)
	return compile.Neighbour{
		Name: o.Name, Created: o.CreationTimestamp.Time, Selector: spec.Selector, Issuers: len(spec.Issuers), Cost: cost,
		Metadata: decision.MetadataPath(&policy.Spec{Mode: spec.Mode, Resource: spec.Resource}),
	}
}
