package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/loopback"
)

// fetching tells how the fetches of key sources go.
type fetching interface {
	// Fetches says it by the sources' ids, of those that a namespace wants, or with "" of all.
	Fetches(namespace string) map[string]fetch.Report
}

// debugPages is the handler of --debug-address. It shows no key.
func debugPages(keys fetching) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/sources", loopback.Only(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"version": version, "time": time.Now().UTC(), "sources": keys.Fetches(r.URL.Query().Get("namespace"))})
	}))
	return mux
}

// serveDebug serves the pages until ctx is done. Without the address the controller does its work all the same.
func serveDebug(ctx context.Context, address string, keys fetching, log logr.Logger) error {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		log.Error(err, "--debug-address cannot be had; going on without")
		return nil
	}
	server := &http.Server{
		Handler: debugPages(keys), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
