package policy

import (
	"fmt"
	"maps"
	"slices"
)

// Selector selects pods by their labels, as Kubernetes label selectors do. Omitted or empty, it selects every pod.
type Selector struct {
	// MatchLabels must all be on the pod with these values.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`

	// MatchExpressions must all hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	MatchExpressions []SelectorRequirement `json:"matchExpressions,omitempty"`
}

// SelectorRequirement is one condition on one label.
type SelectorRequirement struct {
	// Key of the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`

	// Operator is In, NotIn, Exists or DoesNotExist.
	// +required
	Operator SelectorOperator `json:"operator"`

	// Values for In and NotIn; none for the others.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Values []string `json:"values,omitempty"`
}

// SelectorOperator relates a label to values.
// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
type SelectorOperator string

// The operators of a SelectorRequirement.
const (
	// In: the label has one of the values.
	In SelectorOperator = "In"
	// NotIn: the label is missing or has none of the values.
	NotIn SelectorOperator = "NotIn"
	// Exists: the label is there.
	Exists SelectorOperator = "Exists"
	// DoesNotExist: the label is missing.
	DoesNotExist SelectorOperator = "DoesNotExist"
)

// Validate returns an error that names the first field that is wrong, below the field path at. What no label can be, such as the
// key "app!", is wrong: a selector with it does not select what it seems to.
func (s Selector) Validate(at string) error {
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		field := fmt.Sprintf("%s.matchLabels[%s]", at, key)
		if err := checkLabel(field, field, key, s.MatchLabels[key]); err != nil {
			return err
		}
	}
	for i, r := range s.MatchExpressions {
		field := fmt.Sprintf("%s.matchExpressions[%d]", at, i)
		if err := r.validate(field); err != nil {
			return err
		}
		if err := checkLabel(field+".key", field+".values", r.Key, r.Values...); err != nil {
			return err
		}
	}
	return nil
}

// Decidable reports whether it is known of every pod whether s selects it. If it is not, since an operator is not known or lacks
// its values, Matches says less than was meant.
func (s Selector) Decidable() bool {
	for _, r := range s.MatchExpressions {
		if r.validate("") != nil {
			return false
		}
	}
	return true
}

func (r SelectorRequirement) validate(at string) error {
	if r.Key == "" {
		return fmt.Errorf("%s.key: is empty; want a label's key", at)
	}
	switch r.Operator {
	case In, NotIn:
		if len(r.Values) == 0 {
			return fmt.Errorf("%s.values: is empty; %s needs at least one value", at, r.Operator)
		}
	case Exists, DoesNotExist:
		if len(r.Values) > 0 {
			return fmt.Errorf("%s.values: must be left out with %s", at, r.Operator)
		}
	default:
		return fmt.Errorf("%s.operator: %q is none of In, NotIn, Exists, DoesNotExist", at, r.Operator)
	}
	return nil
}

// Matches reports whether a pod with these labels is selected. An operator that is not known selects nothing.
func (s Selector) Matches(labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		if !r.matches(labels) {
			return false
		}
	}
	return true
}

func (r SelectorRequirement) matches(labels map[string]string) bool {
	v, ok := labels[r.Key]
	switch r.Operator {
	case In:
		return ok && slices.Contains(r.Values, v)
	case NotIn:
		return !ok || !slices.Contains(r.Values, v)
	case Exists:
		return ok
	case DoesNotExist:
		return !ok
	}
	return false
}
