package lint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Together returns what is of no use in policies because they are in force for the same pods, in the order of their names.
func Together(policies []decision.Policy) (found []decision.FieldError) {
	sorted := slices.SortedFunc(slices.Values(policies), func(a, b decision.Policy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	first := map[string]string{} // by the path of metadata
	for i := range sorted {
		p := &sorted[i]
		path := decision.MetadataPath(&p.Spec)
		if path == "" {
			continue
		}
		if by, taken := first[path]; taken {
			f := HiddenResource(path, by)
			f.Policy = p.Namespace + "/" + p.Name
			found = append(found, f)
			continue
		}
		first[path] = p.Name
	}
	return found
}

// HiddenResource says of a policy that clients get the metadata of another one, which is the first by name.
func HiddenResource(path, by string) decision.FieldError {
	return decision.FieldError{
		Path:    "spec.resource.url",
		Problem: fmt.Sprintf("is never told: clients get what policy %s of the same pods says at %s, since it is the first by name", by, path),
		Want:    "another path, or spec.resource in one of the two",
	}
}
