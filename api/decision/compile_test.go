package decision_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/policy"
)

// fieldErrors returns the field paths of all problems, or fails if an error is none of a field.
func fieldErrors(t testing.TB, err error) []*decision.FieldError {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T joins no errors", err)
	}
	var out []*decision.FieldError
	for _, e := range joined.Unwrap() {
		var f *decision.FieldError
		if !errors.As(e, &f) {
			t.Fatalf("%v is no FieldError", e)
		}
		out = append(out, f)
	}
	return out
}

// TestCompileRefuses puts one wrong field into a good policy and wants the error to name it, and nothing else.
func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	issuer := func(fields string) string {
		return "issuers: [{name: corp, issuer: https://corp.example, audiences: [orders], keys: {kubernetes: {}}, " + fields + "}]"
	}
	keys := func(fields string) string {
		return "issuers: [{name: corp, issuer: https://corp.example, audiences: [orders], keys: {" + fields + "}}]"
	}
	rule := func(fields string) string { return corp + "rules: [{name: r, " + fields + "}]" }
	match := func(fields string) string { return rule("allow: {authenticated: true}, match: [{" + fields + "}]") }
	claim := func(fields string) string { return rule("allow: {claims: [{" + fields + "}]}") }
	when := func(text string) string {
		return corp + "rules: [{name: r, match: [{paths: ['/u/{user}/{id}']}, {paths: ['/v/{user}']}], allow: {when: '" + text + "'}}]"
	}
	tests := map[string]struct {
		spec, path, says string
	}{
		"an unknown mode":            {"mode: Warn", "spec.mode", "Enforce or Audit"},
		"an unknown paths.forward":   {"paths: {forward: Raw}", "spec.paths.forward", "Canonical or AsSent"},
		"an unknown encodedSlash":    {"paths: {encodedSlash: Maybe}", "spec.paths.encodedSlash", "Refuse or Keep"},
		"an empty list of issuers":   {"issuers: []", "spec.issuers", "left out"},
		"an empty list of rules":     {"rules: []", "spec.rules", "left out"},
		"too many issuers":           {"issuers: [" + many(17, "{name: i%d, issuer: 'https://a', anyAudience: true, keys: {kubernetes: {}}}") + "]", "spec.issuers", "at most 16"},
		"too many rules":             {"rules: [" + many(257, "{name: r%d, deny: {}}") + "]", "spec.rules", "at most 256"},
		"an issuer without a name":   {"issuers: [{issuer: 'https://a', anyAudience: true, keys: {kubernetes: {}}}]", "spec.issuers[0].name", "is no name"},
		"two issuers of one name":    {"issuers: [" + many(2, "{name: same, issuer: 'https://a%d', anyAudience: true, keys: {kubernetes: {}}}") + "]", "spec.issuers[1].name", "unique"},
		"neither issuer nor any":     {"issuers: [{name: a, anyAudience: true, keys: {kubernetes: {}}}]", "spec.issuers[0].issuer", "exactly one"},
		"both issuer and any":        {issuer("anyIssuer: true"), "spec.issuers[0].issuer", "exactly one"},
		"neither audiences nor any":  {"issuers: [{name: a, issuer: 'https://a', keys: {kubernetes: {}}}]", "spec.issuers[0].audiences", "exactly one"},
		"both audiences and any":     {issuer("anyAudience: true"), "spec.issuers[0].audiences", "exactly one"},
		"an empty list of audiences": {"issuers: [{name: a, issuer: 'https://a', audiences: [], keys: {kubernetes: {}}}]", "spec.issuers[0].audiences", "left out"},
		"an empty audience":          {"issuers: [{name: a, issuer: 'https://a', audiences: [''], keys: {kubernetes: {}}}]", "spec.issuers[0].audiences[0]", "is empty"},
		"an audience that comes twice": {"issuers: [{name: a, issuer: 'https://a', audiences: [x, x], keys: {kubernetes: {}}}]",
			"spec.issuers[0].audiences[1]", "same as entry 0"},
		"no keys":                       {keys(""), "spec.issuers[0].keys", "exactly one of jwksURL"},
		"two sources of keys":           {keys("kubernetes: {}, jwksURL: 'https://a/jwks'"), "spec.issuers[0].keys", "has 2"},
		"a jwksURL of no scheme":        {keys("jwksURL: login.example/jwks"), "spec.issuers[0].keys.jwksURL", "https URL"},
		"a jwksURL of a file":           {keys("jwksURL: 'file:///etc/passwd'"), "spec.issuers[0].keys.jwksURL", `scheme "file"`},
		"a jwksURL with a password":     {keys("jwksURL: 'https://u:p@a/jwks'"), "spec.issuers[0].keys.jwksURL", "user information"},
		"a jwksURL with a fragment":     {keys("jwksURL: 'https://a/jwks#x'"), "spec.issuers[0].keys.jwksURL", "fragment"},
		"a jwksURL without host":        {keys("jwksURL: 'https:///jwks'"), "spec.issuers[0].keys.jwksURL", "host"},
		"discovery of an odd URL":       {keys("discovery: {url: 'ftp://a'}"), "spec.issuers[0].keys.discovery.url", "scheme"},
		"discovery of an opaque issuer": {"issuers: [{name: a, issuer: corp, anyAudience: true, keys: {discovery: {}}}]", "spec.issuers[0].issuer", "discovery"},
		"discovery of any issuer":       {"issuers: [{name: a, anyIssuer: true, anyAudience: true, keys: {discovery: {}}}]", "spec.issuers[0].keys.discovery", "anyIssuer"},
		"inline keys of garbage":        {keys("jwks: 'garbage'"), "spec.issuers[0].keys.jwks", "JWK Set"},
		"inline keys without keys":      {keys(`jwks: '{"keys":[]}'`), "spec.issuers[0].keys.jwks", "0 keys"},
		"an inline private key":         {keys(`jwks: '{"keys":[{"kty":"RSA","d":"x"}]}'`), "spec.issuers[0].keys.jwks", "keys[0] is private"},
		"an inline symmetric key":       {keys(`jwks: '{"keys":[{"kty":"oct","k":"x"}]}'`), "spec.issuers[0].keys.jwks", "symmetric"},
		"a secretRef without name":      {keys("secretRef: {key: jwks}"), "spec.issuers[0].keys.secretRef.name", "name of an object"},
		"a secretRef without key":       {keys("secretRef: {name: corp}"), "spec.issuers[0].keys.secretRef.key", "key of the object"},
		"a configMapRef with a path":    {keys("configMapRef: {name: ../x, key: jwks}"), "spec.issuers[0].keys.configMapRef.name", "name of an object"},
		"an unknown format":             {keys("configMapRef: {name: a, key: b, format: DER}"), "spec.issuers[0].keys.configMapRef.format", `"DER" is no format; want one of Auto, JWKS, PEM`},
		"a secret in a ConfigMap":       {keys("configMapRef: {name: a, key: b, format: HMAC}"), "spec.issuers[0].keys.configMapRef.format", "use keys.secretRef"},
		"a secret with no use for it":   {keys("secretRef: {name: a, key: b, format: HMAC}"), "spec.issuers[0].keys.secretRef.format", "algorithms list no HMAC"},
		"a secret beside RSA alone":     {"issuers: [{name: corp, issuer: https://corp.example, audiences: [orders], keys: {secretRef: {name: a, key: b, format: HMAC}}, algorithms: [RS256]}]", "spec.issuers[0].keys.secretRef.format", "algorithms with HS256"},
		"PEM for HMAC alone":            {"issuers: [{name: corp, issuer: https://corp.example, audiences: [orders], keys: {secretRef: {name: a, key: b, format: PEM}}, algorithms: [HS256]}]", "spec.issuers[0].keys.secretRef.format", "PEM, which holds no secret"},
		"an HMAC secret to decrypt":     {issuer("decryption: {secretRef: {name: a, key: b, format: HMAC}}"), "spec.issuers[0].decryption.secretRef.format", "a decryption key signs nothing"},
		"a CA as a JWK Set":             {keys("discovery: {}}, caSecretRef: {name: a, key: b, format: JWKS"), "spec.issuers[0].caSecretRef.format", "certificates to trust are PEM; want one of Auto, PEM"},
		"a caSecretRef for nothing":     {issuer("caSecretRef: {name: a, key: b}"), "spec.issuers[0].caSecretRef", "nothing is fetched"},
		"an empty list of algorithms":   {issuer("algorithms: []"), "spec.issuers[0].algorithms", "left out"},
		"the algorithm none":            {issuer("algorithms: [none]"), "spec.issuers[0].algorithms[0]", "want one of RS256, RS384"},
		"HMAC with public keys":         {issuer("algorithms: [HS256]"), "spec.issuers[0].algorithms[0]", "keys.secretRef"},
		"an algorithm that comes twice": {issuer("algorithms: [RS256, RS256]"), "spec.issuers[0].algorithms[1]", "same"},
		"no such key algorithm":         {issuer("decryption: {secretRef: {name: a, key: b}, keyAlgorithms: [RSA1_5]}"), "spec.issuers[0].decryption.keyAlgorithms[0]", "one of RSA-OAEP, RSA-OAEP-256, ECDH-ES"},
		"a password as a key algorithm": {issuer("decryption: {secretRef: {name: a, key: b}, keyAlgorithms: [PBES2-HS256+A128KW]}"), "spec.issuers[0].decryption.keyAlgorithms[0]", "no algorithm"},
		"an enc as a key algorithm":     {issuer("decryption: {secretRef: {name: a, key: b}, keyAlgorithms: [dir, A256GCM]}"), "spec.issuers[0].decryption.keyAlgorithms[1]", "no algorithm"},
		"no key algorithms":             {issuer("decryption: {secretRef: {name: a, key: b}, keyAlgorithms: []}"), "spec.issuers[0].decryption.keyAlgorithms", "left out"},
		"a key algorithm twice":         {issuer("decryption: {secretRef: {name: a, key: b}, keyAlgorithms: [dir, dir]}"), "spec.issuers[0].decryption.keyAlgorithms[1]", "same"},
		"no such content algorithm":     {issuer("decryption: {secretRef: {name: a, key: b}, contentAlgorithms: [a256gcm]}"), "spec.issuers[0].decryption.contentAlgorithms[0]", "one of A128GCM, A192GCM, A256GCM"},
		"no content algorithms":         {issuer("decryption: {secretRef: {name: a, key: b}, contentAlgorithms: []}"), "spec.issuers[0].decryption.contentAlgorithms", "left out"},
		"an empty type":                 {issuer("types: ['']"), "spec.issuers[0].types[0]", "is empty"},
		"an empty list of places":       {issuer("from: []"), "spec.issuers[0].from", "left out"},
		"a place that is none":          {issuer("from: [{}]"), "spec.issuers[0].from[0]", "exactly one of header"},
		"a place that is two":           {issuer("from: [{header: X, cookie: y}]"), "spec.issuers[0].from[0]", "has 2 places"},
		"a prefix without header":       {issuer("from: [{cookie: x, prefix: a}]"), "spec.issuers[0].from[0].prefix", "header only"},
		"a header with an underscore":   {issuer("from: [{header: X_Token}]"), "spec.issuers[0].from[0].header", "header name"},
		"a header of the framing":       {issuer("from: [{header: Content-Length}]"), "spec.issuers[0].from[0].header", "message itself"},
		"a cookie with a space":         {issuer("from: [{cookie: 'a b'}]"), "spec.issuers[0].from[0].cookie", "cookie name"},
		"a query with an ampersand":     {issuer("from: [{query: 'a&b'}]"), "spec.issuers[0].from[0].query", "parameter name"},
		"a subprotocol with a comma":    {issuer("from: [{webSocketProtocol: 'a,b'}]"), "spec.issuers[0].from[0].webSocketProtocol", "subprotocol"},
		"two equal places":              {issuer("from: [{query: a}, {query: a}]"), "spec.issuers[0].from[1]", "same"},
		"decryption without name":       {issuer("decryption: {secretRef: {key: a}}"), "spec.issuers[0].decryption.secretRef.name", "name"},
		"a required claim of nothing":   {issuer("requiredClaims: [a..b]"), "spec.issuers[0].requiredClaims[0]", "claim path"},
		"a clockSkew above 5m":          {issuer("clockSkew: 5m1s"), "spec.issuers[0].clockSkew", "0s to 5m"},
		"a clockSkew below 0":           {issuer("clockSkew: -1s"), "spec.issuers[0].clockSkew", "0s to 5m"},
		"a maxAge of 0":                 {issuer("maxAge: 0s"), "spec.issuers[0].maxAge", "positive"},

		"a rule without a name":                 {corp + "rules: [{allow: {authenticated: true}}]", "spec.rules[0].name", "is no name"},
		"a rule's name in upper case":           {corp + "rules: [{name: Read, allow: {authenticated: true}}]", "spec.rules[0].name", "a-z"},
		"two rules of one name":                 {corp + "rules: [{name: r, allow: {authenticated: true}}, {name: r, deny: {}}]", "spec.rules[1].name", "unique"},
		"neither allow nor deny":                {corp + "rules: [{name: r}]", "spec.rules[0]", "exactly one of allow, deny"},
		"both allow and deny":                   {rule("allow: {authenticated: true}, deny: {}"), "spec.rules[0]", "exactly one of allow, deny"},
		"an empty list of matches":              {rule("allow: {authenticated: true}, match: []"), "spec.rules[0].match", "left out"},
		"an empty match":                        {match(""), "spec.rules[0].match[0]", "at least one of hosts, paths"},
		"an empty list of hosts":                {match("hosts: []"), "spec.rules[0].match[0].hosts", "left out"},
		"a host with a port":                    {match("hosts: ['a.example:80']"), "spec.rules[0].match[0].hosts[0]", "without port"},
		"a host that is a star":                 {match("hosts: ['*']"), "spec.rules[0].match[0].hosts[0]", "is no host"},
		"a host with a star inside":             {match("hosts: ['a.*.example']"), "spec.rules[0].match[0].hosts[0]", "is no host"},
		"an empty host":                         {match("hosts: ['']"), "spec.rules[0].match[0].hosts[0]", "is empty"},
		"an empty list of paths":                {match("paths: []"), "spec.rules[0].match[0].paths", "left out"},
		"an empty path":                         {match("paths: ['']"), "spec.rules[0].match[0].paths[0]", "is empty"},
		"a path without slash":                  {match("paths: [orders]"), "spec.rules[0].match[0].paths[0]", "start with a slash"},
		"a path of two stars in a segment":      {match("paths: ['/a*b*']"), "spec.rules[0].match[0].paths[0]", "one * in it"},
		"a path of ** in a segment":             {match("paths: ['/a**']"), "spec.rules[0].match[0].paths[0]", "one * in it"},
		"a path with ** twice":                  {match("paths: ['/**/a/{**}']"), "spec.rules[0].match[0].paths[0]", "one ** a template"},
		"a capture in a part of a segment":      {match("paths: ['/{a}.json']"), "spec.rules[0].match[0].paths[0]", "whole segment"},
		"a pattern of an escaped slash":         {match("paths: ['/a%2F*']"), "spec.rules[0].match[0].paths[0]", "encoded slash"},
		"a pattern of half a character":         {match("paths: ['/%C3*']"), "spec.rules[0].match[0].paths[0]", "not UTF-8"},
		"a name that is not to fit":             {match("notPaths: ['/a/{x}']"), "spec.rules[0].match[0].notPaths[0]", "nothing to capture"},
		"an empty list of notPaths":             {match("notPaths: []"), "spec.rules[0].match[0].notPaths", "left out"},
		"an empty list of notHosts":             {match("notHosts: []"), "spec.rules[0].match[0].notHosts", "left out"},
		"a notHost with a port":                 {match("notHosts: ['a.example:80']"), "spec.rules[0].match[0].notHosts[0]", "without port"},
		"an empty list of notMethods":           {match("notMethods: []"), "spec.rules[0].match[0].notMethods", "left out"},
		"a notMethod in lower case":             {match("notMethods: [get]"), "spec.rules[0].match[0].notMethods[0]", "upper case"},
		"an empty list of notPorts":             {match("notPorts: []"), "spec.rules[0].match[0].notPorts", "left out"},
		"a notPort of 0":                        {match("notPorts: [0]"), "spec.rules[0].match[0].notPorts[0]", "1 to 65535"},
		"an empty list of remoteIPs":            {match("remoteIPs: []"), "spec.rules[0].match[0].remoteIPs", "left out"},
		"an empty remote IP":                    {match("remoteIPs: ['']"), "spec.rules[0].match[0].remoteIPs[0]", "is empty"},
		"a remote IP that is a name":            {match("remoteIPs: [localhost]"), "spec.rules[0].match[0].remoteIPs[0]", "10.0.0.0/8"},
		"a block with bits to spare":            {match("remoteIPs: [10.1.2.3/8]"), "spec.rules[0].match[0].remoteIPs[0]", "10.0.0.0/8 or 10.1.2.3"},
		"an IPv4 block in IPv6":                 {match("remoteIPs: ['::ffff:10.0.0.0/104']"), "spec.rules[0].match[0].remoteIPs[0]", "10.0.0.0"},
		"an address with a zone":                {match("notRemoteIPs: ['fe80::1%eth0']"), "spec.rules[0].match[0].notRemoteIPs[0]", "no address"},
		"a block that comes twice":              {match("notRemoteIPs: ['::/0', '::/0']"), "spec.rules[0].match[0].notRemoteIPs[1]", "same"},
		"a header of a pattern and exists":      {match("headers: [{name: X-A, exists: true, patterns: ['a*']}]"), "spec.rules[0].match[0].headers[0]", "exactly one"},
		"a header absent and not a value":       {match("headers: [{name: X-A, exists: false, notValues: [a]}]"), "spec.rules[0].match[0].headers[0]", "exists: false alone"},
		"a header without patterns":             {match("headers: [{name: X-A, patterns: []}]"), "spec.rules[0].match[0].headers[0].patterns", "left out"},
		"a header's empty pattern":              {match("headers: [{name: X-A, patterns: ['']}]"), "spec.rules[0].match[0].headers[0].patterns[0]", "is empty"},
		"a header's pattern of two stars":       {match("headers: [{name: X-A, notPatterns: ['a*b*']}]"), "spec.rules[0].match[0].headers[0].notPatterns[0]", "has 2 *"},
		"a header without notValues":            {match("headers: [{name: X-A, notValues: []}]"), "spec.rules[0].match[0].headers[0].notValues", "left out"},
		"an empty list of patterns":             {claim("claim: a, patterns: []"), "spec.rules[0].allow.claims[0].patterns", "left out"},
		"an empty pattern":                      {claim("claim: a, notPatterns: ['']"), "spec.rules[0].allow.claims[0].notPatterns[0]", "is empty"},
		"a pattern of two stars":                {claim("claim: a, patterns: ['*a*']"), "spec.rules[0].allow.claims[0].patterns[0]", "has 2 *"},
		"patterns beside anyOf":                 {claim("claim: a, patterns: ['a*'], anyOf: [b]"), "spec.rules[0].allow.claims[0]", "has 2 operators"},
		"a body of nothing":                     {rule("allow: {authenticated: true, maxBody: '0'}"), "spec.rules[0].allow.maxBody", `such as "10Mi"`},
		"an unknown onExpiry":                   {"streams: {onExpiry: Drop}", "spec.streams.onExpiry", "Keep or Close"},
		"a path with an open brace":             {match("paths: ['/{a']"), "spec.rules[0].match[0].paths[0]", "whole segment"},
		"a capture of no name":                  {match("paths: ['/{}']"), "spec.rules[0].match[0].paths[0]", "a name of letters"},
		"a capture with a dash":                 {match("paths: ['/{user-id}']"), "spec.rules[0].match[0].paths[0]", "a name of letters"},
		"a capture of a reserved word":          {match("paths: ['/{in}']"), "spec.rules[0].match[0].paths[0]", "reserved word"},
		"a capture that comes twice":            {match("paths: ['/{a}/{a}']"), "spec.rules[0].match[0].paths[0]", "twice"},
		"a path with a query":                   {match("paths: ['/a?b=c']"), "spec.rules[0].match[0].paths[0]", "without query"},
		"a path with two slashes":               {match("paths: ['/a//b']"), "spec.rules[0].match[0].paths[0]", "empty segment"},
		"a path with a dot segment":             {match("paths: ['/a/./b']"), "spec.rules[0].match[0].paths[0]", "dot segment"},
		"a path with two dots":                  {match("paths: ['/a/../b']"), "spec.rules[0].match[0].paths[0]", "dot segment"},
		"a path with escaped dots":              {match("paths: ['/a/%2e%2e/b']"), "spec.rules[0].match[0].paths[0]", "dot segment"},
		"a path with an escaped slash":          {match("paths: ['/a%2Fb']"), "spec.rules[0].match[0].paths[0]", "encoded slash"},
		"a path of many segments":               {match("paths: ['" + strings.Repeat("/a", 65) + "']"), "spec.rules[0].match[0].paths[0]", "at most 64"},
		"a path that is too long":               {match("paths: ['/" + strings.Repeat("a", 1024) + "']"), "spec.rules[0].match[0].paths[0]", "at most 1024"},
		"an empty list of methods":              {match("methods: []"), "spec.rules[0].match[0].methods", "left out"},
		"a method in lower case":                {match("methods: [get]"), "spec.rules[0].match[0].methods[0]", "upper case"},
		"a method that comes twice":             {match("methods: [GET, GET]"), "spec.rules[0].match[0].methods[1]", "same"},
		"a port of 0":                           {match("ports: [0]"), "spec.rules[0].match[0].ports[0]", "1 to 65535"},
		"a port of 65536":                       {match("ports: [65536]"), "spec.rules[0].match[0].ports[0]", "1 to 65535"},
		"an empty list of headers":              {match("headers: []"), "spec.rules[0].match[0].headers", "left out"},
		"a header without name":                 {match("headers: [{exists: true}]"), "spec.rules[0].match[0].headers[0].name", "header name"},
		"a header without condition":            {match("headers: [{name: X-A}]"), "spec.rules[0].match[0].headers[0]", "exactly one of exists, values"},
		"a header with two conditions":          {match("headers: [{name: X-A, exists: true, values: [a]}]"), "spec.rules[0].match[0].headers[0]", "exactly one"},
		"a header without values":               {match("headers: [{name: X-A, values: []}]"), "spec.rules[0].match[0].headers[0].values", "left out"},
		"the host as a header":                  {match("headers: [{name: host, values: [a]}]"), "spec.rules[0].match[0].headers[0].name", "hosts"},
		"a header that comes twice":             {match("headers: [{name: X-A, exists: true}, {name: x-a, exists: true}]"), "spec.rules[0].match[0].headers[1].name", "twice"},
		"anonymous with scopes":                 {rule("allow: {anonymous: true, scopes: [a]}"), "spec.rules[0].allow.anonymous", "alone or with when"},
		"an allow rule that says nothing":       {rule("allow: {}"), "spec.rules[0].allow", "authenticated: true for any valid token"},
		"authenticated: false":                  {rule("allow: {authenticated: false}"), "spec.rules[0].allow", "says nothing of who is allowed"},
		"maxBody alone":                         {rule("allow: {maxBody: 1Ki}"), "spec.rules[0].allow", "says nothing of who is allowed"},
		"authenticated beside anonymous":        {rule("allow: {authenticated: true, anonymous: true}"), "spec.rules[0].allow.authenticated", "one of the two"},
		"ignoreToken without anonymous":         {rule("allow: {ignoreToken: true}"), "spec.rules[0].allow.ignoreToken", "anonymous: true beside it"},
		"ignoreToken with scopes":               {rule("allow: {ignoreToken: true, scopes: [a]}"), "spec.rules[0].allow.ignoreToken", "anonymous: true beside it"},
		"a token of no issuer":                  {"rules: [{name: r, allow: {authenticated: true}}]", "spec.rules[0].allow", "no issuers"},
		"an unknown issuer":                     {rule("allow: {issuers: [crop]}"), "spec.rules[0].allow.issuers[0]", "one of corp, partner"},
		"an unknown issuer under deny":          {rule("deny: {issuers: [crop]}"), "spec.rules[0].deny.issuers[0]", "one of corp, partner"},
		"an empty list under allow":             {rule("allow: {issuers: []}"), "spec.rules[0].allow.issuers", "left out"},
		"an empty list of subjects":             {rule("deny: {subjects: []}"), "spec.rules[0].deny.subjects", "left out"},
		"an empty subject":                      {rule("allow: {subjects: ['']}"), "spec.rules[0].allow.subjects[0]", "is empty"},
		"an empty list of scopes":               {rule("allow: {scopes: []}"), "spec.rules[0].allow.scopes", "left out"},
		"a scope that is two":                   {rule("allow: {scopes: ['a b']}"), "spec.rules[0].allow.scopes[0]", "RFC 6749"},
		"an empty list of claims":               {rule("allow: {claims: []}"), "spec.rules[0].allow.claims", "left out"},
		"a claim without path":                  {claim("exists: true"), "spec.rules[0].allow.claims[0].claim", "claim path"},
		"a claim without operator":              {claim("claim: a"), "spec.rules[0].allow.claims[0]", "has 0 operators"},
		"a claim with two operators":            {claim("claim: a, exists: true, equals: b"), "spec.rules[0].allow.claims[0]", "has 2 operators"},
		"an empty anyOf":                        {claim("claim: a, anyOf: []"), "spec.rules[0].allow.claims[0].anyOf", "left out"},
		"an empty allOf":                        {claim("claim: a, allOf: []"), "spec.rules[0].allow.claims[0].allOf", "left out"},
		"an empty noneOf":                       {claim("claim: a, noneOf: []"), "spec.rules[0].allow.claims[0].noneOf", "left out"},
		"a value that is too long":              {claim("claim: a, equals: " + strings.Repeat("x", 1025)), "spec.rules[0].allow.claims[0].equals", "at most 1024"},
		"a pattern that is none":                {claim("claim: a, matches: '('"), "spec.rules[0].allow.claims[0].matches", "RE2"},
		"a pattern that ends its group":         {claim("claim: a, matches: 'a)|(b'"), "spec.rules[0].allow.claims[0].matches", "RE2"},
		"a pattern of lookahead":                {claim("claim: a, matches: '(?=a)'"), "spec.rules[0].allow.claims[0].matches", "RE2"},
		"a pattern that is too large":           {claim("claim: a, matches: '(abcdefghij){300}'"), "spec.rules[0].allow.claims[0].matches", "fewer repetitions"},
		"a pattern that is too long":            {claim("claim: a, matches: " + strings.Repeat("x", 513)), "spec.rules[0].allow.claims[0].matches", "at most 512"},
		"an expression that is none":            {when("claims."), "spec.rules[0].allow.when", "line 1, column"},
		"an expression of no bool":              {when("path.user"), "spec.rules[0].allow.when", "type bool"},
		"an unknown variable":                   {when("token.sub == claims.sub"), "spec.rules[0].allow.when", "undeclared reference"},
		"an unknown capture":                    {when("path.name == claims.sub"), "spec.rules[0].allow.when", "path.user"},
		"a capture of one entry only":           {when("path.id == claims.sub"), "spec.rules[0].allow.when", "all of the rule's paths have: path.user"},
		"a capture compared with an int":        {when("path.user == 7"), "spec.rules[0].allow.when", "no matching overload"},
		"an unknown field of request":           {when("request.body == \"\""), "spec.rules[0].allow.when", "undeclared"},
		"headers as a whole":                    {when("request.headers.all(h, true)"), "spec.rules[0].allow.when", "request.headers"},
		"a computed pattern":                    {when("path.user.matches(claims.re)"), "spec.rules[0].allow.when", "literal"},
		"a pattern of CEL that is none":         {when("path.user.matches(\"(\")"), "spec.rules[0].allow.when", "error parsing regexp"},
		"a pattern of CEL too large":            {when("path.user.matches(\"(abcdefghij){300}\")"), "spec.rules[0].allow.when", "fewer repetitions"},
		"an expression that costs much":         {when("claims.a.all(x, claims.b.all(y, claims.c.all(z, x == y && y == z)))"), "spec.rules[0].allow.when", "costs too much"},
		"an expression that formats":            {when("\"%s\".format([claims.sub]) == \"a\""), "spec.rules[0].allow.when", "format"},
		"an expression that doubles texts":      {when("[claims.sub]" + strings.Repeat(".map(x, x + x)", 9) + " == []"), "spec.rules[0].allow.when", "larger values"},
		"an expression that doubles lists":      {when("[[1]]" + strings.Repeat(".map(x, [x, x])", 9) + ".all(x, x == x)"), "spec.rules[0].allow.when", "larger values"},
		"an expression that joins":              {when("[claims.sub]" + strings.Repeat(".map(x, [x, x].join())", 9) + " == []"), "spec.rules[0].allow.when", "larger values"},
		"an expression that joins with much":    {when("[claims.a, claims.b].join(claims.c).replace(\"a\", \"" + strings.Repeat("x", 300) + "\") == \"\""), "spec.rules[0].allow.when", "larger values"},
		"an expression that replaces in macros": {when("[claims.sub]" + strings.Repeat(".map(x, x.replace(\"a\", \"aa\"))", 9) + " == []"), "spec.rules[0].allow.when", "larger values"},
		"an expression that is too long":        {when("true" + strings.Repeat(" && true", 600)), "spec.rules[0].allow.when", "at most 4096"},
		"an expression too deep":                {when(strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200)), "spec.rules[0].allow.when", "recursion"},
		"forward of an unknown kind":            {"forward: {token: Drop}", "spec.forward.token", "Keep or Strip"},
		"an empty list of identity":             {"forward: {headers: []}", "spec.forward.headers", "left out"},
		"an identity header of no name":         {"forward: {headers: [{name: X_User, claim: sub}]}", "spec.forward.headers[0].name", "header name"},
		"an identity header of framing":         {"forward: {headers: [{name: transfer-encoding, claim: sub}]}", "spec.forward.headers[0].name", "message itself"},
		"an identity header of a request's id":  {"forward: {headers: [{name: x-request-id, claim: sub}]}", "spec.forward.headers[0].name", "by the sidecar itself; want a header of its own"},
		"mcp that says nothing":                 {"rules: [{name: r, match: [{paths: [/a], mcp: {}}], deny: {}}]", "spec.rules[0].match[0].mcp", "is empty; want methods, names or responses: true"},
		"mcp of no methods":                     {"rules: [{name: r, match: [{mcp: {methods: []}}], deny: {}}]", "spec.rules[0].match[0].mcp.methods", "is empty"},
		"an MCP method with two stars":          {"rules: [{name: r, match: [{mcp: {methods: ['*/*']}}], deny: {}}]", "spec.rules[0].match[0].mcp.methods[0]", "at most one *"},
		"a long MCP method":                     {"rules: [{name: r, match: [{mcp: {methods: [" + strings.Repeat("a", 129) + "]}}], deny: {}}]", "spec.rules[0].match[0].mcp.methods[0]", "at most 128"},
		"an MCP name twice":                     {"rules: [{name: r, match: [{mcp: {names: [a, a]}}], deny: {}}]", "spec.rules[0].match[0].mcp.names[1]", "same"},
		"an identity header of an address":      {"forward: {payloadHeader: X-Real-IP}", "spec.forward.payloadHeader", "by the sidecar itself; want a header of its own"},
		"an identity header of a host":          {"forward: {headers: [{name: X-Forwarded-Host, claim: sub}]}", "spec.forward.headers[0].name", "by the sidecar itself"},
		"an identity header of another method":  {"forward: {headers: [{name: X-HTTP-Method-Override, claim: sub}]}", "spec.forward.headers[0].name", "take the request for another one"},
		"tokens where the user is told":         {"issuers: [{name: a, issuer: b, anyAudience: true, keys: {kubernetes: {}}, from: [{header: X-Forwarded-User}]}]", "spec.issuers[0].from[0].header", "by the sidecar itself"},
		"the identity header of tokens":         {"forward: {headers: [{name: Authorization, claim: sub}]}", "spec.forward.headers[0].name", "header of tokens"},
		"an identity header comes twice":        {"forward: {headers: [{name: X-A, claim: sub}, {name: x-a, claim: sub}]}", "spec.forward.headers[1].name", "another identity header"},
		"an identity header of no claim":        {"forward: {headers: [{name: X-A}]}", "spec.forward.headers[0].claim", "claim path"},
		"an identity header of no format":       {"forward: {headers: [{name: X-A, claim: sub, format: XML}]}", "spec.forward.headers[0].format", "String, CSV or JSON"},
		"a payload header of framing":           {"forward: {payloadHeader: Host}", "spec.forward.payloadHeader", "message itself"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := compileBoth(t, []decision.Policy{parse(t, "a", test.spec)})
			if err == nil || p != nil {
				t.Fatalf("Compile: %v, %v; want an error at %s", p, err, test.path)
			}
			for _, e := range fieldErrors(t, err) {
				if e.Policy != "shop/a" || e.Path != test.path {
					t.Errorf("an error at %s %s, want it at %s alone: %v", e.Policy, e.Path, test.path, e)
				}
				if strings.ContainsAny(e.Error(), "\n\r") || e.Problem == "" {
					t.Errorf("%q is not one line that says something", e)
				}
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v; want it to say %q", err, test.says)
			}
		})
	}
}

func many(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = format
		if strings.Contains(format, "%d") {
			parts[i] = fmt.Sprintf(format, i)
		}
	}
	return strings.Join(parts, ", ")
}

func TestCompileTakes(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"nothing at all":                 "",
		"every field of an issuer":       "issuers: [{name: a, issuer: 'https://a', audiences: [x], keys: {secretRef: {name: a, key: b}}, algorithms: [HS256, RS256], types: [at+jwt], from: [{header: Authorization, prefix: 'Bearer '}, {cookie: s}, {query: q}, {webSocketProtocol: bearer}], decryption: {secretRef: {name: a, key: b}, allowUnsigned: true}, requiredClaims: [sub], clockSkew: 5m, maxAge: 1h, allowMissingExp: true}]",
		"a URL with a CA":                "issuers: [{name: a, issuer: x, anyAudience: true, keys: {jwksURL: 'https://a/k?x=1'}, caSecretRef: {name: a, key: b}}]",
		"an inline key":                  `issuers: [{name: a, issuer: x, anyAudience: true, keys: {jwks: '{"keys":[{"kty":"RSA","n":"x","e":"AQAB"}]}'}}]`,
		"targets as they were sent":      "paths: {forward: AsSent, encodedSlash: Keep}\nrules: [{name: r, match: [{paths: ['/a%2fb', '/a;v=*']}], deny: {}}]",
		"a slash that is kept":           "paths: {encodedSlash: Keep}\nrules: [{name: r, match: [{paths: ['/a%2fb']}], deny: {}}]",
		"anonymous with when":            "rules: [{name: r, allow: {anonymous: true, when: 'request.method == \"GET\"'}}]",
		"all of CEL":                     corp + `rules: [{name: r, match: [{paths: ['/{x}']}], allow: {when: 'path.x != "" && has(claims.a) && claims.list.exists(e, e == "a") && request.headers["x"].startsWith("a") && "y" in request.headers && has(request.headers.z) && request.query["q"][0] == "1" && request.port == 80 && cidr("10.0.0.0/8").containsIP(ip(request.remoteIP)) && sets.contains(claims.list, ["a"]) && claims.scope.split(" ").exists(s, s == "a") && issuer == "b" && now > timestamp("2020-01-01T00:00:00Z") && path.x.matches("^[a-z]{1,20}$") && claims.n > 3 && request.path.lowerAscii() == "/a"'}}]`,
		"256 rules":                      "rules: [" + many(256, "{name: r%d, deny: {}}") + "]",
		"headers of oauth2-proxy":        "forward: {headers: [{name: X-Forwarded-User, claim: sub}, {name: X-Forwarded-Email, claim: email}, {name: X-Forwarded-Groups, claim: groups, format: CSV}, {name: X-Forwarded-Preferred-Username, claim: name}, {name: X-Auth-Request-User, claim: sub}]}",
		"identity headers":               "forward: {token: Strip, headers: [{name: X-User, claim: sub}, {name: X-R, claim: a.b, format: CSV}], payloadHeader: X-P}",
		"every way to match":             "rules: [{name: r, match: [{notHosts: ['*.a'], notPaths: ['/a/{*}/b*/{**}/*.c'], notMethods: [GET], notPorts: [1], remoteIPs: [10.0.0.0/8, '::1'], notRemoteIPs: [10.1.0.0/16], headers: [{name: a, values: ['', b], patterns: ['c*', d]}, {name: b, exists: true, notValues: [''], notPatterns: ['*']}]}], allow: {anonymous: true, maxBody: 10Mi}}]",
		"a policy of every other field":  "streams: {onExpiry: Close}\npaths: {encodedSlash: Refuse}",
		"macros one after the other":     corp + `rules: [{name: r, allow: {when: 'claims.a.filter(x, x != "a").map(x, x + ":" + x).exists(x, x.replace("-", "_") in ["a", "b"]) && claims.b.split(",").map(x, x.trim().lowerAscii()).join("-") != ""'}}]`,
		"the client's certificate":       "rules: [{name: r, allow: {anonymous: true, when: 'request.tls.subject == \"CN=a\" && \"spiffe://a/b\" in request.tls.san && request.tls.san.exists(s, s.startsWith(\"spiffe://\"))'}}]",
		"a capture behind **":            corp + "rules: [{name: r, match: [{paths: ['/a/**/{x}/b', '/{x}/**']}], allow: {when: 'path.x == issuer'}}]",
		"a capture shared by all":        corp + "rules: [{name: r, match: [{paths: ['/a/{x}', '/b/{y}/{x}']}, {paths: ['/{x}']}], allow: {when: 'path.x == issuer'}}]",
		"a captured name beside another": corp + "rules: [{name: r, match: [{paths: ['/{claims}/{now}']}], allow: {when: 'path.claims == path.now'}}]",
	}
	for name, spec := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compile(t, spec)
		})
	}
}

func TestCompileTogether(t *testing.T) {
	t.Parallel()
	five := "issuers: [" + many(13, "{name: i%d, issuer: 'https://a', anyAudience: true, keys: {kubernetes: {}}}") + "]"
	var policies []decision.Policy
	for i := range 5 {
		policies = append(policies, parse(t, fmt.Sprintf("p%d", i), five))
	}
	_, err := decision.Compile(policies)
	if err == nil || !strings.Contains(err.Error(), "have 65 issuers together; want at most 64") {
		t.Errorf("65 issuers: %v", err)
	}
	if _, err := decision.Compile(policies[:4]); err != nil {
		t.Errorf("52 issuers: %v", err)
	}
	_, err = decision.Compile([]decision.Policy{policies[0], policies[0]})
	if err == nil || !strings.Contains(err.Error(), "shop/p0: metadata.name: two policies have this name") {
		t.Errorf("two policies of one name: %v", err)
	}
	_, err = decision.Compile([]decision.Policy{parse(t, "a", "mode: X"), parse(t, "b", "rules: []\nissuers: []")})
	if n := len(fieldErrors(t, err)); n != 3 {
		t.Errorf("%d errors, want all 3: %v", n, err)
	}
}

// FuzzCompile compiles whatever JSON makes a spec, read strictly; what compiles must decide.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		corp, "rules: [{name: r, allow: {authenticated: true}}]",
		corp + "rules: [{name: r, match: [{paths: ['/{x}/**'], hosts: ['*.a'], methods: [GET], ports: [1], headers: [{name: a, values: [b]}]}], allow: {when: 'path.x == claims.sub', scopes: [a], claims: [{claim: a, matches: b}]}}]",
		"mode: Audit\nforward: {headers: [{name: X-A, claim: a}]}\nrules: [{name: r, deny: {when: 'now.getHours() < 6'}}]",
		"rules: [{name: r, match: [{notPaths: ['/a*/**/*.b'], notHosts: [a], notMethods: [GET], notPorts: [1], remoteIPs: ['10.0.0.0/8'], notRemoteIPs: ['::1'], headers: [{name: a, patterns: ['b*'], notValues: [c], notPatterns: ['*d']}]}], allow: {anonymous: true, maxBody: 1Ki}}]\nstreams: {onExpiry: Close}",
		"rules: [{match: [{}]}]", "issuers: [{keys: {jwks: '{}'}}]", "rules: [null]",
	} {
		j, err := yaml.YAMLToJSON([]byte(s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(j)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := policy.DecodeSpec(data)
		if err != nil {
			return
		}
		p, err := compileBoth(t, []decision.Policy{{Namespace: "n", Name: "a", Spec: spec}})
		if err != nil {
			fieldErrors(t, err)
			return
		}
		token := claims(t, `{"iss":"i","sub":"ann","a":[1,"b"],"scope":"a b"}`)
		for _, line := range []string{"GET /", "PUT x.a/a/b/?q=1", "GET /a"} {
			for _, s := range []*decision.Subject{nil, p.Bind(token, 1), p.Bind(token, 0)} {
				r := request(t, line, "A: b")
				checkExplain(t, p, r, s, p.Decide(r, s))
			}
		}
	})
}
