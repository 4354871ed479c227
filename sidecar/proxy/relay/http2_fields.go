package relay

import (
	"sync"

	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// fieldRoom is how many fields there is room for before more is needed.
const fieldRoom = 24

// fieldRooms has room for fields of heads. Requests that wait for their bodies need none meanwhile.
var fieldRooms = sync.Pool{New: func() any { return new([fieldRoom]head.Field) }}

// giveFields gives the room of a list of fields back, if it has the usual size.
func giveFields(list *[]head.Field) {
	if cap(*list) == fieldRoom {
		room := (*[fieldRoom]head.Field)((*list)[:fieldRoom])
		clear(room[:])
		fieldRooms.Put(room)
	}
	*list = nil
}

// takeFields gives an empty list room if it has none.
func takeFields(list *[]head.Field) {
	if *list == nil {
		*list = fieldRooms.Get().(*[fieldRoom]head.Field)[:0]
	}
}
