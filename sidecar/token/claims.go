package token

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/keyset/strictjson"
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
func (r *registered) parse(payload string) decision.Reason {
	all, err := strictjson.ObjectOf(payload)
	if err != nil {
		return decision.Malformed
	}
	r.all = all
	_, r.hasIss = all["iss"]
	ok := textClaim(all, "iss", &r.iss) && textClaim(all, "sub", &r.sub) && textClaim(all, "jti", &r.jti) &&
		textClaim(all, "sid", &r.sid) && dateClaim(all, "exp", &r.exp) && dateClaim(all, "nbf", &r.nbf) &&
		dateClaim(all, "iat", &r.iat) && audience(all["aud"], func(string) {})
	if _, has := all["aud"]; has && all["aud"] == nil || !ok {
		return decision.BadClaim
	}
	return ""
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
func (v *Verifier) check(r *registered, now time.Time) decision.Reason {
	if reason := v.checkTimes(r, now); reason != "" {
		return reason
	}
	if !v.anyAudience && !v.forUs(r) {
		return decision.WrongAudience
	}
	for _, p := range v.required {
		if value, ok := p.Lookup(r.all); !ok || value == nil {
			return decision.MissingClaim
		}
	}
	if v.accessToken {
		if reason := checkAccessToken(r.all); reason != "" {
			return reason
		}
	}
	if v.bound && objectUID(r.all, "pod") == (departed.UID{}) {
		return decision.Unbound
	}
	return binding(r.all)
}

// checkAccessToken wants the claims that RFC 9068 section 2.2 requires. iss, exp and aud are compared elsewhere, and
// sub, iat and jti have the right types already; an empty name names nobody.
func checkAccessToken(all decision.Claims) decision.Reason {
	if _, has := all["iat"]; !has {
		return decision.MissingClaim
	}
	for _, name := range []string{"sub", "client_id", "jti"} {
		v, has := all[name]
		if !has {
			return decision.MissingClaim
		}
		if s, _ := v.(string); s == "" {
			return decision.BadClaim
		}
	}
	return ""
}

// checkTimes compares exp, nbf and iat (RFC 7519 sections 4.1.4 to 4.1.6) with the clock skew to the token's favour.
func (v *Verifier) checkTimes(r *registered, now time.Time) decision.Reason {
	switch {
	case !r.exp.has && !v.allowMissingExp:
		return decision.MissingClaim
	case r.exp.has && !now.Before(r.exp.at.Add(v.skew)):
		return decision.Expired
	case r.nbf.has && now.Add(v.skew).Before(r.nbf.at), r.iat.has && now.Add(v.skew).Before(r.iat.at):
		return decision.NotYetValid
	case v.maxAge > 0 && !r.iat.has:
		return decision.MissingClaim
	case v.maxAge > 0 && now.After(r.iat.at.Add(v.maxAge+v.skew)):
		return decision.TooOld
	}
	return ""
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

// binding refuses a token that is bound to a key (RFC 7800 section 3, RFC 8705, RFC 9449): to take it as a bearer token
// would undo its protection. This is where a check of the binding will hook in.
func binding(all decision.Claims) decision.Reason {
	v, has := all["cnf"]
	if !has {
		return ""
	}
	if _, ok := v.(map[string]any); !ok {
		return decision.BadClaim
	}
	return decision.KeyBound
}
