package policy

// MCPMatch fits a POST whose body is one JSON-RPC message of which the given fields fit. The body is what is looked at; the headers
// Mcp-Method and Mcp-Name, which clients of the revision 2026-07-28 and later have to send, must say the same, or the request is
// refused. A batch, a member that comes twice, a body of more than 64 KiB and whatever else leaves a doubt fits no allow rule
// and every deny rule. Requests of methods that bring no message, such as GET, fit neither.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="has(self.methods) || has(self.names) || (has(self.responses) && self.responses)",message="give methods, names or responses: true"
type MCPMatch struct {
	// Methods are JSON-RPC methods, such as "tools/call", with at most one * in each, which stands for any text: "resources/*".
	// Omitted beside names: each.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[^*]*[*]?[^*]*$`
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Methods []string `json:"methods,omitempty"`

	// Names are those of tools and prompts (tools/call, prompts/get), and URIs of resources (resources/read, resources/subscribe,
	// resources/unsubscribe), with at most one * in each: "db_*". Other methods have no name, and fit none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[^*]*[*]?[^*]*$`
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Names []string `json:"names,omitempty"`

	// Responses: what a client answers to requests of the server, in sessions of revisions before 2026-07-28, fits as well.
	// +optional
	Responses bool `json:"responses,omitempty"`
}
