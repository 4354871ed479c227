package flow_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var somePairs = flag.Int("pairs", 500, "how many pairs of values are tried of each kind of object, besides every value alone")

// schema is what is of use here of a CRD's schema.
type schema struct {
	Type, Pattern    string
	Enum             []string
	Minimum, Maximum *float64
	MaxLength        *int
	MaxItems         *int
	Items            *schema
	Properties       map[string]*schema
}

// vary makes specs out of one that is good.
type vary struct {
	t       *testing.T
	samples map[string][]any // good values and bad, by the end of a field's path
	base    any
	singles map[string]bool
	pairs   map[string]bool
}

// variations returns specs of a kind: those of testdata, and those with one or two fields of one object changed.
func variations(t *testing.T, k kind) []string {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema schema }
			}
		}
	}
	readYAML(t, filepath.Join("../../config/crd", k.file), &crd)
	var bases []any
	readYAML(t, filepath.Join("testdata", strings.ToLower(k.name)+".yaml"), &bases)
	v := vary{t: t, singles: map[string]bool{}, pairs: map[string]bool{}}
	readYAML(t, "testdata/samples.yaml", &v.samples)
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	delete(spec.Properties, "selector") // of no meaning outside of a cluster
	delete(spec.Properties, "networkPolicy")
	for _, v.base = range bases {
		v.singles[v.text()] = true
		v.object("spec", spec, v.base.(map[string]any))
	}
	pairs := slices.Sorted(maps.Keys(v.pairs))
	t.Logf("%d values, %d pairs", len(v.singles), len(pairs))
	if len(pairs) > *somePairs {
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		pairs = pairs[:*somePairs]
	}
	return append(slices.Sorted(maps.Keys(v.singles)), pairs...)
}

// object varies the fields of an object of the base, and of those in it.
func (v *vary) object(path string, s *schema, o map[string]any) {
	type change struct {
		field string
		value any // nil: left out
	}
	var all []change
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		for _, value := range v.values(path+"."+name, s.Properties[name]) {
			all = append(all, change{name, value})
		}
		if _, given := o[name]; given {
			all = append(all, change{name, nil})
		}
	}
	for i, a := range all {
		undo := set(o, a.field, a.value)
		v.singles[v.text()] = true
		for _, b := range all[i+1:] {
			if b.field != a.field {
				undo := set(o, b.field, b.value)
				v.pairs[v.text()] = true
				undo()
			}
		}
		undo()
	}
	for name, value := range o {
		p, known := s.Properties[name]
		if !known {
			v.t.Fatalf("%s has no %s", path, name)
		}
		switch value := value.(type) {
		case map[string]any:
			v.object(path+"."+name, p, value)
		case []any:
			for _, item := range value {
				if item, is := item.(map[string]any); is {
					v.object(path+"."+name+"[]", p.Items, item)
				}
			}
		}
	}
}

// set changes a field; undo brings back what was there.
func set(o map[string]any, field string, value any) (undo func()) {
	old, was := o[field]
	if value == nil {
		delete(o, field)
	} else {
		o[field] = value
	}
	return func() {
		if delete(o, field); was {
			o[field] = old
		}
	}
}

// text returns the base as it is now. What is never among the changes, since outside of a cluster it counts as left out: a string
// that is empty, and keys without any.
func (v *vary) text() string {
	out, err := json.Marshal(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(out)
}

// values returns what a field is tried with.
func (v *vary) values(path string, s *schema) []any {
	sampled := v.sampled(path)
	switch {
	case s.Type == "array":
		return v.lists(path, s)
	case len(s.Enum) > 0:
		out := []any{"Nonsense"}
		for _, e := range s.Enum {
			out = append(out, e)
		}
		return out[:min(len(out), 5)]
	case s.Type == "boolean":
		return []any{true, false}
	case s.Type == "integer":
		return integers(s)
	case s.Type == "object":
		if strings.HasSuffix(path, ".keys") {
			return sampled
		}
		return append(slices.Clone(sampled), map[string]any{})
	case sampled == nil && s.Pattern != "":
		v.t.Errorf("testdata/samples.yaml has nothing for %s, whose pattern is %s", path, s.Pattern)
	case sampled == nil:
		sampled = []any{"x", "ä ö", "a\u0001"}
	}
	out := slices.Clone(sampled)
	if s.MaxLength != nil {
		out = append(out, long(out, *s.MaxLength), long(out, *s.MaxLength+1))
	}
	return out
}

// long makes a text of this many characters out of the first sample.
func long(samples []any, characters int) any {
	text, _ := samples[0].(string)
	return text + strings.Repeat("a", max(0, characters-len(text)))
}

func integers(s *schema) []any {
	out := []any{7}
	if s.Minimum != nil {
		out = append(out, *s.Minimum-1, *s.Minimum)
	}
	if s.Maximum != nil {
		out = append(out, *s.Maximum, *s.Maximum+1)
	}
	return out
}

// lists returns lists: empty, of one, of one twice, and of as many as there may be and one more.
func (v *vary) lists(path string, s *schema) []any {
	items := v.values(path+"[]", s.Items)
	if s.Items.Type == "string" && len(s.Items.Enum) == 0 {
		items = append(items, "")
	}
	out := []any{[]any{}, []any{items[0], items[0]}}
	for _, item := range items {
		out = append(out, []any{item})
	}
	if s.MaxItems != nil && s.Items.Type == "string" && len(s.Items.Enum) == 0 {
		var many []any
		for i := range *s.MaxItems + 1 {
			many = append(many, fmt.Sprintf("%s%d", items[0], i))
		}
		out = append(out, many[:len(many)-1], many)
	}
	return out
}

// sampled returns the samples of the longest end of path that has some.
func (v *vary) sampled(path string) []any {
	for end := path; ; {
		if s, ok := v.samples[end]; ok {
			return s
		}
		_, after, more := strings.Cut(end, ".")
		if !more {
			return nil
		}
		end = after
	}
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
