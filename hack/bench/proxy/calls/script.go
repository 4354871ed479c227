package main

import (
	"fmt"
	"time"

	"golang.org/x/net/http2/hpack"
)

// script says what a call sends and expects.
type script struct {
	sends   []batch
	turn    []byte // sent after an answer, so many times
	turns   int
	answers int  // messages that come back
	get     bool // a GET without gRPC
	counts  int  // messages of the call, both ways
}

const unarySize = 32 // bytes of both messages

// newScript makes the script of a kind of call; see the flags of load.
func newScript(kind string, messages, size int) (script, error) {
	if messages < 1 {
		return script{}, fmt.Errorf("-messages %d: at least 1 is needed", messages)
	}
	silent, echoed := newMessage(0, 0, size), newMessage(1, size, size)
	last := batch{message: newMessage(1, unarySize, size), times: 1}
	switch kind {
	case "get":
		return script{get: true}, nil
	case "unary":
		return script{sends: []batch{{message: newMessage(1, unarySize, unarySize), times: 1}}, answers: 1, counts: 2}, nil
	case "up":
		s := script{answers: 1, counts: messages + 1}
		if messages > 1 {
			s.sends = append(s.sends, batch{message: silent, times: messages - 1})
		}
		s.sends = append(s.sends, last)
		return s, nil
	case "down":
		return script{sends: []batch{{message: newMessage(messages, size, unarySize), times: 1}}, answers: messages, counts: messages + 1}, nil
	case "both":
		return script{sends: []batch{{message: echoed, times: messages}}, answers: messages, counts: 2 * messages}, nil
	case "turns":
		return script{sends: []batch{{message: echoed, times: 1}}, turn: echoed, turns: messages - 1, answers: messages, counts: 2 * messages}, nil
	}
	return script{}, fmt.Errorf("-kind %s: it is one of unary, get, up, down, both, turns", kind)
}

// fields are those that every call has, with room for a token.
func (s script) fields(path string) []hpack.HeaderField {
	method, more := "POST", []hpack.HeaderField{{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"}}
	if s.get {
		method, more = "GET", []hpack.HeaderField{{Name: "accept", Value: "*/*"}}
	}
	out := make([]hpack.HeaderField, 0, 8)
	out = append(out, hpack.HeaderField{Name: ":method", Value: method}, hpack.HeaderField{Name: ":scheme", Value: "http"},
		hpack.HeaderField{Name: ":path", Value: path}, hpack.HeaderField{Name: ":authority", Value: "orders.example.com"},
		hpack.HeaderField{Name: "user-agent", Value: "calls/1"})
	return append(out, more...)
}

// latencies counts calls by microsecond.
type latencies struct {
	slots [1_000_001]uint32 // the last one: a second or more
	all   int
}

func (h *latencies) add(d time.Duration) {
	h.slots[min(max(d.Microseconds(), 0), int64(len(h.slots)-1))]++
	h.all++
}

// at is the latency in us that a share of the calls do not exceed; 0 without calls.
func (h *latencies) at(share float64) float64 {
	rest := int(share*float64(h.all) + 0.5)
	for us, n := range h.slots {
		if rest -= int(n); rest <= 0 && h.all > 0 {
			return float64(us)
		}
	}
	return 0
}
