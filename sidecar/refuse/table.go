package refuse

import (
	"net/http"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Codes of gRPC that refusals use (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). They are repeated here so
// that this package needs no gRPC.
const (
	codeInvalidArgument   uint32 = 3
	codeDeadlineExceeded  uint32 = 4
	codePermissionDenied  uint32 = 7
	codeResourceExhausted uint32 = 8
	codeUnimplemented     uint32 = 12
	codeInternal          uint32 = 13
	codeUnavailable       uint32 = 14
	codeUnauthenticated   uint32 = 16
)

// Error codes of RFC 6750 section 3.1 and RFC 9470 section 3.
const (
	invalidRequest    = "invalid_request"
	invalidToken      = "invalid_token"
	insufficientScope = "insufficient_scope"
	insufficientLogin = "insufficient_user_authentication"
)

// Error codes of RFC 9449 sections 7.1 and 9, for challenges with the scheme DPoP.
const (
	invalidProof = "invalid_dpop_proof"
	useNonce     = "use_dpop_nonce"
)

// Refusal is how clients are told of one Reason. All of it is constant.
type Refusal struct {
	// Status is the HTTP status code.
	Status int
	// GRPC is the status code in gRPC's numbering.
	GRPC uint32
	// Challenge says whether a WWW-Authenticate header goes with it. Every 401 has one (RFC 9110 section 15.5.2).
	Challenge bool
	// Error is the error code of RFC 6750 section 3.1, RFC 9449 section 7.1 or RFC 9470 section 3; empty where the request carried no
	// token.
	Error string
	// Title is a short text for the kind of problem (RFC 9457 section 3.1.4), the same for every Reason of one kind.
	Title string
	// Description is one sentence for people: error_description, detail and grpc-message.
	Description string
	// Allow is the value of the Allow header that a 405 must have (RFC 9110 section 15.5.6).
	Allow string
	// RetryAfter is the value of Retry-After in seconds; 0 means that the header is left out.
	RetryAfter int
}

// Table returns the refusal for a reason. A reason that is not a reason to refuse, or not known, is an internal error:
// a caller that got here with it must not look as if it had let the request through.
func Table(reason decision.Reason) Refusal {
	if r, ok := refusals[reason]; ok {
		return r
	}
	return refusals[decision.InternalError]
}

// The kinds of refusal that many reasons share.
func unauthorized(description string) Refusal {
	return Refusal{
		Status: http.StatusUnauthorized, GRPC: codeUnauthenticated, Challenge: true,
		Error: invalidToken, Title: "Invalid token", Description: description,
	}
}

func badProof(description string) Refusal {
	r := unauthorized(description)
	r.Error, r.Title = invalidProof, "Invalid DPoP proof"
	return r
}

func useThisNonce(description string) Refusal {
	r := badProof(description)
	r.Error, r.Title = useNonce, "DPoP nonce required"
	return r
}

func badRequest(description string) Refusal {
	return Refusal{
		Status: http.StatusBadRequest, GRPC: codeInvalidArgument,
		Title: "Bad request", Description: description,
	}
}

func ambiguousToken(description string) Refusal {
	r := badRequest(description)
	r.Challenge, r.Error = true, invalidRequest
	return r
}

func forbidden(description string) Refusal {
	return Refusal{
		Status: http.StatusForbidden, GRPC: codePermissionDenied,
		Title: "Forbidden", Description: description,
	}
}

func insufficient(description string) Refusal {
	r := forbidden(description)
	r.Challenge, r.Error = true, insufficientScope
	return r
}

func unavailable(description string, retryAfter int) Refusal {
	return Refusal{
		Status: http.StatusServiceUnavailable, GRPC: codeUnavailable,
		Title: "Service unavailable", Description: description, RetryAfter: retryAfter,
	}
}

// refusals is read only.
var refusals = map[decision.Reason]Refusal{
	decision.NotReady:                 unavailable("the guard has not loaded its policy yet", 1),
	decision.Stale:                    unavailable("the guard has not heard from its controller for too long", 5),
	decision.KeysUnavailable:          unavailable("the keys of the token's issuer are not available yet", 5),
	decision.IntrospectionUnavailable: unavailable("the token's issuer cannot be asked about it now", 2),
	decision.NoPolicy:                 forbidden("no policy applies to this workload"),
	decision.InternalError: {
		Status: http.StatusInternalServerError, GRPC: codeInternal,
		Title: "Internal error", Description: "the guard could not decide",
	},

	decision.BadRequest: badRequest("the request is malformed or ambiguous"),
	decision.BadPath:    badRequest("the path has no single canonical form"),
	decision.BadHost:    badRequest("the host is missing or malformed"),
	decision.BadMethod: {
		Status: http.StatusMethodNotAllowed, GRPC: codeUnimplemented,
		Title: "Method not allowed", Description: "the method is not forwarded",
		Allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
	},
	decision.DuplicateAuthorization: ambiguousToken("the Authorization header comes more than once"),
	decision.TokenInTwoPlaces:       ambiguousToken("the request carries a token in more than one place"),
	decision.TooLarge: {
		Status: http.StatusRequestHeaderFieldsTooLarge, GRPC: codeResourceExhausted,
		Title: "Request header fields too large", Description: "the request's header exceeds a limit",
	},
	decision.URITooLong: {
		Status: http.StatusRequestURITooLong, GRPC: codeResourceExhausted,
		Title: "URI too long", Description: "the request target exceeds a limit",
	},
	decision.MCPMismatch: badRequest("the headers Mcp-Method and Mcp-Name do not say what the body says"),
	decision.BodyTooLarge: {
		Status: http.StatusRequestEntityTooLarge, GRPC: codeResourceExhausted,
		Title: "Content too large", Description: "the request's body exceeds a limit",
	},
	decision.RequestTimeout: {
		Status: http.StatusRequestTimeout, GRPC: codeUnavailable,
		Title: "Request timeout", Description: "the request's body comes too slowly",
	},
	decision.Overloaded: unavailable("as many requests run as may at a time", 1),

	decision.NoToken: {
		Status: http.StatusUnauthorized, GRPC: codeUnauthenticated, Challenge: true,
		Title: "Token required", Description: "a token is required",
	},
	decision.Malformed:           unauthorized("the token is malformed"),
	decision.TokenTooLarge:       unauthorized("the token is too large"),
	decision.UnknownIssuer:       unauthorized("the token's issuer is not trusted"),
	decision.WrongLocation:       unauthorized("the token's issuer is not accepted from this place"),
	decision.AlgorithmNotAllowed: unauthorized("the token's algorithm is not allowed"),
	decision.HeaderNotAllowed:    unauthorized("the token's header has a parameter that is not allowed"),
	decision.WrongType:           unauthorized("the token's type is not allowed"),
	decision.UnknownKey:          unauthorized("the token's key is not known"),
	decision.BadSignature:        unauthorized("the token's signature does not verify"),
	decision.NotDecryptable:      unauthorized("the token cannot be decrypted"),
	decision.NotEncrypted:        unauthorized("the token is not encrypted"),
	decision.Unsigned:            unauthorized("the token is not signed"),
	decision.Expired:             unauthorized("the token has expired"),
	decision.NotYetValid:         unauthorized("the token is not valid yet"),
	decision.TooOld:              unauthorized("the token was issued too long ago"),
	decision.WrongAudience:       unauthorized("the token is meant for another audience"),
	decision.MissingClaim:        unauthorized("the token lacks a required claim"),
	decision.BadClaim:            unauthorized("a claim of the token has a wrong type or value"),
	decision.KeyBound:            unauthorized("the token is bound to a key and the binding cannot be checked"),
	decision.NotBound:            unauthorized("the token is not bound to a key"),
	decision.BoundAsBearer:       unauthorized("the token is bound to a key and is not taken as a bearer token"),
	decision.BadProof:            badProof("the DPoP proof is missing or not valid"),
	decision.UseNonce:            useThisNonce("the DPoP proof needs the nonce that this answer has"),
	decision.ProofReplayed:       badProof("the DPoP proof was used before"),
	decision.KeyMismatch:         unauthorized("the token is bound to another key"),
	decision.Unbound:             unauthorized("the service-account token is bound to no pod"),
	decision.Inactive:            unauthorized("the token's issuer says that it is not active"),
	decision.Revoked:             unauthorized("the token has been revoked"),

	// A deny rule applies with or without a token, and no other scope would help: no challenge.
	decision.DeniedByRule:      forbidden("a rule denies the request"),
	decision.NoRule:            insufficient("no rule allows the request"),
	decision.InsufficientScope: insufficient("the token lacks a scope that the request needs"),
	decision.InsufficientAuthentication: {
		Status: http.StatusUnauthorized, GRPC: codeUnauthenticated, Challenge: true,
		Error: insufficientLogin, Title: "Another log-in required", Description: "the request needs another or a more recent log-in of the user",
	},

	decision.UpstreamUnavailable: {
		Status: http.StatusBadGateway, GRPC: codeUnavailable,
		Title: "Bad gateway", Description: "the application does not accept the request",
	},
	decision.UpstreamMalformed: {
		Status: http.StatusBadGateway, GRPC: codeInternal,
		Title: "Bad gateway", Description: "the application's answer is malformed",
	},
	decision.UpstreamTimeout: {
		Status: http.StatusGatewayTimeout, GRPC: codeDeadlineExceeded,
		Title: "Gateway timeout", Description: "the application did not answer in time",
	},
}
