package dpop

import (
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/printable"
)

// most is how many bytes of a proof's value a cause shows.
const most = 256

// fault is why a proof is not taken. Only Detail tells what the proof has.
type fault struct {
	text  string // reads as a sentence
	has   string // of the proof; empty: there is nothing to tell
	wants []string
}

// String tells it without the proof's value.
func (f fault) String() string { return f.text + f.wanted() }

// Detail tells all.
func (f fault) Detail() string {
	if f.has == "" {
		return f.String()
	}
	return f.text + ": it is " + strconv.Quote(printable.Text(f.has, most)) + f.wanted()
}

func (f fault) wanted() string {
	if len(f.wants) == 0 {
		return ""
	}
	return "; want " + strings.Join(f.wants, " or ")
}

// bad is a BadProof; the text reads on after "the proof".
func bad(text string) decision.Refusal {
	return decision.Refusal{Reason: decision.BadProof, Cause: decision.Because("the proof " + text)}
}

// shown is a BadProof because of a value of the proof.
func shown(text, has string) decision.Refusal {
	return decision.Refusal{Reason: decision.BadProof, Cause: fault{text: "the proof " + text, has: has}}
}

// differs is a BadProof because of a claim that is not what it must be.
func differs(text, has string, wants ...string) decision.Refusal {
	return decision.Refusal{Reason: decision.BadProof, Cause: fault{text: text, has: has, wants: wants}}
}

// timing is the Cause of a proof that is too old, or of the future.
type timing struct {
	problem string
	issued  time.Time
	now     time.Time
	limit   time.Duration
	field   string
}

// String tells it without the time.
func (t timing) String() string {
	return "iat " + t.problem + "; " + t.field + " is " + t.limit.String()
}

// Detail tells how far off it is.
func (t timing) Detail() string {
	off := t.now.Sub(t.issued).Truncate(time.Second)
	text := off.String() + " ago"
	if off < 0 {
		text = "in " + (-off).String()
	}
	return "iat " + t.problem + ": it is " + text + "; " + t.field + " is " + t.limit.String()
}
