package lint

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/bearerguard/bearerguard/api/policy"
)

// resource warns of a protected resource that no token is for, or none that clients can get.
func (l *linter) resource(spec *policy.Spec) {
	r := spec.Resource
	if r == nil {
		return
	}
	const at = "spec.resource"
	servers, taken := 0, false
	for i := range spec.Issuers {
		is := &spec.Issuers[i]
		u, err := url.Parse(is.Issuer)
		if err == nil && u.Host != "" && is.Keys.Kubernetes == nil {
			servers++
		}
		taken = taken || is.ResourceAudience || is.AnyAudience || slices.Contains(is.Audiences, r.URL)
		l.resourceAudience(fmt.Sprintf("spec.issuers[%d]", i), is, r.URL)
	}
	if servers == 0 {
		l.add(Resource, at, "no issuer is a URL, so clients are told of nobody to get a token from", "an issuer with a URL")
	}
	if !taken {
		l.add(Resource, at+".url", "is the audience of no issuer, and clients ask for tokens for it", "resourceAudience: true with the issuers")
	}
}

// resourceAudience warns of audiences that are the resource's URL but for a slash at the end: they are compared by letter.
func (l *linter) resourceAudience(at string, is *policy.Issuer, resource string) {
	bare := strings.TrimSuffix(resource, "/")
	for i, a := range is.Audiences {
		if a != resource && strings.TrimSuffix(a, "/") == bare && !is.ResourceAudience && !slices.Contains(is.Audiences, resource) {
			l.add(Resource, fmt.Sprintf("%s.audiences[%d]", at, i), "differs from spec.resource.url in the slash at the end: the two are compared to the letter", "resourceAudience: true")
		}
	}
	if u, err := url.Parse(resource); err == nil && u.Path == "" && is.ResourceAudience && !slices.Contains(is.Audiences, resource+"/") {
		l.add(Resource, at+".resourceAudience", fmt.Sprintf("many clients ask for a URL without a path with a slash at the end, %s/, and audiences are compared to the letter", resource),
			"audiences with that one as well, or a path in spec.resource.url")
	}
}
