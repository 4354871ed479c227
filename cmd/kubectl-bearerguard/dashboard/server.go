package dashboard

import (
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"io/fs"
	"net/http"
	"strings"

	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/page"
)

//go:embed assets
var assetFiles embed.FS

// NewSecret returns the path that a dashboard is served at: without it, whoever else uses this machine would read what its user may.
func NewSecret() string { return rand.Text() }

// Handler serves the dashboard at /SECRET/, as page.Local does, and nothing at any other path.
func (w *Watcher) Handler(secret string) http.Handler {
	assets, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(assets))
	mux.Handle("GET /shared/", http.StripPrefix("/shared", page.Shared()))
	playground := http.StripPrefix("/playground", page.Playground(w.now, page.InDashboard))
	mux.Handle("GET /playground/", playground)
	mux.Handle("POST /playground/decide", playground)
	mux.HandleFunc("GET /api/state", func(rw http.ResponseWriter, _ *http.Request) { page.WriteJSON(rw, w.State()) })
	mux.HandleFunc("GET /api/question", w.serveQuestion)
	mux.HandleFunc("GET /api/requests", w.serveRequests(make(chan struct{}, 1)))
	mux.HandleFunc("POST /api/explain", w.serveExplain)
	return page.Local(behind(secret, sameOrigin(mux)))
}

// behind serves what is below /SECRET/.
func behind(secret string, next http.Handler) http.Handler {
	below := http.StripPrefix("/"+secret, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first, _, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if !found || subtle.ConstantTimeCompare([]byte(first), []byte(secret)) != 1 {
			http.Error(w, "open the address that the command has printed, with all of its path", http.StatusNotFound)
			return
		}
		below.ServeHTTP(w, r)
	})
}

// sameOrigin refuses what the pages of others have a browser ask for. It comes on top of the path that they do not know.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch site := r.Header.Get("Sec-Fetch-Site"); {
		case !strings.HasPrefix(r.URL.Path, "/api/"), site == "", site == "same-origin", site == "none":
			next.ServeHTTP(w, r)
		default:
			http.Error(w, "the pages of others get nothing here", http.StatusForbidden)
		}
	})
}

func (w *Watcher) serveQuestion(rw http.ResponseWriter, r *http.Request) {
	e, ok := w.Example(r.URL.Query().Get("policy"))
	if !ok {
		http.Error(rw, "there is no such policy", http.StatusNotFound)
		return
	}
	page.WriteJSON(rw, e)
}

// serveRequests lets as many look for an id at a time as there are places, since each asks all sidecars.
func (w *Watcher) serveRequests(places chan struct{}) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		id := strings.TrimSpace(r.URL.Query().Get("id"))
		if id == "" || len(id) > longestID {
			http.Error(rw, "want the id of a request: requestId in the body of a refusal, or its header X-Request-Id", http.StatusBadRequest)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(rw, "sidecars are being asked about another id: try again in a moment", http.StatusTooManyRequests)
			return
		}
		page.WriteJSON(rw, w.Find(r.Context(), id))
	}
}

func (w *Watcher) serveExplain(rw http.ResponseWriter, r *http.Request) {
	var q Question
	if problem, status := page.ReadJSON(rw, r, &q); status != 0 {
		http.Error(rw, problem, status)
		return
	}
	page.WriteJSON(rw, w.Explain(r.Context(), &q))
}
