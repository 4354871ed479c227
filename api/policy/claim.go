package policy

// ClaimCondition is one condition on one claim: exactly one operator is given. Values are compared with a claim that is
// a string, or with the JSON text of a number or boolean: "7", "true". For a claim that is a list, equals, anyOf,
// patterns, matches, greaterThan and lessThan hold if they hold for any element, allOf if each value is an element, and
// noneOf and notPatterns if no element fits. A claim that is missing or null satisfies only exists: false, noneOf and
// notPatterns, an object only exists: true, noneOf and notPatterns.
// +kubebuilder:validation:XValidation:rule="[has(self.exists), has(self.equals), has(self.anyOf), has(self.allOf), has(self.noneOf), has(self.patterns), has(self.notPatterns), has(self.matches), has(self.greaterThan), has(self.lessThan)].filter(x, x).size() == 1",message="give exactly one of exists, equals, anyOf, allOf, noneOf, patterns, notPatterns, matches, greaterThan, lessThan"
type ClaimCondition struct {
	// Claim is a claim path: dotted names with bracket-quoted segments, as in CEL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim"`

	// Exists: the claim is there with a value other than null (true), or is not (false).
	// +optional
	Exists *bool `json:"exists,omitempty"`

	// Equals: the claim is this value.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Equals *string `json:"equals,omitempty"`

	// AnyOf: the claim is one of these values.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=1024
	AnyOf []string `json:"anyOf,omitempty"`

	// AllOf: the claim is a list with all of these values.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	AllOf []string `json:"allOf,omitempty"`

	// NoneOf: the claim is none of these values; a missing claim is none of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=1024
	NoneOf []string `json:"noneOf,omitempty"`

	// Patterns: the claim fits one of these, with at most one * in each, which stands for any text: "admin-*",
	// "*.example.com"; * alone fits every value that is not empty.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[^*]*[*]?[^*]*$`
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Patterns []string `json:"patterns,omitempty"`

	// NotPatterns: the claim fits none of these patterns; a missing claim fits none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[^*]*[*]?[^*]*$`
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	NotPatterns []string `json:"notPatterns,omitempty"`

	// Matches is an RE2 expression for the whole value.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Matches string `json:"matches,omitempty"`

	// GreaterThan: the claim is a number above this one.
	// +optional
	GreaterThan *int64 `json:"greaterThan,omitempty"`

	// LessThan: the claim is a number below this one.
	// +optional
	LessThan *int64 `json:"lessThan,omitempty"`
}
