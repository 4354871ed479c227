package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// What Kubernetes takes as a label: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
var (
	labelName   = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelPrefix = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// checkLabel returns an error if a label cannot have this key, or if one of the values is none that a label can have. atKey and
// atValue are their field paths.
func checkLabel(atKey, atValue, key string, values ...string) error {
	name := key
	if prefix, rest, ok := strings.Cut(key, "/"); ok {
		name = rest
		if len(prefix) > 253 || !labelPrefix.MatchString(prefix) {
			return fmt.Errorf("%s: no label has the key %q; want a DNS name before the slash, such as example.com/app", atKey, key)
		}
	}
	if !labelName.MatchString(name) {
		return fmt.Errorf("%s: no label has the key %q; want up to 63 letters, digits, \"-\", \"_\" and \".\", a letter or digit first and last", atKey, key)
	}
	for _, v := range values {
		if v != "" && !labelName.MatchString(v) {
			return fmt.Errorf("%s: no label has the value %q; want up to 63 letters, digits, \"-\", \"_\" and \".\", a letter or digit first and last", atValue, v)
		}
	}
	return nil
}
