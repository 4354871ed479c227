package trace

import (
	"net/http"

	"github.com/bearerguard/bearerguard/api/tracing"
)

// Handler returns next with a Work in the context of each request that is sampled, whose name is name; next itself where there is no tracer.
func Handler(t *tracing.Tracer, name string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		work := Begin(t, tracing.Server, r.Header[tracing.Traceparent])
		if work == nil {
			next.ServeHTTP(w, r)
			return
		}
		defer work.End(name)
		next.ServeHTTP(w, r.WithContext(With(r.Context(), work)))
	})
}
