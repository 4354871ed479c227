package check

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/mint"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// Claims are what a token would say. There is no token: nothing proves them, and they are judged as if something did.
type Claims struct {
	// JSON is an object. Of iss, aud, iat, exp and jti, those that are missing are filled in as the issuer's tokens have them; null
	// leaves one out.
	JSON []byte
	// Issuer is the name of the issuers whose token it would be. Empty: those with this iss, or the only one.
	Issuer string
}

// ClaimsReport says what was made of claims for which there is no token.
type ClaimsReport struct {
	// Issuers are those that were taken to have signed them: "corp of shop/orders".
	Issuers []string `json:"issuers"`
	// Filled are the names of claims that were missing and filled in.
	Filled []string `json:"filled,omitempty"`
}

// lifetime is that of a token whose exp is filled in.
const lifetime = 5 * time.Minute

// standIn makes a token of in.Claims and puts it into the request, and has the issuers that it is for take it: by a key that
// was made for it alone, unencrypted, and without proof of a key of the client's. All else is as in the policies. It changes set
// and in.
func (in *Input) standIn(set *manifest.Set) (*ClaimsReport, error) {
	claims, err := strictjson.Object(in.Claims.JSON)
	if err != nil {
		return nil, fmt.Errorf("the claims: want a JSON object, such as {\"sub\":\"alice\"}: %w", err)
	}
	chosen, ids, err := in.Claims.issuers(set, claims)
	if err != nil {
		return nil, err
	}
	key, err := standInKey()
	if err != nil {
		return nil, err
	}
	first := *chosen[0].issuer
	report := &ClaimsReport{Filled: fill(claims, &first, chosen[0].resource, in.Now)}
	in.standIns = map[string][]byte{}
	for i, c := range chosen {
		c.stripped()
		in.standIns[bundle.SourceID(c.namespace, *c.issuer)] = key.public
		report.Issuers = append(report.Issuers, ids[i])
	}
	if first.Proof != nil {
		delete(claims, "cnf") // no key is proved
	}
	payload, err := mint.Encode(claims)
	if err != nil {
		return nil, err
	}
	token, err := mint.Sign(payload, key.keys, mint.SignOptions{Header: map[string]any{"typ": typeOf(&first)}})
	if err != nil {
		return nil, err
	}
	return report, in.carry(token, first.Locations()[0])
}

// candidate is an issuer of a policy.
type candidate struct {
	issuer    *policy.Issuer
	resource  *policy.Resource
	namespace string
}

// stripped takes away what only a real token could satisfy. Keys of SPIFFE and Kubernetes say more of tokens than their keys.
func (c candidate) stripped() {
	is := c.issuer
	is.Decryption, is.Proof, is.Introspection, is.CASecretRef, is.Algorithms = nil, nil, nil, nil, nil
	if is.Keys.SPIFFE == nil && is.Keys.Kubernetes == nil {
		is.Keys = policy.KeySource{JWKSURL: "https://claims.invalid/"}
	}
}

// issuers finds those whose token it would be, with their names. There is at least one.
func (c *Claims) issuers(set *manifest.Set, claims map[string]any) (chosen []candidate, ids []string, err error) {
	iss, hasIss := claims["iss"].(string)
	var names []string
	find := func(fits func(*policy.Issuer) bool) {
		for i := range set.Policies {
			o := &set.Policies[i]
			for j := range o.Spec.Issuers {
				if is := &o.Spec.Issuers[j]; fits(is) {
					chosen = append(chosen, candidate{is, o.Spec.Resource, o.Namespace})
					ids = append(ids, is.Name+" of "+o.ID())
				}
			}
		}
	}
	find(func(is *policy.Issuer) bool {
		names = append(names, is.Name)
		return c.Issuer == is.Name || c.Issuer == "" && (!hasIss || is.Issuer == iss)
	})
	if len(chosen) == 0 && c.Issuer == "" {
		find(func(is *policy.Issuer) bool { return is.AnyIssuer })
	}
	return chosen, ids, c.nobody(names, iss, len(chosen))
}

// nobody says why there is no telling whose claims they are; nil if there is. names are those of all issuers.
func (c *Claims) nobody(names []string, iss string, chosen int) error {
	slices.Sort(names)
	names = slices.Compact(names)
	switch want := strings.Join(names, ", "); {
	case len(names) == 0:
		return errors.New("the claims: no policy has an issuer, so there are no tokens")
	case chosen == 0 && c.Issuer != "":
		return fmt.Errorf("the claims: no policy has an issuer with the name %q; want one of %s", c.Issuer, want)
	case chosen == 0:
		return fmt.Errorf("the claims: no policy has an issuer whose iss is %q; say whose they are: --issuer, one of %s", iss, want)
	case c.Issuer == "" && iss == "" && len(names) > 1:
		return fmt.Errorf("the claims: iss is missing, and there are several issuers; want iss, or --issuer, one of %s", want)
	}
	return nil
}

// fill adds what is missing, and takes away what is null; it returns the names of what it added.
func fill(claims map[string]any, is *policy.Issuer, resource *policy.Resource, now time.Time) (added []string) {
	missing := []struct {
		name  string
		value any
		known bool
	}{
		{"iss", is.Issuer, is.Issuer != ""},
		{"aud", audience(is, resource), !is.AnyAudience},
		{"iat", now.Unix(), true},
		{"exp", now.Add(lifetime).Unix(), true},
		{"jti", "claims-without-a-token", true},
	}
	for _, m := range missing {
		value, given := claims[m.name]
		switch {
		case given && value == nil:
			delete(claims, m.name)
		case !given && m.known:
			claims[m.name] = m.value
			added = append(added, m.name)
		}
	}
	return added
}

// audience is one that the issuer's tokens may have.
func audience(is *policy.Issuer, resource *policy.Resource) string {
	switch {
	case len(is.Audiences) > 0:
		return is.Audiences[0]
	case resource != nil:
		return resource.URL
	}
	return ""
}

// typeOf is a typ that the issuer's tokens may have.
func typeOf(is *policy.Issuer) string {
	switch typ := decision.ProfileType(is.Profile); {
	case typ != "":
		return typ
	case len(is.Types) > 0:
		return is.Types[0]
	}
	return "JWT"
}

// carry puts a token where it is looked for.
func (in *Input) carry(token string, at policy.TokenLocation) error {
	in.Header = in.Header.Clone()
	if in.Header == nil {
		in.Header = http.Header{}
	}
	switch {
	case at.Cookie != "":
		in.Header.Add("Cookie", at.Cookie+"="+token)
	case at.Query != "":
		separator := "?"
		if strings.Contains(in.Target, "?") {
			separator = "&"
		}
		in.Target += separator + url.QueryEscape(at.Query) + "=" + token
	case at.WebSocketProtocol != "":
		in.Header.Add("Sec-WebSocket-Protocol", at.WebSocketProtocol+", "+token)
	default:
		if in.Header.Get(at.Header) != "" {
			return fmt.Errorf("the claims: the request has %s already, where their token would be", at.Header)
		}
		in.Header.Set(at.Header, at.Prefix+token)
	}
	return nil
}

// signingKey is one that nobody else has.
type signingKey struct {
	keys   mint.Keys
	public []byte
}

// standInKey makes a key once.
var standInKey = sync.OnceValues(func() (signingKey, error) {
	keys, err := mint.NewKey(mint.KeyOptions{Algorithm: "ES256", ID: "claims"})
	if err != nil {
		return signingKey{}, err
	}
	half, err := keys.Public()
	if err != nil {
		return signingKey{}, err
	}
	public, err := half.JWKS()
	return signingKey{keys, public}, err
})
