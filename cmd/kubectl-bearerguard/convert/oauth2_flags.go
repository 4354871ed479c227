package convert

import "strings"

const (
	whyLogin   = "is about logging in with a browser, which Bearerguard does not do: keep oauth2-proxy, or an ingress that does it, for pages, and have it pass the token on"
	whyCookie  = "is about the session cookie of a browser's login, which Bearerguard does not have: it takes tokens alone"
	whyRestart = "is about how the proxy runs, not about who is let in"
	whyAnswer  = "is an answer to nginx's auth_request; the sidecar answers gateways that ask by Envoy's protocol, see docs/gateways.md"
	whyUnasked = "needs an answer of the provider's own API beside the token, and a sidecar asks none; so no token of it is taken"
)

// oauth2Flags are the flags of oauth2-proxy 7.
var oauth2Flags = func() map[string]flagInfo {
	flags := map[string]flagInfo{
		"provider": {}, "oidc-issuer-url": {}, "oidc-jwks-url": {}, "client-id": {}, "oidc-email-claim": {}, "oidc-groups-claim": {}, "user-id-claim": {},
		"config":                 {effect: Differs, why: "is read from its ConfigMap"},
		"skip-oidc-discovery":    {kind: boolFlag},
		"skip-jwt-bearer-tokens": {kind: boolFlag},
		"prefer-email-to-user":   {kind: boolFlag},
		"pass-user-headers":      {kind: boolFlag}, "pass-basic-auth": {kind: boolFlag}, "pass-access-token": {kind: boolFlag}, "set-xauthrequest": {kind: boolFlag},
		"insecure-oidc-allow-unverified-email": {kind: boolFlag}, "skip-auth-preflight": {kind: boolFlag}, "reverse-proxy": {kind: boolFlag},
		"insecure-oidc-skip-issuer-verification": {kind: boolFlag},
		"basic-auth-password":                    {effect: LeftOut, why: "is a password that the app is sent instead of the token; the app gets the token, or headers"},
		"pass-authorization-header":              {kind: boolFlag, effect: Differs, why: "the app gets the token that the client sent, in Authorization"},
		"set-authorization-header":               {kind: boolFlag, effect: LeftOut, why: whyAnswer},
		"set-basic-auth":                         {kind: boolFlag, effect: LeftOut, why: whyAnswer},
		"skip-auth-strip-headers":                {kind: boolFlag, effect: Differs, why: "identity headers that clients send are always removed"},
		"upstream":                               {kind: listFlag, effect: Differs, why: whyAddress},
		"bearer-token-login-fallback":            {kind: boolFlag, effect: Differs, why: "a broken token is refused with 401; nobody is sent to a login"},
		"api-route":                              {kind: listFlag, effect: Differs, why: "is not needed: whoever has no token gets 401, at every path"},
		"force-json-errors":                      {kind: boolFlag, effect: Differs, why: "is not needed: refusals are JSON (RFC 9457)"},
		"real-client-ip-header":                  {effect: Differs, why: "no header says where a request is from; remoteIPs is the peer of the connection"},
		"proxy-prefix":                           {}, "ping-path": {}, "ready-path": {},
		"ping-user-agent":     {effect: Differs, why: "is not needed: the sidecar has probes of its own"},
		"custom-sign-in-logo": {effect: LeftOut, why: whyLogin},
	}
	for _, name := range strings.Fields("extra-jwt-issuers skip-auth-route skip-auth-regex email-domain allowed-group allowed-role oidc-audience-claim oidc-extra-audience " +
		"oidc-enabled-signing-alg trusted-ip") {
		flags[name] = flagInfo{kind: listFlag}
	}
	add := func(kind flagKind, effect Effect, why, names string) {
		for _, name := range strings.Fields(names) {
			flags[name] = flagInfo{kind, effect, why}
		}
	}
	add(textFlag, LeftOut, whyCookie, "cookie-name cookie-secret cookie-secret-file cookie-path cookie-expire cookie-refresh cookie-samesite cookie-csrf-per-request-limit "+
		"cookie-csrf-expire cookie-csrf-samesite session-store-type redis-connection-url redis-username redis-password redis-sentinel-password redis-sentinel-master-name "+
		"redis-ca-path redis-connection-idle-timeout")
	add(listFlag, LeftOut, whyCookie, "cookie-domain redis-sentinel-connection-urls redis-cluster-connection-urls")
	add(boolFlag, LeftOut, whyCookie, "cookie-secure cookie-httponly cookie-csrf-per-request session-cookie-minimal redis-use-sentinel redis-insecure-skip-tls-verify redis-use-cluster")
	add(textFlag, LeftOut, whyLogin, "client-secret client-secret-file provider-display-name login-url redeem-url profile-url validate-url scope prompt approval-prompt acr-values "+
		"code-challenge-method force-code-challenge-method redirect-url backend-logout-url auth-request-response-mode resource custom-templates-dir banner footer signature-key "+
		"jwt-key jwt-key-file pubjwk-url azure-graph-group-field")
	add(boolFlag, LeftOut, whyLogin, "skip-provider-button insecure-oidc-skip-nonce relative-redirect-url encode-state display-htpasswd-form show-debug-on-error "+
		"skip-claims-from-profile-url entra-id-federated-token-auth")
	add(listFlag, LeftOut, whyLogin, "whitelist-domain htpasswd-user-group")
	add(textFlag, LeftOut, "lets in by a password; give these clients tokens", "htpasswd-file")
	add(textFlag, LeftOut, whyUnasked, "azure-tenant bitbucket-team bitbucket-repository github-org github-team github-repo github-token google-admin-email "+
		"google-service-account-json google-use-application-default-credentials google-target-principal google-use-organization-id google-admin-api-user-scope")
	add(listFlag, LeftOut, whyUnasked, "github-user gitlab-group gitlab-project google-group keycloak-group entra-id-allowed-tenant")
	add(textFlag, LeftOut, "is a list of addresses that is not in the files; put them into a rule: claims: [{claim: email, anyOf: [...]}]", "authenticated-emails-file")
	add(listFlag, Differs, "", "oidc-public-key-file provider-ca-file")
	add(textFlag, Differs, whyRestart, "http-address https-address tls-cert-file tls-key-file tls-min-version metrics-address metrics-secure-address metrics-tls-cert-file "+
		"metrics-tls-key-file flush-interval upstream-timeout auth-logging-format standard-logging-format request-logging-format request-id-header logging-filename "+
		"logging-max-size logging-max-age logging-max-backups alpha-config")
	add(boolFlag, Differs, whyRestart, "pass-host-header proxy-websockets ssl-upstream-insecure-skip-verify disable-keep-alives use-system-trust-store auth-logging standard-logging "+
		"request-logging errors-to-info-log logging-local-time silence-ping-logging logging-compress force-https allow-query-semicolons gcp-healthchecks")
	add(boolFlag, Stricter, "certificates of the provider are always checked; name its authority in caSecretRef", "ssl-insecure-skip-verify")
	add(listFlag, Differs, whyRestart, "tls-cipher-suite exclude-logging-path trusted-proxy-ip")
	return flags
}()
