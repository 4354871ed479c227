package dashboard

import (
	"context"
	"errors"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/bearerguard/bearerguard/api/printable"
)

// Trouble is something that could not be read, and so is not shown, or not as it is now.
type Trouble struct {
	// What is "policies", "pods" or "sidecars".
	What string `json:"what"`
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
	// Do says what to do about it.
	Do string `json:"do"`
}

// Kind says what keeps something from being read.
type Kind string

const (
	// Forbidden says that the user has no right to it.
	Forbidden Kind = "forbidden"
	// Unauthorized says that the API server does not know the user, or no longer.
	Unauthorized Kind = "unauthorized"
	// Absent says that the cluster knows no AuthPolicy.
	Absent Kind = "absent"
	// Unreachable says that nobody answers.
	Unreachable Kind = "unreachable"
	// Failed is all else.
	Failed Kind = "failed"
)

// longestTrouble is how much of an error is shown, in bytes.
const longestTrouble = 512

func newTrouble(what string, err error) *Trouble {
	t := &Trouble{What: what, Kind: kindOf(err), Text: printable.Text(err.Error(), longestTrouble)}
	switch t.Kind {
	case Forbidden:
		t.Do = forbidden[what]
	case Unauthorized:
		t.Do = "Log in again as your kubeconfig has it, and start the dashboard anew if that does not help."
	case Absent:
		t.Do = "Install Bearerguard with its chart, or choose another cluster with --context."
	case Unreachable:
		t.Do = "Look whether the cluster runs, and whether you are in its network. It is asked again every few seconds."
	default:
		t.Do = "It is asked again every few seconds."
	}
	return t
}

// forbidden says which right is missing.
var forbidden = map[string]string{
	"policies": "Ask for the right to list authpolicies.bearerguard.dev: the role view has it where the chart is installed. With -n, one namespace is enough.",
	"pods":     "Ask for the right to list pods: the role view has it. With -n, one namespace is enough. Without it nothing is known of workloads.",
	"sidecars": "Ask for the right to create pods/portforward: the role edit has it. Without it nothing is known of refusals, and no sidecar can explain.",
}

func kindOf(err error) Kind {
	var network net.Error
	text := err.Error()
	switch {
	case apierrors.IsForbidden(err), strings.Contains(text, "forbidden"):
		return Forbidden
	case apierrors.IsUnauthorized(err):
		return Unauthorized
	case meta.IsNoMatchError(err):
		return Absent
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServiceUnavailable(err),
		strings.Contains(text, "connection refused"):
		return Unreachable
	}
	return Failed
}
