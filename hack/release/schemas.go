package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// crd is what is read of a CustomResourceDefinition.
type crd struct {
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Schema struct {
				OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// schemas writes the CustomResourceDefinitions in one file, and the JSON schemas of what they define for editors and for
// kubeconform: bearerguard.dev/authpolicy_v1alpha1.json.
func (r *release) schemas(context.Context) error {
	files, err := filepath.Glob(filepath.Join(r.root, "config/crd/bearerguard.dev_*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("config/crd has none")
	}
	slices.Sort(files)
	var all bytes.Buffer
	var packs []packed
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all.Write(text)
		made, err := r.schemasOf(text)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		packs = append(packs, made...)
	}
	if err := os.WriteFile(filepath.Join(r.out, "bearerguard-crds_"+r.version+".yaml"), all.Bytes(), 0o644); err != nil {
		return err
	}
	return writeTarGzip(filepath.Join(r.out, "bearerguard-schemas_"+r.version+".tar.gz"), packs, r.date)
}

func (r *release) schemasOf(text []byte) ([]packed, error) {
	var c crd
	if err := yaml.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	var out []packed
	for _, v := range c.Spec.Versions {
		data, err := json.MarshalIndent(jsonSchema(c.Spec.Group, v.Name, c.Spec.Names.Kind, v.Schema.OpenAPIV3Schema), "", "  ")
		if err != nil {
			return nil, err
		}
		name := strings.ToLower(c.Spec.Names.Kind) + "_" + v.Name + ".json"
		file := filepath.Join(r.bin, name)
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			return nil, err
		}
		out = append(out, packed{c.Spec.Group + "/" + name, file, 0o644})
	}
	return out, nil
}

// jsonSchema makes a JSON schema (draft 2020-12) of an OpenAPI schema of Kubernetes: the API's name is fixed, and members that the
// schema does not have are mistakes.
func jsonSchema(group, version, kind string, schema map[string]any) map[string]any {
	schema = closed(schema).(map[string]any)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = kind
	if p, ok := schema["properties"].(map[string]any); ok {
		p["apiVersion"] = map[string]any{"type": "string", "const": group + "/" + version}
		p["kind"] = map[string]any{"type": "string", "const": kind}
		p["metadata"] = map[string]any{"type": "object"}
	}
	schema["required"] = []string{"apiVersion", "kind", "metadata"}
	return schema
}

// closed takes out what is Kubernetes's own and forbids members that are not named.
func closed(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	case map[string]any:
		for name, member := range v {
			if strings.HasPrefix(name, "x-kubernetes-") {
				if name == "x-kubernetes-int-or-string" {
					delete(v, "type")
					v["type"] = []string{"integer", "string"}
				}
				delete(v, name)
				continue
			}
			v[name] = closed(member)
		}
		if _, isType := v["type"].(string); isType && v["properties"] != nil && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
	}
	return v
}
