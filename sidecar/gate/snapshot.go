package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/dpop"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// SnapshotOptions are settings of a Snapshot.
type SnapshotOptions struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// CacheBytes bounds the cache of verified tokens; 0 means DefaultCacheBytes, a negative number no cache.
	CacheBytes int64
	// OnLeftOut is told of each identity header that a token cannot give, when the token is verified; nil: nobody is. It
	// must not block.
	OnLeftOut func(LeftOut)
	// Endpoints returns where issuers are asked about tokens, in order; nil for one that cannot be asked. Nil: none can.
	Endpoints func([]Asked) ([]Endpoint, error)
}

// DefaultCacheBytes is the default bound of the cache of verified tokens: room for 50,000 at 350 bytes each, for the
// texts of those that are used most, and for some more identity headers.
const DefaultCacheBytes = 24 << 20

// Snapshot is a bundle ready to judge requests. It is immutable but for its cache, which starts empty, so that nothing
// verified under other keys or policies outlives them. It is safe for concurrent use.
type Snapshot struct {
	version    string
	built      time.Time
	policies   []string // ids
	issuers    int
	unresolved []string
	keyless    string // an Enforce policy of which no issuer has keys
	program    *decision.Program
	identity   []identity
	onLeftOut  func(LeftOut) // nil: nobody is told
	resources  map[*decision.Resource]*described
	offers     *offers // nil: no token is taken under the scheme DPoP
	names      *names
	strip      bool // a policy says Strip
	enforce    side
	audit      side
	auditing   bool // there are Audit policies
	cache      *token.Cache[bearer]
	subjects   *decision.Pool
	commons    commons
	answers    *answers
}

// side is the issuers of one mode: tokens are looked for and verified separately for Enforce and for Audit policies, so
// that the latter change nothing.
type side struct {
	locator *token.Locator
	issuers []issuer
	names   []token.Named // of the issuers
	audit   bool

	proving  []proving // of the issuers that take tokens bound by DPoP
	onlyDPoP bool      // all take those alone

	asks bool // there are issuers that are asked about tokens
}

type issuer struct {
	bit      int // in decision.IssuerSet
	name     string
	verifier *token.Verifier
	source   string         // id of the key source; empty: its keys are not fetched
	maxAge   time.Duration  // with the clock skew; 0: no limit
	proofs   *dpop.Settings // nil: it takes no tokens bound by DPoP
	onlyDPoP bool           // it takes no others
	endpoint Endpoint       // where it is asked about tokens; nil: it is not, or cannot be
	ttl      time.Duration  // how long what it says is used
}

// NewSnapshot compiles a bundle. The version is for logs and acknowledgements. The error names everything that is wrong
// and no key or token; the caller keeps the snapshot it has.
func NewSnapshot(b *bundle.Bundle, version string, o SnapshotOptions) (*Snapshot, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	compiled := make([]decision.Policy, 0, len(b.Policies))
	for _, p := range b.Policies {
		compiled = append(compiled, decision.Policy{Namespace: p.Namespace, Name: p.Name, Spec: p.Spec})
	}
	program, err := decision.Compile(compiled)
	if err != nil {
		return nil, fmt.Errorf("compile policies: %w", err)
	}
	now := o.Now()
	s := &Snapshot{
		version: version, built: now, issuers: len(program.Issuers()), program: program,
		cache:    token.NewCache[bearer](max(o.CacheBytes, 0)),
		subjects: program.NewPool(), commons: commons{met: map[string]*common{}},
		onLeftOut: o.OnLeftOut,
	}
	for _, p := range compiled {
		s.policies = append(s.policies, p.ID())
	}
	s.keyless, s.answers = keyless(b), newAnswers()
	s.resources = describeAll(program)
	if err := s.addForwarding(b); err != nil {
		return nil, err
	}
	if err := s.addIssuers(b, o.Endpoints); err != nil {
		return nil, err
	}
	return s, nil
}

// Version returns the version given to NewSnapshot.
func (s *Snapshot) Version() string { return s.version }

// Policies returns the ids ("namespace/name") of the policies, Enforce and Audit. The caller must not change the slice.
func (s *Snapshot) Policies() []string { return s.policies }

// Summary is what may be shown of a snapshot: it holds no key and no token.
type Summary struct {
	Version    string      `json:"version"`
	Built      time.Time   `json:"built"`
	Policies   int         `json:"policies"`
	Issuers    int         `json:"issuers"`
	Unresolved []string    `json:"unresolved,omitempty"` // ids of key sources without keys yet
	Cache      token.Stats `json:"cache"`
}

// Summary describes the snapshot.
func (s *Snapshot) Summary() Summary {
	return Summary{
		Version: s.version, Built: s.built, Policies: len(s.policies), Issuers: s.issuers,
		Unresolved: s.unresolved, Cache: s.cache.Stats(),
	}
}

// CacheStats returns the counts of the cache of verified tokens.
func (s *Snapshot) CacheStats() token.Stats { return s.cache.Stats() }

// addIssuers makes a verifier for each issuer. One without keys yet gets one that answers KeysUnavailable.
func (s *Snapshot) addIssuers(b *bundle.Bundle, open func([]Asked) ([]Endpoint, error)) error {
	byID := make(map[string]bundle.Policy, len(b.Policies))
	for _, p := range b.Policies {
		byID[decision.Policy{Namespace: p.Namespace, Name: p.Name}.ID()] = p
	}
	keys := keyCache{bundle: b, sets: map[keyUse]*keyset.Set{}}
	var specs [2][]policy.Issuer
	var problems []error
	var asked asked
	for bit, is := range s.program.Issuers() {
		p := byID[is.Policy]
		if is.Index >= len(p.Keys) || is.Index >= len(p.Decryption) {
			return fmt.Errorf("%s: spec.issuers[%d]: the bundle names no key set for it", is.Policy, is.Index)
		}
		one, err := keys.issuer(is.Spec, p.Keys[is.Index], p.Decryption[is.Index])
		if err == nil {
			one.proofs, err = keys.proofs(p.Namespace, is.Spec)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: spec.issuers[%d]: %w", is.Policy, is.Index, err))
			continue
		}
		one.bit, one.name = bit, is.Spec.Name
		to, at := &s.enforce, 0
		if is.Audit {
			to, at = &s.audit, 1
		}
		if is.Spec.Introspection != nil {
			one.ttl, to.asks = answerTTL(is.Spec.Introspection), true
			asked.add(to, keys.credential(p.IntrospectionOf(is.Index)), is.Spec)
		}
		to.issuers = append(to.issuers, one)
		if one.proofs != nil {
			to.wantsProof(one.proofs, bit, len(to.issuers)-1)
		}
		to.onlyDPoP = (to.onlyDPoP || len(to.issuers) == 1) && one.onlyDPoP
		if is.Spec.Issuer != "" {
			to.names = append(to.names, token.Named{Policy: is.Policy, Name: is.Spec.Name, Issuer: is.Spec.Issuer})
		}
		specs[at] = append(specs[at], is.Spec)
	}
	if len(problems) == 0 { // else those of the snapshot in force stay open
		if err := asked.open(open); err != nil {
			problems = append(problems, err)
		}
	}
	s.unresolved = keys.unresolved
	s.enforce.locator, s.audit.locator = token.NewLocator(specs[0]), token.NewLocator(specs[1])
	s.audit.audit = true
	s.offers = newOffers(&s.enforce)
	return errors.Join(problems...)
}

// addForwarding prepares the forward sections of the Enforce policies, which are in the order of their names.
func (s *Snapshot) addForwarding(b *bundle.Bundle) error {
	own := map[string]decision.IssuerSet{}
	for bit, is := range s.program.Issuers() {
		own[is.Policy] = own[is.Policy].With(bit)
	}
	var specs []policy.Spec
	for _, p := range b.Policies {
		id := decision.Policy{Namespace: p.Namespace, Name: p.Name}.ID()
		if p.Spec.Mode == policy.Audit {
			s.auditing = true
			continue
		}
		specs = append(specs, p.Spec)
		s.strip = s.strip || p.Spec.Forward != nil && p.Spec.Forward.Token == policy.Strip
		one, err := newIdentity(id, p.Spec.Forward, own[id])
		if err != nil {
			return fmt.Errorf("%s: spec.forward.headers: %w", id, err)
		}
		s.identity = append(s.identity, one)
	}
	s.names = newNames(specs)
	return nil
}
