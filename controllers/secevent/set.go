package secevent

import (
	"errors"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

const (
	// maxEvents is how many events a token may have.
	maxEvents = 16
	// caep, risc and ssf begin the names of events (CAEP 1.0 section 3, RISC 1.0 section 2, SSF 1.0 section 8.1.4).
	caep         = "https://schemas.openid.net/secevent/caep/event-type/"
	risc         = "https://schemas.openid.net/secevent/risc/event-type/"
	verification = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

// Signals is what a security event token says.
type Signals struct {
	// ID is its jti.
	ID string
	// Events are those that are known here.
	Events []Signal
	// Verified says that it is an answer to the question whether the stream works, and State is what was asked with; it may be empty.
	Verified bool
	State    string
}

// Signal is one event.
type Signal struct {
	Name policy.SignalEvent
	// Subject and Session are identifiers, of the subject and of its member session; one that cannot be read has no format.
	Subject, Session Identifier
	// At is when it happened, as far as the token tells.
	At time.Time
}

// Identifier names a subject (RFC 9493 section 3).
type Identifier struct {
	// Format is iss_sub, opaque or email; empty for others, which are not used.
	Format string
	// Issuer goes with iss_sub; Value is the sub, the id or the email.
	Issuer, Value string
}

// ReadSignals reads and verifies a security event token (RFC 8417 section 2, SSF 1.0 section 4). Its errors name what is wrong; ErrUnknownKey
// is one. Events of kinds that are not known are left out: a transmitter may have others.
func ReadSignals(raw string, keys []keyset.Key, r Rules, now time.Time) (Signals, error) {
	p, err := split(raw)
	if err != nil {
		return Signals{}, err
	}
	out, err := p.signals(r, now)
	if err != nil {
		return Signals{}, err
	}
	if err := p.verify(keys); err != nil {
		return Signals{}, err
	}
	return out, nil
}

func (p *parts) signals(r Rules, now time.Time) (out Signals, err error) {
	if p.typ != "secevent+jwt" { // SSF 1.0 section 4.1.1: always, so that no other kind of token is taken for one
		return out, errors.New("typ: is another kind of token's; want secevent+jwt")
	}
	if err := r.addressed(p.claims); err != nil {
		return out, err
	}
	issued, err := required(p.claims, "iat")
	switch {
	case err != nil:
		return out, err
	case issued.After(now.Add(Skew)):
		return out, errors.New("iat: is in the future")
	}
	if out.ID, err = text(p.claims, "jti"); err != nil || out.ID == "" {
		return Signals{}, errors.New("jti: is missing or no text")
	}
	events, ok := p.claims["events"].(map[string]any)
	if !ok || len(events) == 0 || len(events) > maxEvents {
		return Signals{}, errors.New("events: is no object with 1 to 16 members")
	}
	for name, v := range events {
		event, ok := v.(map[string]any)
		if !ok {
			return Signals{}, errors.New("events: has a member that is no object")
		}
		if name == verification {
			out.Verified = true
			out.State, _ = event["state"].(string)
			continue
		}
		if s, known, err := p.signal(name, event, issued); err != nil {
			return Signals{}, err
		} else if known {
			out.Events = append(out.Events, s)
		}
	}
	return out, nil
}

// signal reads an event; false: it is none that is known.
func (p *parts) signal(name string, event map[string]any, issued time.Time) (s Signal, known bool, err error) {
	switch s.Name = nameOf(name); s.Name {
	case policy.SessionRevoked, policy.CredentialChange, policy.TokenClaimsChange, policy.AccountDisabled, policy.AccountPurged:
	default:
		return s, false, nil
	}
	subject, ok := p.claims["sub_id"].(map[string]any) // SSF 1.0 section 4.1.2
	if !ok {
		if subject, ok = event["subject"].(map[string]any); !ok { // as before 1.0
			return s, false, errors.New("sub_id: is missing or no object")
		}
	}
	s.Subject, s.Session = identify(subject)
	if s.At, err = moment(event, "event_timestamp"); err != nil {
		return s, false, err
	}
	if s.At.IsZero() {
		if s.At, err = moment(p.claims, "toe"); err != nil { // RFC 8417 section 2.2
			return s, false, err
		}
	}
	if s.At.IsZero() || s.At.After(issued) { // what is to come takes nothing back
		s.At = issued
	}
	return s, true, nil
}

// nameOf returns the last part of an event's URI; empty for URIs of others.
func nameOf(uri string) policy.SignalEvent {
	if name, ok := strings.CutPrefix(uri, caep); ok {
		if e := policy.SignalEvent(name); e == policy.SessionRevoked || e == policy.CredentialChange || e == policy.TokenClaimsChange {
			return e
		}
	}
	name, ok := strings.CutPrefix(uri, risc)
	if !ok {
		return ""
	}
	switch name {
	case "sessions-revoked": // of RISC, before there was CAEP's
		return policy.SessionRevoked
	case "account-disabled", "account-purged":
		return policy.SignalEvent(name)
	}
	return ""
}

// identify reads a subject: a simple one, or one with members (SSF 1.0 section 3.2). What it says of tenant, device, application and the like
// makes the subject a narrower one, of which an access token tells nothing: then the whole user is meant, never everybody.
func identify(subject map[string]any) (user, session Identifier) {
	members := subject["format"] == "complex"
	if _, named := subject["format"]; !named { // as before 1.0
		_, a := subject["user"].(map[string]any)
		_, b := subject["session"].(map[string]any)
		members = a || b
	}
	if !members {
		return simple(subject), Identifier{}
	}
	if u, ok := subject["user"].(map[string]any); ok {
		user = simple(u)
	}
	if s, ok := subject["session"].(map[string]any); ok {
		session = simple(s)
	}
	return user, session
}

// simple reads an identifier (RFC 9493 section 3.2).
func simple(m map[string]any) (i Identifier) {
	var err error
	switch format, _ := m["format"].(string); format {
	case "iss_sub":
		i.Format = format
		if i.Issuer, err = text(m, "iss"); err == nil {
			i.Value, err = text(m, "sub")
		}
	case "opaque":
		i.Format = format
		i.Value, err = text(m, "id")
	case "email":
		i.Format = format
		i.Value, err = text(m, "email")
	}
	if err != nil || i.Value == "" {
		return Identifier{}
	}
	return i
}

// Taken are the entries that the events make in the set of a namespace. They follow from the token alone.
func (s Signals) Taken(source *policy.RevocationSource) (out []revoked.Record) {
	signals := source.SharedSignals
	for i := range s.Events {
		e := &s.Events[i]
		if !signals.Takes(e.Name) {
			continue
		}
		if e.Name == policy.SessionRevoked && e.Session.Format == "opaque" {
			out = append(out, session(source, e.Session.Value, e.At)...)
			continue
		}
		switch e.Subject.claim(source) {
		case policy.SubjectIsSub:
			out = append(out, subjectUntil(source, e.Subject.Value, e.At)...)
		case policy.SubjectIsSession:
			out = append(out, session(source, e.Subject.Value, e.At)...)
		default: // it is no claim of access tokens
		}
	}
	return out
}

// claim says what an identifier is in access tokens.
func (i Identifier) claim(source *policy.RevocationSource) policy.SubjectClaim {
	claim := policy.SubjectIgnored
	switch i.Format {
	case "iss_sub":
		if i.Issuer == source.Issuer {
			claim = policy.SubjectIsSub
		}
	case "opaque":
		if claim = source.SharedSignals.Subjects.Opaque; claim == "" {
			claim = policy.SubjectIsSub
		}
	case "email":
		if claim = source.SharedSignals.Subjects.Email; claim == "" {
			claim = policy.SubjectIgnored
		}
	}
	return claim
}
