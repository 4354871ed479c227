package page

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// maxQuestion is how long a question may be, in bytes.
const maxQuestion = 1 << 20

// Setting is where the playground is served.
type Setting string

const (
	// Alone says that it is all there is, at /.
	Alone Setting = ""
	// InDashboard says that it is one page of the dashboard, which it leads back to.
	InDashboard Setting = "dashboard"
)

// Handler serves the playground alone, as Local does. now is its clock. It is safe for concurrent use and keeps nothing of a
// question.
func Handler(now func() time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", Playground(now, Alone))
	mux.Handle("POST /decide", Playground(now, Alone))
	mux.Handle("GET /shared/", http.StripPrefix("/shared", Shared()))
	return Local(mux)
}

// Shared serves what the pages have in common. They look for it in the folder "shared" beside their own.
func Shared() http.Handler { return http.FileServerFS(folder("shared")) }

// Playground serves the playground at its root. It is to be behind Local.
func Playground(now func() time.Time, at Setting) http.Handler {
	files := folder("playground")
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		panic(err) // it is embedded
	}
	if at == InDashboard {
		index = bytes.Replace(index, []byte(`aria-label="Pages" hidden>`), []byte(`aria-label="Pages">`), 1)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(index) // who asked is gone
	})
	mux.HandleFunc("GET /examples.json", func(w http.ResponseWriter, _ *http.Request) { WriteJSON(w, Examples()) })
	mux.HandleFunc("POST /decide", inTurn(func(w http.ResponseWriter, r *http.Request) {
		var q Question
		if problem, status := ReadJSON(w, r, &q); status != 0 {
			http.Error(w, problem, status)
			return
		}
		WriteJSON(w, Decide(q, now()))
	}))
	return mux
}

// mostWaiting is how many questions wait for their turn. A page asks one at a time.
const mostWaiting = 16

// inTurn answers one question at a time: each may be much work, and whoever uses this machine can ask.
func inTurn(next http.HandlerFunc) http.HandlerFunc {
	turn, places := make(chan struct{}, 1), make(chan struct{}, mostWaiting)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "many questions wait for an answer: try again in a moment", http.StatusTooManyRequests)
			return
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
			next(w, r)
		case <-r.Context().Done(): // nobody waits for it any more
		}
	}
}

// folder returns one of the folders of assets.
func folder(name string) fs.FS {
	f, err := fs.Sub(assetFiles, "assets/"+name)
	if err != nil {
		panic(err) // it is embedded
	}
	return f
}

// ReadJSON reads the body of a request, of at most 1 MiB. A status of 0 means that it did.
func ReadJSON(w http.ResponseWriter, r *http.Request, into any) (problem string, status int) {
	if r.Header.Get("Content-Type") != "application/json" {
		return "the content type is not application/json", http.StatusUnsupportedMediaType
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return "the question is larger than 1 MiB", http.StatusRequestEntityTooLarge
	case err != nil:
		return "the question is not what the page sends", http.StatusBadRequest
	}
	return "", 0
}

// WriteJSON writes an answer.
func WriteJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked is gone
}

// Local serves a page to this machine. Requests whose Host is not this machine's loopback are refused, so that no name of somebody
// else's that points here reads answers (DNS rebinding), and so are writes that another site's page sends. Browsers are told to
// take nothing from anywhere else.
func Local(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			http.Error(w, "this page is for this machine alone: ask for 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// loopback reports whether a Host field names this machine.
func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback()
}
