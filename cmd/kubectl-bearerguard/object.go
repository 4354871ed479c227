package main

import (
	"fmt"
	"strings"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
)

// object is a Secret or ConfigMap with one entry.
type object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	StringData map[string]string `json:"stringData,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// wrap writes content as the one entry of the object that where names: Secret/NAME:ENTRY or ConfigMap/NAME:ENTRY.
// Secret content in a ConfigMap is refused.
func wrap(where, namespace string, content []byte, secret bool) ([]byte, error) {
	kind, rest, _ := strings.Cut(where, "/")
	name, entry, _ := strings.Cut(rest, ":")
	if name == "" || entry == "" {
		return nil, fmt.Errorf("--manifest: %q is not of the form Secret/NAME:ENTRY or ConfigMap/NAME:ENTRY", where)
	}
	o := object{APIVersion: "v1", Kind: kind, Metadata: metadata{Name: name, Namespace: namespace}}
	data := map[string]string{entry: string(content)}
	switch {
	case kind == "Secret":
		o.StringData = data
	case kind == "ConfigMap" && secret:
		return nil, fmt.Errorf("--manifest: a ConfigMap is for public keys only; use Secret/%s, or --public", rest)
	case kind == "ConfigMap":
		o.Data = data
	default:
		return nil, fmt.Errorf("--manifest: kind %q is neither Secret nor ConfigMap", kind)
	}
	return output.MarshalYAML(o)
}
