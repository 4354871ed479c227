package clustercheck

import (
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
)

// compare compares the fields of a schema with those that this program knows of the kind: what the schema lacks, and what it has besides.
// Only the topmost field of each is named.
func compare(kind string, s *apiextensionsv1.JSONSchemaProps) (lacks, more []string) {
	types := map[string]reflect.Type{
		"AuthPolicy": reflect.TypeFor[v1alpha1.AuthPolicy](), "TokenRevocation": reflect.TypeFor[v1alpha1.TokenRevocation](),
		"RevocationSource": reflect.TypeFor[v1alpha1.RevocationSource](), "RevocationChunk": reflect.TypeFor[v1alpha1.RevocationChunk](),
	}
	t, ok := types[kind]
	if !ok {
		return nil, nil
	}
	c := comparison{}
	c.object("", t, s)
	slices.Sort(c.lacks)
	slices.Sort(c.more)
	return c.lacks, c.more
}

type comparison struct{ lacks, more []string }

// object compares a struct with an object's properties.
func (c *comparison) object(at string, t reflect.Type, s *apiextensionsv1.JSONSchemaProps) {
	if len(s.Properties) == 0 {
		return // anything goes, or it is a leaf
	}
	fields := map[string]reflect.Type{}
	fieldsOf(t, fields)
	for name, field := range fields {
		p, ok := s.Properties[name]
		if !ok {
			c.lacks = append(c.lacks, at+name)
			continue
		}
		c.value(at+name, field, &p)
	}
	for name := range s.Properties {
		if _, ok := fields[name]; !ok {
			c.more = append(c.more, at+name)
		}
	}
}

// value compares what a field holds.
func (c *comparison) value(at string, t reflect.Type, s *apiextensionsv1.JSONSchemaProps) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case leaf(t):
	case t.Kind() == reflect.Slice && s.Items != nil && s.Items.Schema != nil:
		c.value(at+"[]", t.Elem(), s.Items.Schema)
	case t.Kind() == reflect.Map && s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		c.value(at+"{}", t.Elem(), s.AdditionalProperties.Schema)
	case t.Kind() == reflect.Struct:
		c.object(at+".", t, s)
	}
}

// leaf reports whether a type is written as one value, whatever fields it has.
func leaf(t reflect.Type) bool {
	_, text := reflect.New(t).Interface().(interface{ MarshalJSON() ([]byte, error) })
	return text || t == reflect.TypeFor[metav1.ObjectMeta]()
}

// fieldsOf adds the fields of a struct by their JSON names, those of embedded structs among them.
func fieldsOf(t reflect.Type, to map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && (f.Anonymous || strings.Contains(options, "inline")):
			fieldsOf(f.Type, to)
		case name != "":
			to[name] = f.Type
		}
	}
}
