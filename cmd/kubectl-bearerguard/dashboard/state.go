package dashboard

import (
	"slices"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/fleet"
)

// State is what the page draws.
type State struct {
	About
	// Loading: nothing has been read yet.
	Loading bool `json:"loading,omitempty"`
	// At is when it was last tried to read all of it.
	At time.Time `json:"at,omitzero"`
	// Troubles say what could not be read: what is shown of it is what was known before.
	Troubles []*Trouble `json:"troubles"`
	// PoliciesKnown and PodsKnown say whether they have ever been read: without, that there are none says nothing.
	PoliciesKnown bool `json:"policiesKnown"`
	PodsKnown     bool `json:"podsKnown"`
	Pods          Pods `json:"pods"`
	// Findings are what is wrong, the worst first.
	Findings  []Finding  `json:"findings"`
	Policies  []Policy   `json:"policies"`
	Workloads []Workload `json:"workloads"`
	Refusals  Refusals   `json:"refusals"`
}

// Pods counts pods by their PodState. Idle ones are not counted.
type Pods struct {
	Total      int `json:"total"`
	Guarded    int `json:"guarded"`
	Bypassable int `json:"bypassable"`
	Bare       int `json:"bare"`
	Unready    int `json:"unready"`
	Uncovered  int `json:"uncovered"`
	Audited    int `json:"audited"`
}

// PodState says how a pod is guarded.
type PodState string

const (
	// Guarded says that a policy that enforces selects it, and its sidecar is ready.
	Guarded PodState = "guarded"
	// Bypassable says that, by the controller's word, it can be reached past its sidecar.
	Bypassable PodState = "bypassable"
	// Bare says that it is selected, and has no sidecar.
	Bare PodState = "bare"
	// Unready says that its sidecar is not ready.
	Unready PodState = "unready"
	// Uncovered says that it has a sidecar and no policy, so that every request is refused.
	Uncovered PodState = "uncovered"
	// Audited says that its sidecar is ready, and only Audit policies select it, so that everything is let through.
	Audited PodState = "audited"
	// Idle says that it is not selected and has no sidecar.
	Idle PodState = "idle"
)

// Level says how bad something is.
type Level string

const (
	// Good is as it should be.
	Good Level = "good"
	// Warn is to be looked at; all that is not allowed is refused.
	Warn Level = "warn"
	// Bad says that something is not guarded, or what should be let in is refused.
	Bad Level = "bad"
)

// rank orders levels, the worst first.
func (l Level) rank() int { return slices.Index([]Level{Bad, Warn, Good}, l) }

// Policy is a policy, what it selects, and what is refused by it.
type Policy struct {
	fleet.Policy
	Level      Level       `json:"level"`
	Conditions []Condition `json:"conditions"`
	Selector   string      `json:"selector"`
	Rules      int         `json:"rules"`
	// Workloads are the names of those with selected pods, in its namespace.
	Workloads []string `json:"workloads"`
	// Heard is how many sidecars of these have said what they refused.
	Heard   int     `json:"heard"`
	Refused int     `json:"refused"`
	Minutes Minutes `json:"minutes"`
}

// Condition is one of a policy's status.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	Level   Level     `json:"level"`
}

// Workload is a workload, its pods, and what it refused.
type Workload struct {
	fleet.Workload
	Level  Level `json:"level"`
	States Pods  `json:"states"`
	// Heard is how many of its sidecars have said what they refused: with none, Refused says nothing.
	Heard   int             `json:"heard"`
	List    []Pod           `json:"list"`
	More    int             `json:"more,omitempty"`
	Refused int             `json:"refused"`
	Minutes Minutes         `json:"minutes"`
	Top     decision.Reason `json:"top,omitempty"`
}

// Pod is one of a workload. Running says whether its sidecar can be asked.
type Pod struct {
	Name    string   `json:"name"`
	State   PodState `json:"state"`
	Running bool     `json:"running,omitempty"`
	Release string   `json:"release,omitempty"`
	// Heard says whether it has said what it refused.
	Heard   bool `json:"heard,omitempty"`
	Refused int  `json:"refused,omitempty"`
	// Trouble is what kept its sidecar from being asked.
	Trouble string `json:"trouble,omitempty"`
}
