// Command app is what the end-to-end tests run in their pods: an app that tells what reached it, a client, and a job.
//
//	app serve ADDR         answers every request with its method, path and identity headers
//	app get URL [TOKEN]    prints the status code and the body
//	app load URL TOKEN     sends requests of every kind until its input ends, then tells how many failed
//	app once URL           asks URL until it answers, then ends: a Job's main container
//	app hold               does nothing, until it is told to stop
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	if err := run(append(os.Args[1:], "", "", "")); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	switch args[0] {
	case "serve":
		return serve(args[1])
	case "get":
		return patient(func() error { return get(args[1], args[2]) })
	case "load":
		return runLoad(args[1], args[2])
	case "once":
		return once(args[1])
	case "hold":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
		return nil
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func serve(addr string) error {
	server := &http.Server{Addr: addr, ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(tell)}
	return server.ListenAndServe()
}

// tell answers with what the app saw of the request: "GET /orders x-user=alice token=true proto=http for=10.0.0.1". A WebSocket is
// echoed; ?after=300ms has the answer wait.
func tell(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "websocket" {
		echo(w, r)
		return
	}
	if d, err := time.ParseDuration(r.URL.Query().Get("after")); err == nil {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return
		}
	}
	fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
	for _, name := range []string{"X-User", "X-Client", "X-Roles"} {
		if v := r.Header.Values(name); len(v) > 0 {
			slices.Sort(v)
			fmt.Fprintf(w, " %s=%s", strings.ToLower(name), strings.Join(v, "|"))
		}
	}
	fmt.Fprintf(w, " token=%t proto=%s for=%s\n", r.Header.Get("Authorization") != "",
		r.Header.Get("X-Forwarded-Proto"), strings.ReplaceAll(r.Header.Get("X-Forwarded-For"), " ", ""))
}

func get(url, token string) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	fmt.Println(response.StatusCode)
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// patient tries again for a while what cannot connect: a node learns of new pods a moment after they are ready.
func patient(try func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		err := try()
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || time.Now().After(end) {
			return err
		}
	}
}

func once(url string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 50 {
		if get(url, "") == nil {
			return nil
		}
		<-tick.C
	}
	return errors.New(url + " never answered")
}
