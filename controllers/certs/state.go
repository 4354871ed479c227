package certs

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Entries of the Secret, as cert-manager names them where it has a name.
const (
	certEntry    = corev1.TLSCertKey
	keyEntry     = corev1.TLSPrivateKeyKey
	caEntry      = "ca.crt" // all that are trusted; the one that signs comes first
	caKeyEntry   = "ca.key"
	nextEntry    = "next.crt"
	nextKeyEntry = "next.key"
)

// Annotations of the Secret.
const (
	// AnnotationRotate asks for a new authority, whatever its value. It is taken off when there is one.
	AnnotationRotate = "bearerguard.dev/rotate"
	// annotationTrusted is when everybody was found to have the next authority.
	annotationTrusted = "bearerguard.dev/next-trusted-at"
	// annotationSigns is since when the authority signs, after a rotation.
	annotationSigns = "bearerguard.dev/signs-since"
)

// authority is a certificate that can sign others, and its key, PEM.
type authority struct{ cert, key []byte }

func (a authority) none() bool { return len(a.cert) == 0 }

// state is the Secret, read. Its byte slices are never written to.
type state struct {
	ca        authority // signs
	next      authority // is to sign later; none most of the time
	former    []byte    // authorities that sign no more and are still trusted, PEM
	cert, key []byte    // what is served, PEM

	trusted time.Time // when everybody was found to have next; zero: not yet
	signs   time.Time // since when ca signs; zero: from the beginning
	rotate  bool      // somebody asks for a new authority
}

// bundle returns all authorities that are to be trusted, PEM, the one that signs first.
func (s *state) bundle() []byte {
	return bytes.Join([][]byte{s.ca.cert, s.next.cert, s.former}, nil)
}

// read reads a Secret. With an error it returns a state if at least the authority is of use. The error never quotes
// the Secret.
func read(secret *corev1.Secret) (*state, error) {
	d := secret.Data
	blocks := certificates(d[caEntry])
	if len(blocks) == 0 {
		return nil, errors.New("ca.crt: holds no PEM certificate")
	}
	s := &state{
		ca: authority{cert: blocks[0], key: d[caKeyEntry]}, cert: d[certEntry], key: d[keyEntry],
		trusted: instant(secret.Annotations[annotationTrusted]), signs: instant(secret.Annotations[annotationSigns]),
	}
	_, s.rotate = secret.Annotations[AnnotationRotate]
	if _, err := s.ca.parse(); err != nil {
		return nil, fmt.Errorf("ca.crt and ca.key: %w", err)
	}
	// A next authority of no use is none: another is made when it is time.
	if next := (authority{cert: d[nextEntry], key: d[nextKeyEntry]}); !next.none() {
		if _, err := next.parse(); err == nil && len(certificates(next.cert)) == 1 {
			s.next = authority{cert: certificates(next.cert)[0], key: next.key}
		}
	}
	for _, b := range blocks[1:] {
		if !bytes.Equal(b, s.next.cert) {
			s.former = append(s.former, b...)
		}
	}
	_, err := check(s.cert, s.key, s.ca.cert)
	return s, err
}

// write puts the state into a Secret and leaves alone what is not its own.
func (s *state) write(secret *corev1.Secret) {
	secret.Data = map[string][]byte{
		caEntry: s.bundle(), caKeyEntry: s.ca.key, certEntry: s.cert, keyEntry: s.key,
	}
	if !s.next.none() {
		secret.Data[nextEntry], secret.Data[nextKeyEntry] = s.next.cert, s.next.key
	}
	notes := maps.Clone(secret.Annotations)
	if notes == nil {
		notes = map[string]string{}
	}
	if !s.rotate {
		delete(notes, AnnotationRotate)
	}
	for name, at := range map[string]time.Time{annotationTrusted: s.trusted, annotationSigns: s.signs} {
		delete(notes, name)
		if !at.IsZero() {
			notes[name] = at.UTC().Format(time.RFC3339Nano)
		}
	}
	secret.Annotations = notes
}

// instant reads a time; what is none is the zero time.
func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// certificates splits PEM into its certificates, each encoded again in one way. Other blocks are left out.
func certificates(text []byte) [][]byte {
	var out [][]byte
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return out
		}
		if b.Type == "CERTIFICATE" {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes}))
		}
	}
}

// holds reports whether every certificate of want is one of bundle's.
func holds(bundle, want []byte) bool {
	have := map[string]bool{}
	for _, c := range certificates(bundle) {
		have[string(c)] = true
	}
	for _, c := range certificates(want) {
		if !have[string(c)] {
			return false
		}
	}
	return true
}

// shares reports whether two bundles have a certificate in common.
func shares(a, b []byte) bool {
	for _, c := range certificates(b) {
		if holds(a, c) {
			return true
		}
	}
	return false
}
