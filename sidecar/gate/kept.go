package gate

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/sidecar/token"
)

// bearer is what is kept of one token: who it is, or why it is refused. It is immutable, so that it can be cached and
// shared. The nil bearer is a request without a token.
//
// Verified ones are kept by the ten thousand. So a bearer has neither the token nor its claims, refers to what it has in
// common with others, and holds its own texts in one piece.
type bearer struct {
	refused *finding // nil: verified; then nothing else is set
	subject *decision.Subject
	common  *common
	marks   token.Marks
	bound   *bound // nil: to nothing
	texts   texts  // the claim sub, then the values of the headers that common names
	until   int64  // when it stops to be good, in nanoseconds since 1970; 0: never
}

// bound is what few tokens are bound to: objects of this cluster, zero for none, and keys, nil for none.
type bound struct {
	pod, account departed.UID
	key          *token.Confirmation
}

// common is what many tokens have in common. It is immutable.
type common struct {
	issuer, keyID string
	headers       []string // names of the identity headers that the token gives a value to
	asked         bool     // the issuer was asked about the token
}

// newBearer makes of a token that was verified what is kept of it. bytes is the memory that it refers to alone.
func (s *Snapshot) newBearer(f *finding) (b bearer, bytes int) {
	claims := decision.Claims(f.verified.Claims)
	var roomOfNames, roomOfTexts [8]string
	var roomOfFields [8]Field
	names, own := roomOfNames[:0], append(roomOfTexts[:0], f.verified.Subject)
	for _, h := range s.appendIdentity(roomOfFields[:0], claims, f.by) {
		names, own = append(names, h.Name), append(own, h.Value)
	}
	b = bearer{texts: pack(own), marks: token.MarksOf(&f.verified), until: nanoseconds(f.until)}
	var verdicts, shared int
	b.subject, verdicts = s.subjects.Bind(claims, f.by)
	b.common, shared = s.commons.of(f.verified.Issuer, f.verified.KeyID, names, !f.fresh.IsZero())
	bytes = len(b.texts) + allocation + verdicts + shared
	b.bound = boundTo(&f.verified)
	return b, bytes + b.bound.bytes()
}

// boundTo returns what a token is bound to; nil for nothing.
func boundTo(v *token.Verified) *bound {
	if v.Pod == (departed.UID{}) && v.Account == (departed.UID{}) && !v.Confirmation.Bound() {
		return nil
	}
	to := &bound{pod: v.Pod, account: v.Account}
	if v.Confirmation.Bound() {
		key := v.Confirmation
		to.key = &key
	}
	return to
}

// bytes is the memory that it takes.
func (b *bound) bytes() int {
	switch {
	case b == nil:
		return 0
	case b.key == nil:
		return int(unsafe.Sizeof(*b)) + allocation
	}
	return int(unsafe.Sizeof(*b)) + allocation + int(unsafe.Sizeof(*b.key))
}

// allocation is what the allocator adds to a text, in bytes: sizes come in steps of 16.
const allocation = 8

// nanoseconds is a time since 1970; 0 for never, and for times that do not fit, which begin in the year 2262.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() || t.Year() > 2261 {
		return 0
	}
	return t.UnixNano()
}

// tell says who the bearer is.
func (b *bearer) tell(v *Verdict) {
	if b.refused != nil {
		v.KeyID = b.refused.keyID
		return
	}
	v.by = b.subject.Verified()
	v.KeyID, v.Issuer, v.Subject = b.common.keyID, b.common.issuer, b.texts.at(0)
}

// refuser is the issuer that does not take the token, or took it before it was taken back: its bit, plus one; 0 if it is
// not one.
func (b *bearer) refuser() int {
	switch {
	case b == nil:
		return 0
	case b.refused != nil:
		return b.refused.issuer
	}
	return bits.Len64(uint64(b.subject.Verified() & -b.subject.Verified()))
}

// end returns when it stops to be good; zero: never.
func (b *bearer) end() time.Time {
	if b.until == 0 {
		return time.Time{}
	}
	return time.Unix(0, b.until)
}

// identity returns the identity headers.
func (b *bearer) identity() Fields {
	if b.refused != nil {
		return Fields{}
	}
	return Fields{b.common.headers, b.texts}
}

// commons are the values of common that were met. It is safe for concurrent use.
type commons struct {
	mu  sync.Mutex
	met map[string]*common // guarded by mu; by appendCommon
}

// maxCommons bounds what is shared. Where anyIssuer is set, every token could bring an issuer of its own.
const maxCommons = 1024

// of returns a common of these that many may refer to, and the bytes that it takes if nobody else does. It keeps nothing of
// them but the text of the names.
func (cs *commons) of(issuer, keyID string, headers []string, asked bool) (*common, int) {
	var room [256]byte
	key := appendCommon(room[:0], issuer, keyID, headers, asked)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if have, ok := cs.met[string(key)]; ok {
		return have, 0
	}
	c := &common{strings.Clone(issuer), strings.Clone(keyID), slices.Clone(headers), asked}
	if len(cs.met) < maxCommons {
		cs.met[string(key)] = c
		return c, 0
	}
	return c, int(unsafe.Sizeof(*c)) + len(issuer) + len(keyID) + int(unsafe.Sizeof(""))*len(headers) + 3*allocation
}

// appendCommon appends what is the same for commons that are alike, and for no others: each text behind its length.
func appendCommon(key []byte, issuer, keyID string, headers []string, asked bool) []byte {
	key = strconv.AppendBool(key, asked)
	for _, s := range [...]string{issuer, keyID} {
		key = append(binary.AppendUvarint(key, uint64(len(s))), s...)
	}
	for _, s := range headers {
		key = append(binary.AppendUvarint(key, uint64(len(s))), s...)
	}
	return key
}
