package exchange

import (
	"strconv"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
	"github.com/bearerguard/bearerguard/sidecar/proxy/loop"
	"github.com/bearerguard/bearerguard/sidecar/refuse"
)

// Client is who asks. An Exchange calls it on its loop.
type Client interface {
	// Continue asks the client for a body that it holds back until somebody does (RFC 9110 section 10.1.1).
	Continue()
	// Switch sends the head of an answer that switches protocols, and gives its connection up. It returns nil if it cannot.
	Switch(x *Exchange, a *Answer) *loop.Conn
	// Interim sends an interim answer (RFC 9110 section 15.2).
	Interim(a *Answer)
	// Head sends the head of the answer. Where the answer has no body, it is the end of it.
	Head(x *Exchange, a *Answer)
	// Data sends a piece of the answer's body. Where it does not go out at once, Full holds until Exchange.ClientTakes.
	Data(p []byte)
	// Finish ends the answer, with what its trailer section says.
	Finish(trailers []head.Field)
	// Break ends an answer in a way that the client cannot take for its end. The error is why the app has broken it off; nil: it has not.
	Break(why error)
	// Full reports whether the client has yet to take some of the answer.
	Full() bool
	// Want has the request's body be read, by Exchange.Body.
	Want()
	// Guard runs something of the exchange's, whose panic is to end the client's connection and no other.
	Guard(do func())
	// Done is called when the exchange is over.
	Done()
}

// App is who answers.
type App interface {
	// Head sends the head of the request.
	Head(x *Exchange)
	// Data sends a piece of the request's body. Where it does not go out at once, Full holds until Exchange.AppTakes.
	Data(p []byte)
	// Finish ends the request, with what its trailer section says.
	Finish(trailers []head.Field)
	// Full reports whether the app has yet to take some of the request.
	Full() bool
	// Taken is a number that changes when the app takes some of the request while no more of it is given.
	Taken() uint64
	// Want has the answer be read again, after Exchange.Pauses.
	Want()
	// Cancel ends a request that nobody waits for. The App says nothing of it any more.
	Cancel()
}

// Apps has a client's connections to the app.
type Apps interface {
	// Open has an App get a request, by Exchange.Forward: at once, or, with Exchange.Waits, when there is a connection.
	Open(x *Exchange)
}

// Waiter waits for a connection to the app.
type Waiter interface {
	// Cancel ends the wait of a request that nobody waits for. The Waiter says nothing of it any more.
	Cancel()
}

// Fields takes the fields of a head, one after the other. What it gets is valid until all of them have been given.
type Fields interface {
	Field(name, value string)
}

// Answer is the head of an answer, of the app's or of our own.
type Answer struct {
	// Status is the status code; Text is how the app's status line had it, with its phrase, and may be empty.
	Status int
	Text   []byte
	// Length of the body in bytes; negative: it is not known before its end.
	Length int64
	// None says that there is no body, whatever the fields say: the request's method was HEAD, or the status has none.
	None bool

	x   *Exchange
	own *refuse.Response // in place of the app's
}

// Ours reports whether it is not the app's.
func (a *Answer) Ours() bool { return a.own != nil }

// Fields gives the fields that the client is to see, without those that frame or manage a connection, but with
// Content-Length.
func (a *Answer) Fields(to Fields) {
	if a.own == nil {
		a.x.answerFields(to)
		return
	}
	to.Field("Date", text(a.x.host.Date()))
	for _, f := range a.own.Header {
		to.Field(f.Name, f.Value)
	}
	if a.Status != 204 { // RFC 9110 section 8.6
		to.Field("Content-Length", strconv.Itoa(len(a.own.Body)))
	}
}
