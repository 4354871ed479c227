package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// requestBody is a request's body that knows whether all of it has been read.
type requestBody struct {
	io.ReadCloser
	left  int64 // bytes to come; negative if that is not known. Used by the reader alone
	ended atomic.Bool
}

// watchBody puts a requestBody in the place of a request's body.
func watchBody(r *http.Request) *requestBody {
	b := &requestBody{ReadCloser: r.Body, left: r.ContentLength}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		b.ended.Store(true)
		return b
	}
	r.Body = b
	return b
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 {
		if b.left -= int64(n); b.left <= 0 {
			b.ended.Store(true)
		}
	}
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}
