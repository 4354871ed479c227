package authpolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/controllers/compile"
)

// gather reads from the cache what a namespace holds, and remembers policies in known. Keys are the caller's to add.
func gather(ctx context.Context, reader client.Reader, namespace string, known decoded) (compile.Snapshot, error) {
	s := compile.Snapshot{Namespace: namespace}
	var policies policyObjects
	if err := reader.List(ctx, &policies, client.InNamespace(namespace)); err != nil {
		return s, fmt.Errorf("list policies: %w", err)
	}
	s.Policies = known.read(policies.Items)
	pods := podMetadataList()
	if err := reader.List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return s, fmt.Errorf("list pods: %w", err)
	}
	s.Workloads = make([]compile.Workload, len(pods.Items))
	for i := range pods.Items {
		p := &pods.Items[i]
		s.Workloads[i] = compile.Workload{
			Name: p.Name, UID: string(p.UID), Labels: p.Labels, Created: p.CreationTimestamp.Time, Injected: injected(p),
		}
	}
	return s, nil
}

func decodePolicy(o *policyObject) *compile.Policy {
	p := &compile.Policy{
		Name: o.Name, UID: string(o.UID), Namespace: o.Namespace, Generation: o.Generation, Created: o.CreationTimestamp.Time,
	}
	var spec v1alpha1.AuthPolicySpec
	if err := decode(o.Spec, &spec); err != nil {
		p.Unreadable = fmt.Errorf("spec: %w", err)
		p.Selector, p.Spec.Mode = salvage(o.Spec)
		return p
	}
	p.Vague = spec.Clarify()
	p.Selector, p.NetworkPolicy, p.Spec = spec.Selector, spec.NetworkPolicy, spec.Spec
	return p
}

// salvage reads whom an undecodable policy is about, as far as that can be read: a selector that cannot be read selects
// every pod.
func salvage(spec json.RawMessage) (policy.Selector, policy.Mode) {
	var about struct {
		Selector json.RawMessage `json:"selector"`
		Mode     json.RawMessage `json:"mode"`
	}
	var selector policy.Selector
	var mode policy.Mode
	if json.Unmarshal(spec, &about) != nil {
		return selector, mode
	}
	if len(about.Selector) > 0 && json.Unmarshal(about.Selector, &selector) != nil {
		selector = policy.Selector{}
	}
	if len(about.Mode) > 0 && json.Unmarshal(about.Mode, &mode) != nil {
		mode = policy.Enforce
	}
	return selector, mode
}

func decode(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return errors.New("is missing")
	}
	var wrong *json.UnmarshalTypeError
	err := json.Unmarshal(raw, into)
	if errors.As(err, &wrong) { // its text repeats the value
		return fmt.Errorf("%s: is a %s; want %s", wrong.Field, kindOf(wrong.Value), wrong.Type.Kind())
	}
	return err
}

// kindOf cuts the value off the description of a JSON value, such as "number 1e9".
func kindOf(value string) string {
	for i, r := range value {
		if r == ' ' {
			return value[:i]
		}
	}
	return value
}

// clock is the time; tests have their own.
type clock func() time.Time
