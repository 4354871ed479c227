package decision

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// maxShared bounds the verdicts that a Pool shares. Tokens differ in far fewer ways than there are tokens; where they do
// not, a Subject has verdicts of its own.
const maxShared = 1024

// usualWords is how many words of 64 rules most Programs have at most.
const usualWords = 8

// Pool makes Subjects that are to be kept in great number: they share their verdicts where these are alike, and of the
// claims they hold what conditions on requests read. It is safe for concurrent use.
type Pool struct {
	program *Program

	mu     sync.Mutex
	shared map[string]*Subject // guarded by mu; by verdicts, without claims
}

// NewPool returns a pool of Subjects of the Program.
func (p *Program) NewPool() *Pool { return &Pool{program: p, shared: map[string]*Subject{}} }

// Bind is Program.Bind for a Subject that Decide judges alike, but that is of no use to Explain. bytes is the memory that
// the Subject takes and shares with no other.
func (p *Pool) Bind(claims Claims, verified IssuerSet) (s *Subject, bytes int) {
	if p.program == nil {
		return p.program.Bind(claims, verified), 0
	}
	if verified = p.program.known(verified); verified == 0 {
		claims = nil
	}
	var space [3 * usualWords]uint64
	common, bytes := p.share(p.program.settle(claims, verified, space[:]))
	switch reads := &p.program.reads; {
	case claims == nil || !reads.all && len(reads.names) == 0:
		return common, bytes
	case reads.all:
		return &Subject{settled: common.settled, claims: claims, extent: extent(map[string]any(claims))}, bytes + subjectBytes + sizeOf(map[string]any(claims))
	default:
		kept := reads.of(claims)
		for _, v := range kept {
			bytes += sizeOf(v)
		}
		return &Subject{settled: common.settled, kept: kept, extent: extent(kept)}, bytes + subjectBytes
	}
}

// share returns a Subject without claims that has these verdicts, and the bytes that it takes if it is not shared.
func (p *Pool) share(v settled) (*Subject, int) {
	var room [128]byte
	key := v.appendKey(room[:0])
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.shared[string(key)]; ok {
		return s, 0
	}
	own := v.clone()
	s := &Subject{settled: &own}
	if len(p.shared) < maxShared {
		p.shared[string(key)] = s
		return s, 0
	}
	return s, subjectBytes + v.size()
}

// clone is a copy that has its words for itself.
func (v *settled) clone() settled {
	own := *v
	own.fits, own.butScope, own.butLogin = slices.Clone(v.fits), slices.Clone(v.butScope), slices.Clone(v.butLogin)
	return own
}

// appendKey appends what is the same for verdicts of one Program that are alike.
func (v *settled) appendKey(key []byte) []byte {
	key = binary.AppendUvarint(key, uint64(v.verified))
	for _, words := range [][]uint64{v.fits, v.butScope, v.butLogin} {
		for _, w := range words {
			key = binary.AppendUvarint(key, w)
		}
	}
	return key
}

// size is the memory of verdicts, in bytes.
func (v *settled) size() int {
	return int(unsafe.Sizeof(*v)) + 8*3*len(v.fits)
}

const (
	subjectBytes   = (int(unsafe.Sizeof(Subject{})) + 15) &^ 15
	interfaceBytes = int(unsafe.Sizeof(any(nil)))
	textBytes      = int(unsafe.Sizeof(""))
)

// sizeOf is about the memory of a claim's value, in bytes, with the interface that holds it.
func sizeOf(v any) int {
	n := interfaceBytes
	switch v := v.(type) {
	case string:
		n += textBytes + roundUp(len(v))
	case json.Number:
		n += textBytes + roundUp(len(v))
	case []any:
		n += textBytes + textBytes/2
		for _, e := range v {
			n += sizeOf(e)
		}
	case map[string]any:
		const head, group, places = 48, 8, 8 // of a Go map: a head, and groups of 8 places
		n += head
		for range max(1, (len(v)+places-2)/(places-1)) {
			n += group + places*(textBytes+interfaceBytes)
		}
		for name, e := range v {
			n += roundUp(len(name)) + sizeOf(e) - interfaceBytes
		}
	}
	return n
}

// roundUp is what the allocator makes of small sizes.
func roundUp(n int) int { return (n + 15) &^ 15 }

// cloneClaim copies a claim's value, texts included.
func cloneClaim(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case json.Number:
		return json.Number(strings.Clone(string(v)))
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cloneClaim(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			out[strings.Clone(name)] = cloneClaim(e)
		}
		return out
	}
	return v
}
