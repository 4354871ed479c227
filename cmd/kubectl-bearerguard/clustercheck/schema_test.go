package clustercheck

import (
	"os"
	"path/filepath"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// allDefinitions are those of this release, as a cluster that has established them has them.
func allDefinitions(t *testing.T) []apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := filepath.Glob("../../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	var out []apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if c.Kind != "CustomResourceDefinition" {
			continue
		}
		c.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
		out = append(out, c)
	}
	return out
}

// spec is the schema of the spec of AuthPolicies.
func spec(f *Facts) apiextensionsv1.JSONSchemaProps {
	for i := range f.CRDs.Value {
		if f.CRDs.Value[i].Spec.Names.Kind == "AuthPolicy" {
			return f.CRDs.Value[i].Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		}
	}
	panic("no AuthPolicy")
}

func dropField(f *Facts, name string) { delete(spec(f).Properties, name) }

func addField(f *Facts, name string) {
	spec(f).Properties[name] = apiextensionsv1.JSONSchemaProps{Type: "string"}
}

// TestDefinitionsAndTypesHaveTheSameFields holds the definitions of this release to its types, of every kind and at every depth.
func TestDefinitionsAndTypesHaveTheSameFields(t *testing.T) {
	t.Parallel()
	all := allDefinitions(t)
	if len(all) != len(kinds) {
		t.Errorf("%d definitions, want %d", len(all), len(kinds))
	}
	for i := range all {
		lacks, more := compare(all[i].Spec.Names.Kind, all[i].Spec.Versions[0].Schema.OpenAPIV3Schema)
		if len(lacks) > 0 || len(more) > 0 {
			t.Errorf("%s lacks %q and has %q besides", all[i].Name, lacks, more)
		}
	}
}

func TestFieldsDeepBelowAreCompared(t *testing.T) {
	t.Parallel()
	f := Facts{}
	f.CRDs.Value = allDefinitions(t)
	rule := spec(&f).Properties["rules"].Items.Schema.Properties["allow"]
	delete(rule.Properties, "claims")
	for i := range f.CRDs.Value {
		if c := &f.CRDs.Value[i]; c.Spec.Names.Kind == "AuthPolicy" {
			if lacks, _ := compare("AuthPolicy", c.Spec.Versions[0].Schema.OpenAPIV3Schema); len(lacks) != 1 || lacks[0] != "spec.rules[].allow.claims" {
				t.Errorf("it lacks %q", lacks)
			}
		}
	}
}
