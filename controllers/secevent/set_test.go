package secevent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/secevent"
)

const (
	revokedEvent = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	changedEvent = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	disabled     = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	verification = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

var alice = object{"format": "iss_sub", "iss": issuer, "sub": "alice"}

func setHeader(with object) object { return header(change(object{"typ": "secevent+jwt"}, with)) }

func setClaims(with object) object {
	return change(object{
		"iss": issuer, "aud": "shop", "iat": now.Unix(), "jti": "j1", "sub_id": alice, "events": object{revokedEvent: object{}},
	}, with)
}

func TestSecurityEventTokens(t *testing.T) {
	t.Parallel()
	p := provider()
	user := secevent.Identifier{Format: "iss_sub", Issuer: issuer, Value: "alice"}
	session := secevent.Identifier{Format: "opaque", Value: "s1"}
	before := now.Add(-time.Hour)
	for name, tc := range map[string]struct {
		claims object
		want   secevent.Signals
	}{
		"a session of a user": {
			object{"sub_id": object{"format": "complex", "user": alice, "session": object{"format": "opaque", "id": "s1"}, "tenant": object{"format": "opaque", "id": "t"}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, Subject: user, Session: session, At: now}}},
		},
		"a user": {nil, secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, Subject: user, At: now}}}},
		"with the time of the event": {
			object{"events": object{changedEvent: object{"change_type": "update", "event_timestamp": before.Unix()}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.CredentialChange, Subject: user, At: before}}},
		},
		"with toe": {
			object{"toe": before.Unix(), "events": object{disabled: object{"reason": "hijacking"}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.AccountDisabled, Subject: user, At: before}}},
		},
		"of a time to come, which is not waited for": {
			object{"events": object{disabled: object{"event_timestamp": now.Add(24 * time.Hour).Unix()}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.AccountDisabled, Subject: user, At: now}}},
		},
		"with its subject in the event, as before 1.0": {
			object{"sub_id": nil, "events": object{revokedEvent: object{"subject": alice}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, Subject: user, At: now}}},
		},
		"with members and no format, as before 1.0": {
			object{"sub_id": nil, "events": object{revokedEvent: object{"subject": object{"user": alice, "session": object{"format": "opaque", "id": "s1"}}}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, Subject: user, Session: session, At: now}}},
		},
		"of yesterday, kept while we were away": {
			object{"iat": now.Add(-24 * time.Hour).Unix()},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, Subject: user, At: now.Add(-24 * time.Hour)}}},
		},
		"of a kind that is not known":  {object{"events": object{"urn:x": object{}}}, secevent.Signals{}},
		"an answer to a verification":  {object{"sub_id": object{"format": "opaque", "id": "stream"}, "events": object{verification: object{"state": "x"}}}, secevent.Signals{Verified: true, State: "x"}},
		"of a subject in another form": {object{"sub_id": object{"format": "phone_number", "phone_number": "1"}}, secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, At: now}}}},
		"of a tenant, which is not everybody": {
			object{"sub_id": object{"format": "complex", "tenant": object{"format": "opaque", "id": "t"}}},
			secevent.Signals{Events: []secevent.Signal{{Name: policy.SessionRevoked, At: now}}},
		},
	} {
		tc.want.ID = "j1"
		got, err := secevent.ReadSignals(p.sign(setHeader(nil), setClaims(tc.claims)), p.set, rules, now)
		if err != nil || !cmp.Equal(tc.want, got) {
			t.Errorf("%s: %v %s", name, err, cmp.Diff(tc.want, got))
		}
	}
}

func TestHostileSecurityEventTokens(t *testing.T) {
	t.Parallel()
	p, other := provider(), newSigner()
	many := object{}
	for _, c := range "abcdefghijklmnopq" {
		many["urn:"+string(c)] = object{}
	}
	for name, tc := range map[string]struct{ token, wrong string }{
		"of another issuer":       {p.sign(setHeader(nil), setClaims(object{"iss": "https://evil.example.com"})), "iss: "},
		"for another receiver":    {p.sign(setHeader(nil), setClaims(object{"aud": "mail"})), "aud: "},
		"a logout token":          {p.sign(header(nil), logoutClaims(nil)), "typ: "},
		"an access token":         {p.sign(setHeader(object{"typ": "at+jwt"}), setClaims(nil)), "typ: "},
		"without typ":             {p.sign(setHeader(object{"typ": nil}), setClaims(nil)), "typ: "},
		"of tomorrow":             {p.sign(setHeader(nil), setClaims(object{"iat": now.Add(24 * time.Hour).Unix()})), "iat: "},
		"without iat":             {p.sign(setHeader(nil), setClaims(object{"iat": nil})), "iat: "},
		"without jti":             {p.sign(setHeader(nil), setClaims(object{"jti": nil})), "jti: "},
		"without events":          {p.sign(setHeader(nil), setClaims(object{"events": object{}})), "events: "},
		"of 17 events":            {p.sign(setHeader(nil), setClaims(object{"events": many})), "events: "},
		"whose event is a text":   {p.sign(setHeader(nil), setClaims(object{"events": object{revokedEvent: "x"}})), "events: "},
		"without a subject":       {p.sign(setHeader(nil), setClaims(object{"sub_id": nil})), "sub_id: "},
		"whose time is text":      {p.sign(setHeader(nil), setClaims(object{"events": object{revokedEvent: object{"event_timestamp": "now"}}})), "event_timestamp: "},
		"signed by somebody else": {other.sign(setHeader(nil), setClaims(nil)), "the signature: "},
		"HS256 by the public key": {p.sign(setHeader(object{"alg": "HS256"}), setClaims(nil)), "alg: "},
		"alg none":                {p.sign(setHeader(object{"alg": "none"}), setClaims(nil)), "alg: "},
	} {
		got, err := secevent.ReadSignals(tc.token, p.set, rules, now)
		if err == nil || !strings.HasPrefix(err.Error(), tc.wrong) {
			t.Errorf("%s: %v; want an error that begins with %q", name, err, tc.wrong)
		}
		if !cmp.Equal(got, secevent.Signals{}) {
			t.Errorf("%s: says %+v beside an error", name, got)
		}
	}
}

func TestWhatSignalsTakeBack(t *testing.T) {
	t.Parallel()
	opaque := secevent.Identifier{Format: "opaque", Value: "x"}
	email := secevent.Identifier{Format: "email", Value: "x"}
	ours := secevent.Identifier{Format: "iss_sub", Issuer: issuer, Value: "x"}
	others := secevent.Identifier{Format: "iss_sub", Issuer: "https://other.example.com", Value: "x"}
	s1 := secevent.Identifier{Format: "opaque", Value: "s1"}
	for name, tc := range map[string]struct {
		event    secevent.Signal
		subjects policy.SignalSubjects
		events   []policy.SignalEvent
		want     string // kind and value; empty: nothing
	}{
		"a session":                                  {secevent.Signal{Name: policy.SessionRevoked, Subject: ours, Session: s1}, policy.SignalSubjects{}, nil, "is1"},
		"all sessions of a user":                     {secevent.Signal{Name: policy.SessionRevoked, Subject: ours}, policy.SignalSubjects{}, nil, "sx"},
		"a session whose name cannot be read":        {secevent.Signal{Name: policy.SessionRevoked, Subject: ours, Session: email}, policy.SignalSubjects{}, nil, "sx"},
		"a changed password of one session's user":   {secevent.Signal{Name: policy.CredentialChange, Subject: ours, Session: s1}, policy.SignalSubjects{}, nil, "sx"},
		"a user of another issuer":                   {secevent.Signal{Name: policy.SessionRevoked, Subject: others}, policy.SignalSubjects{}, nil, ""},
		"an opaque user":                             {secevent.Signal{Name: policy.AccountDisabled, Subject: opaque}, policy.SignalSubjects{}, nil, "sx"},
		"an opaque id that is a session":             {secevent.Signal{Name: policy.SessionRevoked, Subject: opaque}, policy.SignalSubjects{Opaque: policy.SubjectIsSession}, nil, "ix"},
		"an opaque id that is ignored":               {secevent.Signal{Name: policy.SessionRevoked, Subject: opaque}, policy.SignalSubjects{Opaque: policy.SubjectIgnored}, nil, ""},
		"an address, which is no sub":                {secevent.Signal{Name: policy.SessionRevoked, Subject: email}, policy.SignalSubjects{}, nil, ""},
		"an address that is the sub":                 {secevent.Signal{Name: policy.SessionRevoked, Subject: email}, policy.SignalSubjects{Email: policy.SubjectIsSub}, nil, "sx"},
		"nobody who can be named, and not everybody": {secevent.Signal{Name: policy.SessionRevoked}, policy.SignalSubjects{}, nil, ""},
		"an event that was not asked for":            {secevent.Signal{Name: policy.TokenClaimsChange, Subject: ours}, policy.SignalSubjects{}, nil, ""},
		"one that was":                               {secevent.Signal{Name: policy.TokenClaimsChange, Subject: ours}, policy.SignalSubjects{}, []policy.SignalEvent{policy.TokenClaimsChange}, "sx"},
	} {
		tc.event.At = now
		source := &policy.RevocationSource{Issuer: issuer, SharedSignals: &policy.SharedSignals{Subjects: tc.subjects, Events: tc.events}}
		got := secevent.Signals{Events: []secevent.Signal{tc.event}}.Taken(source)
		switch {
		case (len(got) == 1) != (tc.want != ""):
			t.Errorf("%s: %d entries", name, len(got))
		case tc.want != "":
			if want := revoked.KeyOf(revoked.Kind(tc.want[0]), issuer, tc.want[1:]); revoked.Key(got[0][:12]) != want {
				t.Errorf("%s: takes back something else", name)
			}
		}
	}
}

func FuzzReadSignals(f *testing.F) {
	p := provider()
	f.Add(p.sign(setHeader(nil), setClaims(nil)))
	f.Add(p.sign(setHeader(object{"alg": "ES256", "kid": "e"}), setClaims(object{"events": object{verification: object{}}})))
	// What is signed is the provider's word; the fuzzer may choose claims by signing them.
	f.Add(`{"iss":"https://login.example.com","aud":"shop","iat":1800000000,"jti":"j","sub_id":{"format":"complex"},"events":{"` + revokedEvent + `":{}}}`)
	source := &policy.RevocationSource{Issuer: issuer, SharedSignals: &policy.SharedSignals{}}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.HasPrefix(raw, "{") {
			raw = p.sign(setHeader(object{"alg": "ES256", "kid": "e"}), raw)
		}
		said, err := secevent.ReadSignals(raw, p.set, rules, now)
		if err != nil && said.ID != "" {
			t.Errorf("%+v, %v", said, err)
		}
		if n := len(said.Taken(source)); n > len(said.Events) {
			t.Errorf("%d entries of %d events", n, len(said.Events))
		}
	})
}
