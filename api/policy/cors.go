package policy

// CORS says which web pages of other origins may call the app from a browser (Fetch standard, section 3.2).
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || !self.credentials || !self.origins.exists(o, o == '*')",message="credentials: true cannot go with the origin *; list the origins"
type CORS struct {
	// Origins are those of the pages, as browsers send them: "https://app.example.com", "http://localhost:3000";
	// "https://*.example.com" is every name below, and "*" everybody. "null" is refused: any page can have it.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=300
	Origins []string `json:"origins"`

	// Methods that pages may use; "*" is any. Default: GET, HEAD, POST, PUT, PATCH, DELETE. The rules decide all the same.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^([A-Z][A-Z-]{0,31}|[*])$`
	Methods []string `json:"methods,omitempty"`

	// Headers that pages may set; "*" is any. Default: Authorization, Content-Type and the headers of tokens under
	// issuers[].from.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|[*])$`
	Headers []string `json:"headers,omitempty"`

	// ExposeHeaders of answers that pages may read. WWW-Authenticate is always one of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`
	ExposeHeaders []string `json:"exposeHeaders,omitempty"`

	// Credentials lets pages send cookies and client certificates. A token in a header needs it not.
	// +optional
	Credentials bool `json:"credentials,omitempty"`

	// MaxAge is how long a browser may keep the answer to a preflight, 0s to 24h. Omitted: as long as the browser likes,
	// which is 5s.
	// +optional
	MaxAge *Duration `json:"maxAge,omitempty"`
}
