package exchange

import (
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
)

// Intake is for an end whose peer sends a body when it likes, within a window, as in HTTP/2: what the exchange does not want yet is held,
// and the window is opened as the exchange takes. The zero Intake wants nothing.
type Intake struct {
	held     loop.Buffer
	trailers []head.Field
	owed     int // bytes that were given on and are not taken yet
	open     bool
	ended    bool
	busy     bool // a call of the Sink's is under way
	over     bool
}

// Sink is whom an Intake gives a body to.
type Sink interface {
	// Give gives a piece on. It returns false if no more is wanted until Intake.Want.
	Give(p []byte) (more bool)
	// Took says that n bytes have been taken.
	Took(n int)
	// Ends says that the body was whole.
	Ends(trailers []head.Field)
}

// Data takes a piece of the body.
func (in *Intake) Data(s Sink, p []byte) {
	switch {
	case in.over:
		s.Took(len(p))
	case !in.open || in.busy || in.held.Len() > 0:
		in.held.Append(p)
	default:
		in.give(s, p)
	}
}

// End takes the end of the body, whose trailers must stay valid.
func (in *Intake) End(s Sink, trailers []head.Field) {
	in.ended, in.trailers = true, trailers
	in.flow(s)
}

// Want has what comes be given on.
func (in *Intake) Want(s Sink) {
	if in.over {
		return
	}
	in.open = true
	if n := in.owed; n > 0 {
		in.owed = 0
		s.Took(n)
	}
	in.flow(s)
}

// Open reports whether more is waited for.
func (in *Intake) Open() bool { return in.open && !in.ended && !in.over }

// Ended reports whether the end of the body has come, and waits for the exchange to want it.
func (in *Intake) Ended() bool { return in.ended && !in.over }

// Stop drops what is held: nobody wants it. What comes still is taken for nobody.
func (in *Intake) Stop(s Sink) {
	if in.over {
		return
	}
	in.over = true
	n := in.owed + in.held.Len()
	in.owed, in.trailers = 0, nil
	if !in.busy {
		in.held.Drop()
	}
	if n > 0 {
		s.Took(n)
	}
}

// flow gives on what is held, as far as it is wanted.
func (in *Intake) flow(s Sink) {
	for !in.busy && in.open && !in.over && in.held.Len() > 0 {
		p := in.held.Bytes()
		p = p[:min(len(p), loop.MediumBlock)]
		in.give(s, p)
		in.held.Take(len(p))
	}
	if (in.over || in.held.Len() == 0) && !in.busy {
		in.held.Drop()
	}
	if in.ended && in.open && !in.busy && !in.over && in.held.Len() == 0 {
		in.over = true
		s.Ends(in.trailers)
	}
}

func (in *Intake) give(s Sink, p []byte) {
	in.busy = true
	more := s.Give(p)
	in.busy = false
	switch {
	case in.over, more:
		s.Took(len(p))
	default:
		in.owed += len(p)
		in.open = false
	}
}
