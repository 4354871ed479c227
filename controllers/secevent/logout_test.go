package secevent_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/controllers/secevent"
)

const backChannel = "http://schemas.openid.net/event/backchannel-logout"

func logoutClaims(with object) object {
	return change(object{
		"iss": issuer, "aud": "shop", "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": "j1", "sub": "alice", "sid": "s1",
		"events": object{backChannel: object{}},
	}, with)
}

func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	p := provider()
	all := secevent.Logout{ID: "j1", Subject: "alice", Session: "s1", At: now}
	for name, tc := range map[string]struct {
		token string
		want  secevent.Logout
	}{
		"one that names both":                       {p.sign(header(nil), logoutClaims(nil)), all},
		"typ with its prefix, in upper case":        {p.sign(header(object{"typ": "application/LOGOUT+JWT"}), logoutClaims(nil)), all},
		"without typ":                               {p.sign(header(object{"typ": nil}), logoutClaims(nil)), all},
		"with typ JWT, as before there was another": {p.sign(header(object{"typ": "JWT"}), logoutClaims(nil)), all},
		"ES256":       {p.sign(header(object{"alg": "ES256", "kid": "e"}), logoutClaims(nil)), all},
		"PS256":       {p.sign(header(object{"alg": "PS256"}), logoutClaims(nil)), all},
		"without kid": {p.sign(header(object{"kid": nil}), logoutClaims(nil)), all},
		"for several clients, of which we are one":   {p.sign(header(nil), logoutClaims(object{"aud": []string{"x", "pay"}})), all},
		"a subject alone":                            {p.sign(header(nil), logoutClaims(object{"sid": nil})), secevent.Logout{ID: "j1", Subject: "alice", At: now}},
		"a session alone":                            {p.sign(header(nil), logoutClaims(object{"sub": nil})), secevent.Logout{ID: "j1", Session: "s1", At: now}},
		"sent again after ten minutes by a late one": {p.sign(header(nil), logoutClaims(object{"iat": now.Add(-10 * time.Minute).Unix()})), secevent.Logout{ID: "j1", Subject: "alice", Session: "s1", At: now.Add(-10 * time.Minute)}},
		"with other events and claims beside":        {p.sign(header(nil), logoutClaims(object{"trace": 1, "events": object{backChannel: object{"x": 1}, "urn:y": object{}}})), all},
	} {
		got, err := secevent.ReadLogout(tc.token, p.set, rules, now)
		if err != nil || !cmp.Equal(tc.want, got) {
			t.Errorf("%s: %v %s", name, err, cmp.Diff(tc.want, got))
		}
	}
}

// TestHostileLogoutTokens: each is one thing away from a good one.
func TestHostileLogoutTokens(t *testing.T) {
	t.Parallel()
	p, other := provider(), newSigner()
	good := p.sign(header(nil), logoutClaims(nil))
	signed := good[:strings.LastIndex(good, ".")]
	for name, tc := range map[string]struct{ token, wrong string }{
		"of another issuer":                         {p.sign(header(nil), logoutClaims(object{"iss": "https://evil.example.com"})), "iss: "},
		"of an issuer with a slash more":            {p.sign(header(nil), logoutClaims(object{"iss": issuer + "/"})), "iss: "},
		"whose issuer is a list":                    {p.sign(header(nil), logoutClaims(object{"iss": []string{issuer}})), "iss: "},
		"for another client":                        {p.sign(header(nil), logoutClaims(object{"aud": "mail"})), "aud: "},
		"for nobody":                                {p.sign(header(nil), logoutClaims(object{"aud": []string{}})), "aud: "},
		"without audience":                          {p.sign(header(nil), logoutClaims(object{"aud": nil})), "aud: "},
		"with a nonce":                              {p.sign(header(nil), logoutClaims(object{"nonce": "n"})), "nonce: "},
		"with a nonce that is null":                 {p.sign(header(nil), `{"iss":"`+issuer+`","aud":"shop","iat":1800000000,"exp":1800000100,"jti":"j","sub":"a","events":{"`+backChannel+`":{}},"nonce":null}`), "nonce: "},
		"an ID token":                               {p.sign(header(object{"typ": "JWT"}), logoutClaims(object{"events": nil, "nonce": "n"})), "events: "},
		"an access token":                           {p.sign(header(object{"typ": "at+jwt"}), logoutClaims(object{"events": nil})), "typ: "},
		"a security event token":                    {p.sign(header(object{"typ": "secevent+jwt"}), logoutClaims(nil)), "typ: "},
		"without events":                            {p.sign(header(nil), logoutClaims(object{"events": nil})), "events: "},
		"whose events are a list":                   {p.sign(header(nil), logoutClaims(object{"events": []string{backChannel}})), "events: "},
		"with another event":                        {p.sign(header(nil), logoutClaims(object{"events": object{"urn:x": object{}}})), "events: "},
		"whose event is null":                       {p.sign(header(nil), logoutClaims(object{"events": object{backChannel: []int{}}})), "events: "},
		"with neither sub nor sid":                  {p.sign(header(nil), logoutClaims(object{"sub": nil, "sid": nil})), "sub and sid: "},
		"with an empty sub, which might be anybody": {p.sign(header(nil), logoutClaims(object{"sub": "", "sid": nil})), "sub: "},
		"whose sub is a list":                       {p.sign(header(nil), logoutClaims(object{"sub": []string{"alice"}})), "sub: "},
		"with a sub of 2 KiB":                       {p.sign(header(nil), logoutClaims(object{"sub": strings.Repeat("a", 2048)})), "sub: "},
		"without jti":                               {p.sign(header(nil), logoutClaims(object{"jti": nil})), "jti: "},
		"without iat":                               {p.sign(header(nil), logoutClaims(object{"iat": nil})), "iat: "},
		"of yesterday":                              {p.sign(header(nil), logoutClaims(object{"iat": now.Add(-24 * time.Hour).Unix()})), "iat: "},
		"of tomorrow":                               {p.sign(header(nil), logoutClaims(object{"iat": now.Add(24 * time.Hour).Unix()})), "iat: "},
		"whose iat is text":                         {p.sign(header(nil), logoutClaims(object{"iat": "1800000000"})), "iat: "},
		"whose iat is beyond all numbers":           {p.sign(header(nil), `{"iss":"`+issuer+`","aud":"shop","iat":1e300,"exp":1800000100,"jti":"j","sub":"a","events":{"`+backChannel+`":{}}}`), "iat: "},
		"without exp":                               {p.sign(header(nil), logoutClaims(object{"exp": nil})), "exp: "},
		"that has expired":                          {p.sign(header(nil), logoutClaims(object{"exp": now.Add(-2 * time.Minute).Unix()})), "exp: "},
		"alg none":                                  {p.sign(header(object{"alg": "none"}), logoutClaims(nil)), "alg: "},
		"HS256 with the public key as secret":       {p.sign(header(object{"alg": "HS256"}), logoutClaims(nil)), "alg: "},
		"alg missing":                               {p.sign(header(object{"alg": nil}), logoutClaims(nil)), "alg: "},
		"alg of another case":                       {p.sign(header(object{"alg": "rs256"}), logoutClaims(nil)), "alg: "},
		"alg of another key type":                   {p.sign(header(object{"alg": "ES256", "kid": "r"}), logoutClaims(nil)), "kid: "},
		"signed by somebody else":                   {other.sign(header(nil), logoutClaims(nil)), "the signature: "},
		"with a key of its own":                     {other.sign(header(object{"jwk": object{"kty": "RSA"}}), logoutClaims(nil)), "the header: has jwk"},
		"crit":                                      {p.sign(header(object{"crit": []string{"x"}}), logoutClaims(nil)), "the header: has crit"},
		"b64":                                       {p.sign(header(object{"b64": false}), logoutClaims(nil)), "the header: has b64"},
		"zip":                                       {p.sign(header(object{"zip": "DEF"}), logoutClaims(nil)), "the header: has zip"},
		"an unknown kid":                            {p.sign(header(object{"kid": "z"}), logoutClaims(nil)), "kid: "},
		"a kid that is a list":                      {p.sign(header(object{"kid": []string{"r"}}), logoutClaims(nil)), "kid: "},
		"sub twice":                                 {p.sign(header(nil), `{"sub":"a","sub":"b"}`), "the payload: "},
		"cut off":                                   {good[:len(good)-10], "the signature: "},
		"with padding":                              {good + "=", "the signature: "},
		"with a line break":                         {good + "\n", "the signature: "},
		"of two parts":                              {signed, "the token: "},
		"of four parts":                             {good + ".x", "the token: "},
		"without a signature":                       {signed + ".", "the signature: "},
		"empty":                                     {"", "the token: "},
		"the JSON serialization":                    {`{"payload":"e30"}`, "the token: "},
		"of 100 KiB":                                {strings.Repeat("a", 100<<10), "the token: "},
	} {
		got, err := secevent.ReadLogout(tc.token, p.set, rules, now)
		if err == nil || !strings.HasPrefix(err.Error(), tc.wrong) {
			t.Errorf("%s: %+v, %v; want an error that begins with %q", name, got, err, tc.wrong)
		}
		if got != (secevent.Logout{}) {
			t.Errorf("%s: says %+v beside an error", name, got)
		}
		for _, secret := range []string{"alice", "s1", "evil"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells a value: %v", name, err)
			}
		}
	}
	if _, err := secevent.ReadLogout(p.sign(header(object{"kid": "z"}), logoutClaims(nil)), p.set, rules, now); !errors.Is(err, secevent.ErrUnknownKey) {
		t.Errorf("of an unknown key: %v", err)
	}
}

// TestWhatALogoutTakesBack judges tokens as a sidecar does.
func TestWhatALogoutTakesBack(t *testing.T) {
	t.Parallel()
	key := func(kind revoked.Kind, value string) revoked.Key { return revoked.KeyOf(kind, issuer, value) }
	alice, bob, session := key(revoked.Subject, "alice"), key(revoked.Subject, "bob"), key(revoked.Session, "s1")
	at := now.Unix()
	for name, tc := range map[string]struct {
		said   secevent.Logout
		by     policy.LogoutBy
		key    revoked.Key
		issued int64
		at     int64
		taken  bool
	}{
		"tokens of the session":                          {secevent.Logout{Subject: "alice", Session: "s1"}, "", session, at - 60, at, true},
		"tokens of the session, refreshed since":         {secevent.Logout{Subject: "alice", Session: "s1"}, "", session, at + 60, at + 60, true},
		"no other session's":                             {secevent.Logout{Subject: "alice", Session: "s1"}, "", alice, at - 60, at, false},
		"by subject, if asked for":                       {secevent.Logout{Subject: "alice", Session: "s1"}, policy.BySubject, alice, at - 60, at, true},
		"by session, where there is no subject":          {secevent.Logout{Session: "s1"}, policy.BySubject, session, at - 60, at, true},
		"by subject, where there is no session":          {secevent.Logout{Subject: "alice"}, "", alice, at - 60, at, true},
		"of the very second":                             {secevent.Logout{Subject: "alice"}, "", alice, at, at, true},
		"not those of the next log-in":                   {secevent.Logout{Subject: "alice"}, "", alice, at + 1, at + 1, false},
		"nobody else's":                                  {secevent.Logout{Subject: "alice"}, "", bob, at - 60, at, false},
		"until the last of them has expired":             {secevent.Logout{Subject: "alice"}, "", alice, at, at + 3600, true},
		"not for ever, since there is nothing to refuse": {secevent.Logout{Subject: "alice"}, "", alice, at, at + 3600 + 180, false},
	} {
		tc.said.At = now
		source := &policy.RevocationSource{
			Issuer: issuer, TokenLifetime: &policy.Duration{Duration: time.Hour}, BackChannelLogout: &policy.BackChannelLogout{By: tc.by},
		}
		list := revoked.Merge(tc.said.Taken(source))
		set := (*revoked.Set)(nil).Replace(map[byte][]revoked.List{tc.key[0]: {list.Part(tc.key[0])}})
		if got := set.Revokes(tc.key, tc.issued, tc.at); got != tc.taken || len(list) != 1 {
			t.Errorf("%s: taken back %v, want %v, by %d entries", name, got, tc.taken, len(list))
		}
	}
}

func FuzzReadLogout(f *testing.F) {
	p := provider()
	f.Add(p.sign(header(nil), logoutClaims(nil)))
	f.Add(p.sign(header(object{"alg": "ES256", "kid": "e"}), logoutClaims(object{"sub": nil})))
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		said, err := secevent.ReadLogout(raw, p.set, rules, now)
		if (err == nil) != (said != secevent.Logout{}) {
			t.Errorf("%+v, %v", said, err)
		}
	})
}
