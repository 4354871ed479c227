package advice

import "github.com/bearerguard/bearerguard/api/decision"

// configuration is of reasons that lie in the workload's configuration, and messages of those of ambiguous or malformed requests.
// They are read only, as are those below.
var (
	configuration = map[decision.Reason]Advice{
		decision.NotReady: do("Wait a moment after a start. If it lasts, the sidecar does not reach the controller, or has nothing to load: its log and the policy's status say which.",
			status, sidecar),
		decision.Stale: do("The sidecar has been cut off from the controller for longer than `--max-staleness` allows. Look whether the controller runs and whether a NetworkPolicy stands between.",
			status, sidecar),
		decision.NoPolicy: do("Write an AuthPolicy whose `selector` fits the pod's labels, in the pod's namespace. Without one nothing is let in.",
			status),
		decision.KeysUnavailable: do("The issuer's keys have never been read. The policy's `ResolvedRefs` condition says why: a URL that does not answer, a Secret or ConfigMap that is missing, an egress rule.",
			keys, describe),
		decision.IntrospectionUnavailable: do("The issuer's introspection endpoint does not answer, or not as RFC 7662 wants. The cause names the endpoint and the error; `bearerguard_introspection_requests_total` counts them.",
			logs, keys),
		decision.InternalError: do("This is a defect of the guard. The sidecar's log has a stack; please report it. The request was refused.",
			sidecar),
	}

	messages = map[decision.Reason]Advice{
		decision.BadRequest: do("The client breaks HTTP's grammar, or an intermediary does. The cause says where.",
			byID, logs),
		decision.BadPath: do("The path can be read in more than one way, and apps differ in which they take. The cause says what is odd; `paths.encodedSlash: Keep` and `paths.forward: AsSent` take some of them.",
			byID, logs),
		decision.BadHost:                do("The client, or the gateway before it, has to send one well-formed `Host`.", byID),
		decision.BadMethod:              do("CONNECT and TRACE are never forwarded, nor is what is no method. Use another one.", byID),
		decision.DuplicateAuthorization: do("The client, or a gateway that adds a token of its own, sends `Authorization` twice. Leave one.", byID),
		decision.TokenInTwoPlaces:       do("Send the token in one place. The cause names both. If the app has a cookie of the same name, name another place in the issuer's `from`.", byID),
		decision.TooLarge:               do("The head has too many fields or bytes, often cookies. Make it smaller, or raise the limit: docs/limits.md.", byID),
		decision.URITooLong:             do("The target is too long. Send data in a body, or raise the limit: docs/limits.md.", byID),
		decision.MCPMismatch:            do("The client's `Mcp-Method` and `Mcp-Name` do not say what its body says: it is broken, or it tries to be judged by something else.", byID),
		decision.BodyTooLarge:           do("The body exceeds `allow.maxBody` of the rule that lets it in, or the sidecar's limit: docs/limits.md.", explain, byID),
		decision.RequestTimeout:         do("The client sends its body too slowly. Look at its network; the limit is in docs/limits.md.", byID),
		decision.Overloaded:             do("As many requests run as may at a time. Add replicas, or raise the limit with the memory: docs/limits.md.", status, logs),
	}
)

// tokens is of the reasons of a token.
var tokens = map[decision.Reason]Advice{
	decision.NoToken:             do("The client has to send a token. The cause says where it is looked for; a rule with `anonymous: true` takes requests without one.", explain, logs),
	decision.Malformed:           do("The token was cut off, quoted, or is no JWT. Look at what the client sends; an opaque token needs `introspection`.", byID, explain),
	decision.TokenTooLarge:       do("The token has too many claims, often groups. Have the issuer leave some out.", byID),
	decision.UnknownIssuer:       do("No issuer of the policies has the token's `iss`, to the letter: a final slash counts, and Entra ID's v1 and v2 differ. Correct `issuers[].issuer`, or get the token from the right place.", explain, byID),
	decision.WrongLocation:       do("The issuer takes tokens from other places. Send it there, or add the place to the issuer's `from`.", explain, byID),
	decision.AlgorithmNotAllowed: do("The issuer signs with an algorithm that the policy does not list, or that is not safe. Add it to `algorithms` if it should be there.", explain, byID),
	decision.HeaderNotAllowed:    do("The token's header asks for something that the guard does not do (`crit`, `zip`, `b64`) or must not trust (`jwk`). The issuer has to leave it out.", byID),
	decision.WrongType:           do("Probably an ID token where an access token is wanted. Have the client send the access token, or set the issuer's `types`.", explain, byID),
	decision.UnknownKey:          do("No key of the issuer has the token's `kid`. After a rotation the keys are fetched within seconds; if it lasts, the token is of another environment, or the key source is the wrong one.", keys, explain),
	decision.BadSignature:        do("The token was changed on the way, or is signed by another key of the same name: of another environment, for instance. The cause names the keys that were tried.", keys, explain),
	decision.NotDecryptable:      do("The token is encrypted for a key that the sidecar does not have. Look at the issuer's `decryption` and its Secret.", keys, byID),
	decision.NotEncrypted:        do("The issuer's `decryption.required` takes encrypted tokens only. Have the issuer encrypt, or leave it out.", byID),
	decision.Unsigned:            do("Nobody signed the token, so anybody can have made it. The issuer has to sign it.", byID),
	decision.Expired:             do("The client has to fetch a new token before the old one ends. If it is fresh, the clocks differ by more than `clockSkew`.", explain, byID),
	decision.NotYetValid:         do("The clocks of the issuer and the node differ by more than `clockSkew`. Set them.", explain, byID),
	decision.TooOld:              do("The token was issued longer ago than `maxAge`. The client has to fetch a new one.", explain, byID),
	decision.WrongAudience:       do("The token is meant for another API. Have the client ask for this one (`resource`, `audience` or a scope, by issuer), or add its value to `audiences`; not that of every API.", explain, byID),
	decision.MissingClaim:        do("The cause names the claim and the field that wants it. Have the issuer put it in, or change the policy.", explain, byID),
	decision.BadClaim:            do("The cause names the claim and what is wrong with it. It is for the issuer to correct.", explain, byID),
	decision.KeyBound:            do("The token may be used only with a proof of a key, which the policy does not take. Set the issuer's `proof`: docs/tokens.md.", explain, byID),
	decision.NotBound:            do("The policy's `proof` is `Required`, and the client's tokens are bound to no key. Have the client use DPoP or a certificate when it fetches them.", explain, byID),
	decision.BoundAsBearer:       do("The client has to send `Authorization: DPoP` and the header `DPoP`, not `Bearer`.", byID),
	decision.BadProof:            do("The cause says what is wrong with the proof: mostly `htu` behind a gateway that changes the address, or a clock.", byID),
	decision.UseNonce:            do("This is part of the protocol: the client sends the request again with the nonce of the answer. If it does not, its library does not do RFC 9449 section 9.", byID),
	decision.ProofReplayed:       do("The client sends the same proof twice, or somebody else does. Each request needs a new one, each retry too.", logs, byID),
	decision.KeyMismatch:         do("The token is of one client, the key or certificate of another. If nobody stole a token, a gateway ends TLS before the sidecar.", logs, byID),
	decision.Unbound:             do("Use a projected service-account token: one of a Secret is bound to no pod. `keys.kubernetes.allowUnbound: true` takes it.", explain, byID),
	decision.Inactive:            do("The issuer says that the token is not active: it has expired, was taken back, or is of another issuer. The client has to fetch a new one.", byID),
	decision.Revoked:             do("A TokenRevocation names the token, its session or its subject, or the pod that it was made for is gone. If that is a mistake, undo it.", revoked, byID),
}

// rest is of the reasons of policies, of the app, and of those that are no refusal.
var rest = map[decision.Reason]Advice{
	decision.Allowed:          do("Nothing: the request was forwarded."),
	decision.AuditOnly:        do("Nothing was enforced. Look at what the policy would have said, and set `mode: Enforce`.", logs, explain),
	decision.Preflight:        do("Nothing: a browser asked by CORS, and the answer is in the policy's `cors`."),
	decision.ResourceMetadata: do("Nothing: a client asked where it gets tokens, and the answer is in the policy's `resource`."),

	decision.DeniedByRule:               do("The rule that denies is named; no token changes that, but a policy does.", explain, byID),
	decision.NoRule:                     do("The token is good, and no rule lets it do this. `failed` names the condition of the rule that came nearest: give the user the role, or change the rule.", explain, byID),
	decision.InsufficientScope:          do("The challenge names the scopes. The client has to ask for them, and the user or an administrator to grant them.", explain, byID),
	decision.InsufficientAuthentication: do("The user has to log in once more, or with a stronger means; a client that knows RFC 9470 does that from the challenge.", explain, byID),

	decision.UpstreamUnavailable: do("The request was let in, and the app does not listen, or broke the connection off. Look at the app, and at the address where it listens.", sidecar, byID),
	decision.UpstreamTimeout:     do("The request was let in, and the app did not answer in time: docs/limits.md.", sidecar, byID),
	decision.UpstreamMalformed:   do("The request was let in, and the app's answer breaks HTTP's grammar or a limit. The cause says how: docs/limits.md.", sidecar, byID),
}
