package main

import (
	"io"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/decision/advice"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/output"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// advise says what to do about a refusal, and where there is more.
func advise(w io.Writer, look output.Look, reason decision.Reason) {
	about := advice.Of(reason)
	if about.Do == "" || reason == decision.Allowed || reason.Answered() {
		return
	}
	output.Printf(w, "\n%s %s\n", look.Paint(output.Strong, "what to do:"), about.Do)
	output.Printf(w, "%s\n", look.Paint(output.Faint, "more: "+refuse.Type(reason)))
}

// age is a duration as kubectl has it: "3m12s".
func age(d time.Duration) string { return duration.HumanDuration(max(d, 0)) }
