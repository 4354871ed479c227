package exchange

import (
	"github.com/bearerguard/bearerguard/sidecar/proxy/head"
)

// Bounds of the interim (1xx) answers to one request: nobody waits for the client to take them. One counts once more for each interimBytes.
const (
	maxInterim   = 64
	interimBytes = 4 << 10
)

// Interim takes an interim answer of the app's, and passes it on.
func (x *Exchange) Interim(r *head.Response) {
	x.keepNothing()
	if x.interim += 1 + sizeOf(r.Fields)/interimBytes; x.interim > maxInterim {
		x.abandon()
		x.AppFails(head.ErrTooLarge)
		return
	}
	if x.asked && r.Status == 100 {
		return
	}
	x.asked = x.asked || r.Status == 100
	if x.Req.Minor == 1 || x.HTTP2 {
		x.res = r
		x.client.Interim(&Answer{Status: r.Status, Text: r.StatusText, None: true, x: x})
		x.res = nil
	}
}

// Answers takes the head of the app's answer. With last there is no body.
func (x *Exchange) Answers(r *head.Response, last bool) {
	h := x.host
	x.keepNothing()
	x.timer.Rest()
	x.step, x.told, x.status, x.res = stepAnswer, true, r.Status, r
	h.answer = Answer{Status: r.Status, Text: r.StatusText, Length: r.Length, None: x.Bodiless(r.Status), x: x}
	x.client.Head(x, &h.answer)
	h.answer, x.res = Answer{}, nil
	if x.whole { // else records of what becomes of its body say which request it is
		x.forget()
	}
	if last {
		x.answerEnds()
	}
}

// Bodiless reports whether an answer of a status has no body, whatever its fields say (RFC 9112 section 6.3).
func (x *Exchange) Bodiless(status int) bool {
	return x.isHead || status < 200 || status == 204 || status == 304
}

// Data takes a piece of the answer's body. The App gives no more while it returns false, until Want.
func (x *Exchange) Data(p []byte) (more bool) {
	x.client.Data(p)
	return !x.client.Full()
}

// AnswerEnds says that the answer is complete.
func (x *Exchange) AnswerEnds(trailers []head.Field) {
	x.client.Finish(trailers)
	x.answerEnds()
}

func (x *Exchange) answerEnds() {
	if !x.whole { // what the client still sends, nobody wants
		x.abandon()
	}
	x.app = nil
	x.over()
}

// answerFields gives the app's fields to the client.
func (x *Exchange) answerFields(to Fields) {
	r, cors := x.res, &x.verdict.CORS
	dated := false
	for i := range r.Fields {
		f := &r.Fields[i]
		dated = dated || f.Kind == head.Date
		if x.returns(r, f) {
			to.Field(text(f.Name), text(f.Value))
		}
	}
	if r.Status < 200 {
		return
	}
	for _, f := range cors.Set {
		to.Field(f.Name, f.Value)
	}
	if !dated {
		to.Field("Date", text(x.host.Date()))
	}
}

// returns says whether a field goes to the client as it came.
func (x *Exchange) returns(r *head.Response, f *head.Field) bool {
	switch f.Kind {
	case head.Connection, head.KeepAlive, head.ProxyConnection, head.ProxyAuthenticate, head.TransferEncoding, head.TE:
		return false
	case head.Upgrade:
		return r.Status == 101
	case head.ContentLength:
		return r.Status >= 200 && r.Status != 204
	default:
	}
	if cors := &x.verdict.CORS; cors.Owned && cors.Drops(text(f.Name)) {
		return false
	}
	return !r.Options || !nominated(r.Fields, f.Name)
}

// nominated reports whether a Connection field names the field.
func nominated(fields []head.Field, name []byte) bool {
	for i := range fields {
		if f := &fields[i]; f.Kind == head.Connection && head.Lists(f.Value, text(name)) {
			return true
		}
	}
	return false
}

// Trails says whether a field of an answer's trailer section goes to the client (RFC 9110 section 6.5.1).
func Trails(k head.Kind) bool {
	switch k {
	case head.ContentLength, head.TransferEncoding, head.Host, head.Connection, head.KeepAlive, head.ProxyConnection, head.Upgrade, head.Trailer, head.TE:
		return false
	default:
		return true
	}
}
