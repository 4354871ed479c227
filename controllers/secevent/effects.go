package secevent

import (
	"time"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// Taken are the entries that a logout makes in the set of a namespace. They follow from the token alone, so that one which comes twice
// makes nothing new.
func (l Logout) Taken(s *policy.RevocationSource) []revoked.Record {
	bySubject := l.Session == "" || l.Subject != "" && s.BackChannelLogout.By == policy.BySubject
	if bySubject {
		return subjectUntil(s, l.Subject, l.At)
	}
	return session(s, l.Session, l.At)
}

// subjectUntil takes back the tokens of a subject that were issued up to a time, that second included: iat has no smaller part.
func subjectUntil(s *policy.RevocationSource, subject string, at time.Time) []revoked.Record {
	return record(s, policy.RevocationEntry{Subject: subject, IssuedBefore: &policy.Time{Time: at.Truncate(time.Second).Add(time.Second)}}, at)
}

// session takes back the tokens of a session, whenever they were issued: it is over.
func session(s *policy.RevocationSource, sid string, at time.Time) []revoked.Record {
	return record(s, policy.RevocationEntry{Session: sid}, at)
}

// record makes an entry that lasts until the last token has expired that it can take back.
func record(s *policy.RevocationSource, e policy.RevocationEntry, at time.Time) []revoked.Record {
	e.ExpiresAt = &policy.Time{Time: at.Truncate(time.Second).Add(s.Lifetime() + 2*Skew)}
	r, ok := revoked.RecordOf(s.Issuer, &e)
	if !ok {
		return nil
	}
	return []revoked.Record{r}
}
