package introspect

import "net/http"

// Through has an endpoint asked through a transport of a test's.
func (e *Endpoint) Through(t http.RoundTripper) { e.client.Transport = t }
