package relay

import (
	"sync"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// fieldRoom is how many fields there is room for before more is needed.
const fieldRoom = 24

// fieldRooms has room for fields of heads. Requests that wait for their bodies need none meanwhile.
var fieldRooms = sync.Pool{New: func() any { return new([fieldRoom]head.Field) }}

// lightExchanges are exchanges without room for fields.
var lightExchanges = sync.Pool{New: func() any { return &exchange{values: make([]string, 0, 8)} }}

// newLightExchange returns an exchange of a request that came in HTTP/2.
func newLightExchange(c *conn) *exchange {
	x := lightExchanges.Get().(*exchange)
	x.c, x.http2 = c, true
	takeFields(&x.req.Fields)
	takeFields(&x.res.Fields)
	return x
}

// releaseLight gives the exchange back. Nothing of the request stays in it.
func (x *exchange) releaseLight() {
	x.lighten()
	x.release() // into no pool, as it has no room for fields
	lightExchanges.Put(x)
}

// lighten gives back what is not needed once the request's head has been sent, up to when there is an answer.
func (x *exchange) lighten() {
	drop(x.out)
	x.out = nil
	giveFields(&x.req.Fields)
	giveFields(&x.res.Fields)
}

// giveFields gives the room of a list of fields back, if it has the usual size.
func giveFields(list *[]head.Field) {
	if cap(*list) == fieldRoom {
		room := (*[fieldRoom]head.Field)((*list)[:fieldRoom])
		clear(room[:])
		fieldRooms.Put(room)
	}
	*list = nil
}

// takeFields gives a list room if it has none.
func takeFields(list *[]head.Field) {
	if *list == nil {
		*list = fieldRooms.Get().(*[fieldRoom]head.Field)[:0]
	}
}

// headSize is about how long the head is that the app gets, in bytes.
func (x *exchange) headSize() int {
	n := added + len(x.req.Method) + len(x.req.Target) + len(x.req.Host)
	for i := range x.req.Fields {
		n += len(x.req.Fields[i].Name) + len(x.req.Fields[i].Value) + 4
	}
	return n
}
