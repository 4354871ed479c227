// Package advice says what to do about each decision.Reason: a sentence or two, and the commands that show more. It is for
// the people who run the guard, in docs/reasons.md and in the command line; no sidecar has it.
package advice

import (
	"strings"

	"github.com/bearerguard/bearerguard/api/decision"
)

// Advice is what to do about a Reason.
type Advice struct {
	// Do is for the one who runs the guard or the app; plain Markdown on one line.
	Do string
	// Try are commands that show more, in which words in capitals are to be replaced.
	Try []string
}

// Of returns the advice for a reason; the zero Advice for one that is not known.
func Of(reason decision.Reason) Advice {
	if a, ok := configuration[reason]; ok {
		return a
	}
	if a, ok := messages[reason]; ok {
		return a
	}
	if a, ok := tokens[reason]; ok {
		return a
	}
	return rest[reason]
}

// The commands. REASON is replaced in them.
const (
	explain  = "kubectl bearerguard explain deploy/APP --request 'GET /PATH' --token-file FILE"
	byID     = "kubectl bearerguard explain -n NAMESPACE --request-id ID"
	status   = "kubectl bearerguard status -n NAMESPACE"
	keys     = "kubectl bearerguard keys -n NAMESPACE"
	logs     = "kubectl bearerguard logs deploy/APP --reason REASON"
	describe = "kubectl describe authpolicy POLICY"
	sidecar  = "kubectl logs POD -c bearerguard"
	revoked  = "kubectl bearerguard revoke --list -n NAMESPACE"
)

func do(text string, try ...string) Advice { return Advice{text, try} }

// For returns the commands of the advice for a reason, with its name where they take one.
func For(reason decision.Reason) []string {
	var out []string
	for _, command := range Of(reason).Try {
		out = append(out, strings.ReplaceAll(command, "REASON", string(reason)))
	}
	return out
}
