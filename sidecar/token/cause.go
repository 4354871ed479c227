package token

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
)

// fault is the Cause of most refusals: what is wrong with what, what the token has there, and what was wanted instead.
// Only Detail tells what the token has.
type fault struct {
	// subject and problem are texts of this package: "sub", "is a number, not a string".
	subject, problem string
	// has is what the token has there, a value of strictjson; nil: there is nothing to tell.
	has any
	// wants are values of the policy.
	wants []string
}

// String tells it without what the token has.
func (f fault) String() string { return f.subject + " " + f.problem + f.wanted() }

// Detail tells all.
func (f fault) Detail() string {
	if f.has == nil {
		return f.String()
	}
	return f.subject + " " + f.problem + ": it is " + show(f.has) + f.wanted()
}

func (f fault) wanted() string {
	if len(f.wants) == 0 {
		return ""
	}
	return "; want " + either(f.wants)
}

// refuse is a Refusal with a fault.
func refuse(reason decision.Reason, f fault) decision.Refusal {
	return decision.Refusal{Reason: reason, Cause: f}
}

// because is a Refusal with a constant cause.
func because(reason decision.Reason, why decision.Because) decision.Refusal {
	return decision.Refusal{Reason: reason, Cause: why}
}

// listed is how many values a cause lists.
const listed = 8

// either lists values that would have been right.
func either(values []string) string {
	var b strings.Builder
	for i, v := range values {
		switch {
		case i == listed:
			b.WriteString(" or " + strconv.Itoa(len(values)-i) + " others")
			return b.String()
		case i > 0 && i == len(values)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(v))
	}
	return b.String()
}

// shown is how many bytes of a value a cause shows.
const shown = 256

// show writes a value of a token as JSON, in ASCII and clipped.
func show(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "not to be shown"
	}
	text, cut := strings.TrimSuffix(b.String(), "\n"), ""
	if len(text) > shown {
		text, cut = strings.ToValidUTF8(text[:shown], ""), "..."
	}
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String() + cut
}

// within is a Cause that lies in the token inside of an encrypted one.
type within struct{ inner decision.Cause }

// String tells it without values.
func (w within) String() string { return "in the token inside, " + w.inner.String() }

// Detail tells all.
func (w within) Detail() string { return "in the token inside, " + w.inner.Detail() }

// inside says of a refusal that it is about the token inside.
func inside(no decision.Refusal) decision.Refusal {
	if no.Cause != nil {
		no.Cause = within{no.Cause}
	}
	return no
}

// timing is the Cause of a time that is wrong now.
type timing struct {
	claim, problem string
	at, now        time.Time
	field          string        // of the policy
	limit          time.Duration // that it has or defaults to
}

// String tells it without the time.
func (t timing) String() string {
	return t.claim + " " + t.problem + "; " + t.field + " is " + brief(t.limit)
}

// Detail tells how long ago or ahead it is.
func (t timing) Detail() string {
	text := t.claim + " was " + brief(t.now.Sub(t.at)) + " ago"
	if t.at.After(t.now) {
		text = t.claim + " is in " + brief(t.at.Sub(t.now))
	}
	return text + " (" + t.at.UTC().Format(time.RFC3339) + "); " + t.field + " is " + brief(t.limit)
}

// brief writes a duration in whole seconds, without zeros at its end: "3m".
func brief(d time.Duration) string {
	s := d.Truncate(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// keying is the Cause of a token that no key is for, or whose signature no key verifies. The names of keys are no
// secrets; what the token calls its key is its own.
type keying struct {
	problem string
	kid     string
	label   string // of the keys; empty: "the keys are"
	keys    []keyset.Key
}

// String names the keys.
func (k keying) String() string { return k.problem + k.named() }

// Detail names the keys and the token's kid.
func (k keying) Detail() string {
	if k.kid == "" {
		return k.String()
	}
	return k.problem + ": its kid is " + show(k.kid) + k.named()
}

func (k keying) named() string {
	if len(k.keys) == 0 {
		return "; there are no keys"
	}
	label := k.label
	switch {
	case label != "":
	case len(k.keys) == 1:
		label = "the key is"
	default:
		label = "the keys are"
	}
	var b strings.Builder
	b.WriteString("; " + label + " ")
	for i, key := range k.keys {
		switch {
		case i == listed:
			b.WriteString(" and " + strconv.Itoa(len(k.keys)-i) + " more")
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(key.String())
	}
	return b.String()
}

// kindOf names the type of a JSON value.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "null"
}

// wrongKind is the fault of a member or claim of another type than the one wanted.
func wrongKind(subject string, v any, want string) fault {
	return fault{subject: subject, problem: "is " + kindOf(v) + ", not " + want, has: v}
}
