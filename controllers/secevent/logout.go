package secevent

import (
	"errors"
	"time"

	"github.com/bearerguard/bearerguard/api/keyset"
)

// MaxLogoutAge is how long ago a logout token may have been issued: providers send them at once and try again for minutes.
const MaxLogoutAge = 15 * time.Minute

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout is what a logout token says.
type Logout struct {
	// ID is its jti.
	ID string
	// Subject and Session are who has logged out of what; one of them may be empty.
	Subject, Session string
	// At is when it was issued.
	At time.Time
}

// ReadLogout reads and verifies a logout token (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6). Its errors name what is
// wrong; ErrUnknownKey is one. That it has not come before is the caller's to see to.
func ReadLogout(raw string, keys []keyset.Key, r Rules, now time.Time) (Logout, error) {
	p, err := split(raw)
	if err != nil {
		return Logout{}, err
	}
	out, err := p.logout(r, now) // first: to verify is dear, and nothing is done before both
	if err != nil {
		return Logout{}, err
	}
	if err := p.verify(keys); err != nil {
		return Logout{}, err
	}
	return out, nil
}

// logout reads the claims.
func (p *parts) logout(r Rules, now time.Time) (out Logout, err error) {
	switch p.typ {
	case "logout+jwt", "", "jwt": // explicit typing is recommended and not required (section 2.4); events below is
	default:
		return out, errors.New("typ: is another kind of token's; want logout+jwt")
	}
	if err := r.addressed(p.claims); err != nil {
		return out, err
	}
	if err := p.logoutTimes(&out, now); err != nil {
		return out, err
	}
	events, ok := p.claims["events"].(map[string]any)
	if !ok {
		return out, errors.New("events: is missing or no object")
	}
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return out, errors.New("events: has no " + logoutEvent)
	}
	if _, ok := p.claims["nonce"]; ok { // section 2.4: so that no ID token is taken for a logout token, nor the reverse
		return out, errors.New("nonce: is there, and must not be")
	}
	for name, to := range map[string]*string{"jti": &out.ID, "sub": &out.Subject, "sid": &out.Session} {
		if *to, err = text(p.claims, name); err != nil {
			return Logout{}, err
		}
	}
	switch {
	case out.ID == "":
		return Logout{}, errors.New("jti: is missing")
	case out.Subject == "" && out.Session == "":
		return Logout{}, errors.New("sub and sid: are both missing; a logout token names a subject, a session, or both")
	}
	return out, nil
}

func (p *parts) logoutTimes(out *Logout, now time.Time) (err error) {
	if out.At, err = required(p.claims, "iat"); err != nil {
		return err
	}
	exp, err := required(p.claims, "exp")
	switch {
	case err != nil:
		return err
	case out.At.After(now.Add(Skew)):
		return errors.New("iat: is in the future")
	case now.Sub(out.At) > MaxLogoutAge+Skew:
		return errors.New("iat: is more than 15 minutes ago")
	case !now.Before(exp.Add(Skew)):
		return errors.New("exp: is over")
	}
	return nil
}
