package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// app is the sample app behind the sidecar. It checks nothing: it says what it was asked and by whom, as far as the
// headers tell.
type app struct {
	url    string
	server *http.Server
}

// startApp listens on a free port. An app that ends early is not hidden: requests to it get 502.
func startApp(ctx context.Context) (*app, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &app{
		url:    "http://" + listener.Addr().String(),
		server: &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 5 * time.Second},
	}
	go func() { _ = a.server.Serve(listener) }() // until stop
	return a, nil
}

func (a *app) stop() { a.server.Close() }

// answer prints the request and its identity headers, in every spelling of their names.
func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	identity := map[string][]string{}
	for name, values := range r.Header {
		folded := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		identity[folded] = append(identity[folded], values...)
	}
	user, roles := "nobody", ""
	if values := identity["x-user"]; len(values) > 0 {
		user = strings.Join(values, " and ")
	}
	if values := identity["x-roles"]; len(values) > 0 {
		roles = " (" + strings.Join(values, ",") + ")"
	}
	fmt.Fprintf(w, "hello %s%s\n", user, roles)
}
