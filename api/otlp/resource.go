package otlp

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/printable"
)

// ResourceEnv is the variable of OpenTelemetry's that has attributes of the resource.
const ResourceEnv = "OTEL_RESOURCE_ATTRIBUTES"

// maxAttributes bounds the attributes of the resource, and maxAttribute the bytes of each.
const maxAttributes, maxAttribute = 64, 1024

// Attribute of a resource.
type Attribute struct{ Key, Value string }

// ReadResource reads a value of ResourceEnv: key=value, separated by commas, the values percent-encoded where they have to be (OpenTelemetry's
// resource SDK, which takes W3C Baggage's form). Those with an empty value, such as of a pod that is on no node, are left out, and of those with one
// key the last counts. What the exporter knows better is left out, too: service.name, service.version and host.name.
func ReadResource(text string) ([]Attribute, error) {
	var out []Attribute
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		switch {
		case !ok, key == "", err != nil, len(pair) > maxAttribute, printable.Text(key+value, 2*maxAttribute) != key+value:
			return nil, errors.New("is no list of key=value, separated by commas, with what is special percent-encoded")
		case len(out) == maxAttributes:
			return nil, errors.New("has more than 64 attributes")
		}
		out = slices.DeleteFunc(out, func(a Attribute) bool { return a.Key == key })
		if value != "" && !slices.Contains([]string{"service.name", "service.version", "host.name"}, key) {
			out = append(out, Attribute{key, value})
		}
	}
	return out, nil
}
