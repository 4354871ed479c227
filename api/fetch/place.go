package fetch

import (
	"context"
	"io"
)

const (
	// smallBody is what is read of any answer, in bytes. Key sets are smaller, nearly all.
	smallBody = 64 << 10
	// largeBodies is how many larger answers are held at a time in the whole process, until what is to be kept of them is
	// known: a thousand servers that each send a megabyte at once must not cost a gigabyte.
	largeBodies = 16
)

// places has an element for each large body that is held.
var places = make(chan struct{}, largeBodies)

// place is what one answer needs to be held. The zero place is for a small one.
type place struct{ large bool }

// read reads r to its end, or most bytes of it; those beyond smallBody once there is room for a large body.
func (p *place) read(ctx context.Context, r io.Reader, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, min(most, smallBody)))
	if err != nil || len(body) < smallBody || most <= smallBody {
		return body, err
	}
	select {
	case places <- struct{}{}:
		p.large = true
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	rest, err := io.ReadAll(io.LimitReader(r, most-smallBody))
	return append(body, rest...), err
}

// leave makes room for the next large body.
func (p *place) leave() {
	if p.large {
		<-places
		p.large = false
	}
}
