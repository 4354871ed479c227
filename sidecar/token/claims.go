package token

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
	"github.com/bearerguard/bearerguard/api/policy"
)

// maxDate is 9999-12-31T23:59:59Z: a later date is a mistake, such as milliseconds for seconds.
const maxDate = 253402300799

// registered are the claims whose meaning RFC 7519 section 4.1 fixes, of the right types, beside all claims.
type registered struct {
	all                decision.Claims
	iss, sub, jti, sid string
	hasIss             bool
	exp, nbf, iat      date
}

// date is a NumericDate (RFC 7519 section 2).
type date struct {
	at  time.Time
	has bool
}

// parse reads a payload: strict JSON, registered claims of the right types.
func (r *registered) parse(payload string) decision.Refusal {
	all, err := strictjson.ObjectOf(payload)
	if err != nil {
		return notJSON(inPayload, err)
	}
	return r.of(all)
}

// of takes claims that have been read.
func (r *registered) of(all map[string]any) decision.Refusal {
	r.all = all
	_, r.hasIss = all["iss"]
	ok := textClaim(all, "iss", &r.iss) && textClaim(all, "sub", &r.sub) && textClaim(all, "jti", &r.jti) &&
		dateClaim(all, "exp", &r.exp) && dateClaim(all, "nbf", &r.nbf) && dateClaim(all, "iat", &r.iat) &&
		audience(all["aud"], func(string) {})
	if _, has := all["aud"]; has && all["aud"] == nil || !ok {
		return badClaim(all)
	}
	// sid is no claim of RFC 7519: where it is no string, no revocation goes by it.
	r.sid, _ = all["sid"].(string)
	return decision.Refusal{}
}

// textClaim reads an optional string; null is not a string.
func textClaim(all map[string]any, name string, to *string) bool {
	v, has := all[name]
	if !has {
		return true
	}
	s, ok := v.(string)
	*to = s
	return ok
}

// dateClaim reads an optional NumericDate: a JSON number of seconds, whole or fractional, from 1970 to 9999.
func dateClaim(all map[string]any, name string, to *date) bool {
	v, has := all[name]
	if !has {
		return true
	}
	n, ok := v.(json.Number)
	if !ok {
		return false
	}
	to.has = true
	if !strings.ContainsAny(string(n), ".eE") {
		whole, err := strconv.ParseInt(string(n), 10, 64)
		to.at = time.Unix(whole, 0)
		return err == nil && whole >= 0 && whole <= maxDate
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || !(f >= 0 && f <= maxDate) {
		return false
	}
	whole, fraction := math.Modf(f)
	to.at = time.Unix(int64(whole), int64(fraction*1e9))
	return true
}

// badClaim says which registered claim has a wrong type or value.
func badClaim(all map[string]any) decision.Refusal {
	for _, name := range [...]string{"iss", "sub", "jti"} {
		var s string
		if !textClaim(all, name, &s) {
			return refuse(decision.BadClaim, wrongKind(name, all[name], "a string"))
		}
	}
	for _, name := range [...]string{"exp", "nbf", "iat"} {
		var d date
		if !dateClaim(all, name, &d) {
			return refuse(decision.BadClaim, badDate(name, all[name]))
		}
	}
	aud, has := all["aud"]
	if list, ok := aud.([]any); ok {
		for i, e := range list {
			if _, ok := e.(string); !ok {
				return refuse(decision.BadClaim, wrongKind(fmt.Sprintf("aud[%d]", i), e, "a string"))
			}
		}
	}
	if has {
		return refuse(decision.BadClaim, wrongKind("aud", aud, "a string or a list of strings"))
	}
	return decision.Refusal{Reason: decision.BadClaim}
}

// badDate says what is wrong with a time.
func badDate(name string, v any) fault {
	n, ok := v.(json.Number)
	switch {
	case !ok:
		return wrongKind(name, v, "a number of seconds since 1970")
	case strings.HasPrefix(string(n), "-"):
		return fault{subject: name, problem: "is before 1970", has: v}
	}
	return fault{subject: name, problem: "is after the year 9999: it may be in milliseconds; want seconds", has: v}
}

// audience calls yield for each audience and reports whether "aud" is a string or a list of strings (RFC 7519 section
// 4.1.3); a missing one has no audiences.
func audience(aud any, yield func(string)) bool {
	switch v := aud.(type) {
	case nil:
	case string:
		yield(v)
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return false
			}
			yield(s)
		}
	default:
		return false
	}
	return true
}

// check holds the claims against the issuer's rules, at the given time.
func (v *Verifier) check(r *registered, now time.Time) decision.Refusal {
	if no := v.checkTimes(r, now); no.Refused() {
		return no
	}
	if !v.anyAudience && !v.forUs(r) {
		aud, has := r.all["aud"]
		return decision.Refusal{Reason: decision.WrongAudience, Cause: addressee{aud: aud, has: has, wants: v.audiences}}
	}
	for _, p := range v.required {
		if value, ok := p.Lookup(r.all); !ok || value == nil {
			return refuse(decision.MissingClaim, fault{subject: p.String(), problem: "is missing or null; requiredClaims names it"})
		}
	}
	if no := v.checkSVID(r); no.Refused() {
		return no
	}
	if no := checkProfile(v.profile, r.all); no.Refused() {
		return no
	}
	if v.bound && objectUID(r.all, "pod") == (departed.UID{}) {
		return because(decision.Unbound, "kubernetes.io.pod.uid is missing: the token is bound to no pod; keys.kubernetes.allowUnbound: true takes such tokens")
	}
	return v.bindings.check(r.all)
}

// profileClaims are those that a profile requires, beside exp, aud and iss, which are compared elsewhere: RFC 9068 section
// 2.2; draft-ietf-oauth-transaction-tokens, the editors' copy of 2026-07-06, section 9.2.
func profileClaims(p policy.Profile) []string {
	switch p {
	case policy.ProfileRFC9068:
		return []string{"iat", "sub", "client_id", "jti"}
	case policy.ProfileTransactionToken:
		return []string{"iat", "txn", "sub", "scope", "req_wl"}
	}
	return nil
}

// checkProfile wants the claims that a profile requires. Those of RFC 7519 have the right types already; an empty name names
// nobody. The contexts of a transaction token are objects, if they are there.
func checkProfile(p policy.Profile, all decision.Claims) decision.Refusal {
	for _, name := range profileClaims(p) {
		v, has := all[name]
		s, isText := v.(string)
		switch {
		case !has:
			return refuse(decision.MissingClaim, fault{subject: name, problem: "is missing; profile " + string(p) + " requires it"})
		case name == "iat":
		case !isText:
			return refuse(decision.BadClaim, wrongKind(name, v, "a string"))
		case s == "":
			return refuse(decision.BadClaim, fault{subject: name, problem: "is empty; profile " + string(p) + " requires it"})
		}
	}
	if p != policy.ProfileTransactionToken {
		return decision.Refusal{}
	}
	for _, name := range [...]string{"tctx", "rctx"} {
		if v, has := all[name]; has {
			if _, ok := v.(map[string]any); !ok {
				return refuse(decision.BadClaim, wrongKind(name, v, "an object"))
			}
		}
	}
	return decision.Refusal{}
}

// checkTimes compares exp, nbf and iat (RFC 7519 sections 4.1.4 to 4.1.6) with the clock skew to the token's favour.
func (v *Verifier) checkTimes(r *registered, now time.Time) decision.Refusal {
	switch {
	case !r.exp.has && !v.allowMissingExp:
		return because(decision.MissingClaim, "exp is missing; allowMissingExp: true takes such tokens")
	case r.exp.has && !now.Before(r.exp.at.Add(v.skew)):
		return v.mistimed(decision.Expired, timing{claim: "exp", problem: "has passed", at: r.exp.at, now: now})
	case r.nbf.has && now.Add(v.skew).Before(r.nbf.at):
		return v.mistimed(decision.NotYetValid, timing{claim: "nbf", problem: "is in the future", at: r.nbf.at, now: now})
	case r.iat.has && now.Add(v.skew).Before(r.iat.at):
		return v.mistimed(decision.NotYetValid, timing{claim: "iat", problem: "is in the future", at: r.iat.at, now: now})
	case v.maxAge > 0 && !r.iat.has:
		return because(decision.MissingClaim, "iat is missing; maxAge counts from it")
	case v.maxAge > 0 && now.After(r.iat.at.Add(v.maxAge+v.skew)):
		return decision.Refusal{Reason: decision.TooOld, Cause: timing{
			claim: "iat", problem: "is longer ago than maxAge", at: r.iat.at, now: now, field: "maxAge", limit: v.maxAge,
		}}
	}
	return decision.Refusal{}
}

// mistimed is the Refusal of a time that clockSkew does not mend.
func (v *Verifier) mistimed(reason decision.Reason, t timing) decision.Refusal {
	t.field, t.limit = "clockSkew", v.skew
	return decision.Refusal{Reason: reason, Cause: t}
}

// forUs reports whether one of the issuer's audiences is in "aud".
func (v *Verifier) forUs(r *registered) bool {
	found := false
	audience(r.all["aud"], func(s string) {
		for _, a := range v.audiences {
			found = found || a == s
		}
	})
	return found
}
