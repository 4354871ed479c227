package certs

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"
)

// step is what is to be done with the certificates now.
type step string

// The steps. A rotation of the authority goes from announce to retire.
const (
	stepNone     step = ""
	stepRenew    step = "renew the serving certificate"
	stepAnnounce step = "announce the next authority"
	stepTrusted  step = "note that everybody trusts the next authority"
	stepPromote  step = "let the next authority sign"
	stepRetire   step = "trust the former authority no more"
	stepAnew     step = "begin anew, since the authority has expired"
)

// Times of a rotation. An authority has more than a serving certificate, so the latter's renewals are the common case.
const (
	renewAuthority = 180 * 24 * time.Hour // before it expires
	renewLeaf      = 30 * 24 * time.Hour
	// look is how often it is looked whether everybody trusts the next authority.
	look = time.Second
	// patience is how long the next authority waits for everybody: a namespace that takes no ConfigMap must not keep
	// the authority from being renewed.
	patience = 24 * time.Hour
)

// timing is how long the phases of a rotation last.
type timing struct {
	// overlap is how long everybody has to have the next authority before it signs: kubelets bring a ConfigMap into
	// pods within two minutes.
	overlap time.Duration
	// retire is how long the former authority is trusted on.
	retire time.Duration
}

func (t timing) withDefaults() timing {
	if t.overlap <= 0 {
		t.overlap = 10 * time.Minute
	}
	if t.retire <= 0 {
		t.retire = time.Hour
	}
	return t
}

// plan says what to do now, and when to ask again if nothing comes up. everybody says whether the next authority is
// published to all who are to trust it.
func plan(s *state, now time.Time, t timing, names []string, everybody bool) (step, time.Duration) {
	ca, leaf := parsed(s.ca.cert), parsed(s.cert)
	if !now.Before(ca.NotAfter) {
		return stepAnew, 0
	}
	renew := leaf.NotAfter.Add(-renewLeaf)
	if leaf.NotAfter.Equal(ca.NotAfter) {
		renew = leaf.NotAfter // the authority itself is what has to be renewed
	}
	if !now.Before(renew) || now.Before(leaf.NotBefore) || !covers(s.cert, names) {
		return stepRenew, 0
	}
	if !s.next.none() {
		return planNext(s, now, t, everybody)
	}
	wait := min(renew.Sub(now), ca.NotAfter.Add(-renewAuthority).Sub(now))
	if s.rotate || wait <= 0 {
		return stepAnnounce, 0
	}
	if len(s.former) > 0 {
		left := s.signs.Add(t.retire).Sub(now)
		if left <= 0 {
			return stepRetire, 0
		}
		wait = min(wait, left)
	}
	return stepNone, wait
}

// planNext is plan while another authority waits for its turn.
func planNext(s *state, now time.Time, t timing, everybody bool) (step, time.Duration) {
	if s.trusted.IsZero() {
		announced := parsed(s.next.cert).NotBefore.Add(early)
		if everybody || now.Sub(announced) >= patience {
			return stepTrusted, 0
		}
		return stepNone, look
	}
	if left := s.trusted.Add(t.overlap).Sub(now); left > 0 {
		return stepNone, left
	}
	return stepPromote, 0
}

// take returns the state after a step. It makes keys, so it is pure but for chance.
func (s state) take(what step, now time.Time, names []string) (*state, error) {
	var err error
	switch what {
	case stepNone:
	case stepRenew:
		s.cert, s.key, err = newLeaf(s.ca, now, names)
	case stepAnnounce:
		s.next, err = newAuthority(now)
		s.trusted, s.rotate = time.Time{}, false
	case stepTrusted:
		s.trusted = now
	case stepPromote:
		s.former, s.ca, s.next = s.ca.cert, s.next, authority{}
		s.trusted, s.signs = time.Time{}, now
		s.cert, s.key, err = newLeaf(s.ca, now, names)
	case stepRetire:
		s.former, s.signs = nil, time.Time{}
	case stepAnew:
		return begin(now, names)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return &s, nil
}

// begin returns the first state.
func begin(now time.Time, names []string) (*state, error) {
	ca, err := newAuthority(now)
	if err != nil {
		return nil, fmt.Errorf("make a certificate authority: %w", err)
	}
	s := state{ca: ca}
	return s.take(stepRenew, now, names)
}

// adopt returns the state in which somebody else's material takes over in good order: it is trusted next to ours first.
func (s state) adopt(other *state) *state {
	s.next, s.trusted, s.rotate = other.ca, time.Time{}, false
	return &s
}

// parsed returns the first certificate of PEM that has been checked before.
func parsed(certPEM []byte) *x509.Certificate {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return &x509.Certificate{}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return &x509.Certificate{}
	}
	return cert
}

// covers reports whether a certificate holds every name.
func covers(certPEM []byte, names []string) bool {
	cert := parsed(certPEM)
	for _, name := range names {
		if cert.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}
