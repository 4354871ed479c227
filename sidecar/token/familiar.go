package token

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

const (
	// maxFamiliar is how many headers are kept; another one takes the place of one with the same hash. A power of two.
	maxFamiliar = 64
	// maxFamiliarBytes is the longest header that is kept, as it is encoded.
	maxFamiliarBytes = 512
)

// familiar are headers of signed tokens that were genuine, by their exact text: an issuer writes the same one into all
// tokens by a key, and to read it again would say the same. So nobody but issuers has a say in what is kept, and no header
// is that is refused. It is safe for concurrent use.
type familiar struct {
	seed maphash.Seed
	kept [maxFamiliar]atomic.Pointer[familiarHeader]
}

// familiarHeader is immutable.
type familiarHeader struct {
	encoded string
	header  header
}

// familiarHeaders are those of this process.
var familiarHeaders = familiar{seed: maphash.MakeSeed()}

func (f *familiar) place(encoded string) *atomic.Pointer[familiarHeader] {
	return &f.kept[maphash.String(f.seed, encoded)%maxFamiliar]
}

// find returns the header of this text, if it is familiar.
func (f *familiar) find(encoded string) (header, bool) {
	if len(encoded) <= maxFamiliarBytes {
		if k := f.place(encoded).Load(); k != nil && k.encoded == encoded {
			return k.header, true
		}
	}
	return header{}, false
}

// keep makes the header of a genuine token familiar. It keeps nothing of the token's memory.
func (f *familiar) keep(encoded string, h *header) {
	if h.encrypted || len(encoded) > maxFamiliarBytes {
		return
	}
	own := header{alg: strings.Clone(h.alg), kid: strings.Clone(h.kid), typ: strings.Clone(h.typ), hasTyp: h.hasTyp, cty: strings.Clone(h.cty), hasCty: h.hasCty}
	f.place(encoded).Store(&familiarHeader{strings.Clone(encoded), own})
}
