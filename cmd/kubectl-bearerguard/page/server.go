package page

import (
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

// Handler serves the playground. Requests whose Host is not this machine's loopback are refused, so that no name of somebody
// else's that points here reads answers (DNS rebinding), and so are writes that another site's page sends.
// now is its clock. It is safe for concurrent use and keeps nothing of a question.
func Handler(now func() time.Time) http.Handler {
	assets, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(assets))
	mux.HandleFunc("GET /examples.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, Examples()) })
	mux.HandleFunc("POST /decide", func(w http.ResponseWriter, r *http.Request) {
		var q Question
		if problem, status := readJSON(w, r, &q); status != 0 {
			http.Error(w, problem, status)
			return
		}
		writeJSON(w, Decide(q, now()))
	})
	return local(http.NewCrossOriginProtection().Handler(mux))
}

// readJSON reads the body of a request. A status of 0 means that it did.
func readJSON(w http.ResponseWriter, r *http.Request, into any) (problem string, status int) {
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

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who asked is gone
}

// local refuses what does not ask for this machine, and tells browsers to take nothing from anywhere else.
func local(next http.Handler) http.Handler {
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
