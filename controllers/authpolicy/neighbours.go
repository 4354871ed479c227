package authpolicy

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	n.mu.Lock()
	reader := n.reader
	n.mu.Unlock()
	if reader == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, warningWait)
	defer cancel()
	var policies policyObjects
	pods := podMetadataList()
	if reader.List(ctx, &policies, client.InNamespace(namespace)) != nil || reader.List(ctx, pods, client.InNamespace(namespace)) != nil {
		return nil
	}
	labels := make([]map[string]string, 0, len(pods.Items))
	for i := range pods.Items {
		labels = append(labels, pods.Items[i].Labels)
	}
	return compile.Company(p, n.read(namespace, policies.Items), labels)
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
	}
	_ = json.Unmarshal(o.Spec, &spec)
	return compile.Neighbour{Name: o.Name, Created: o.CreationTimestamp.Time, Selector: spec.Selector, Issuers: len(spec.Issuers)}
}
