// Command idle holds idle connections of HTTP/1.1 over TLS to HOST:PORT.
//
//	idle [-c N] [-p PATH] [-t FILE [-k N]] HOST:PORT
//
// It opens them in turns, sends one request on each and reads the answer, prints one line of JSON as the load generators
// beside it do, and holds all until stdin ends. The certificate is not checked. Anything but a 200 ends it with an error.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	inTurns = 16 // connections that are being opened at a time, at most
	patient = 30 * time.Second
)

// result is what is printed.
type result struct {
	Requests int
	Seconds  float64
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

// run opens the connections, prints the line, and returns when in ends.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet("idle", flag.ContinueOnError)
	count := f.Int("c", 64, "connections")
	path := f.String("p", "/orders/small", "path")
	file := f.String("t", "", "`file` of Bearer tokens, one a line, sent in turn")
	first := f.Int("k", 0, "only so many of the tokens; 0: all")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 || *count < 1 {
		return errors.New("usage: idle [-c connections] [-p path] [-t tokens [-k n]] HOST:PORT")
	}
	requests, err := readRequests(*path, *file, *first)
	if err != nil {
		return err
	}
	begin := time.Now()
	conns, err := open(ctx, f.Arg(0), *count, requests)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(result{Requests: len(conns), Seconds: time.Since(begin).Seconds()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// readRequests makes a request for each token of the file; one without a token if there is no file.
func readRequests(path, file string, first int) ([]string, error) {
	request := func(more string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: bench.example.com\r\nUser-Agent: idle\r\nAccept: */*\r\n" + more + "\r\n"
	}
	if file == "" {
		return []string{request("")}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, token := range strings.Fields(string(text)) {
		if first > 0 && len(out) == first {
			break
		}
		out = append(out, request("Authorization: Bearer "+token+"\r\n"))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no token", file)
	}
	return out, nil
}

// open opens so many connections, a few at a time. Those that were opened are returned with an error too.
func open(ctx context.Context, address string, count int, requests []string) ([]net.Conn, error) {
	conns := make([]net.Conn, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inTurns)
	for i := range conns {
		group.Go(func() (err error) {
			if ctx.Err() != nil { // another one has failed
				return ctx.Err()
			}
			if conns[i], err = ask(ctx, address, requests[i%len(requests)]); err != nil {
				return fmt.Errorf("connection %d: %w", i+1, err)
			}
			return nil
		})
	}
	return conns, group.Wait()
}

// ask opens a connection, sends the request and reads the answer.
func ask(ctx context.Context, address, request string) (conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}} //nolint:gosec // made for the run
	if conn, err = dialer.DialContext(ctx, "tcp", address); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
			conn = nil
		}
	}()
	if err = conn.SetDeadline(time.Now().Add(patient)); err != nil {
		return conn, err
	}
	if _, err = io.WriteString(conn, request); err != nil {
		return conn, err
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
	if err != nil {
		return conn, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return conn, fmt.Errorf("the answer is %s", answer.Status)
	}
	if answer.Close {
		return conn, errors.New("the answer ends the connection")
	}
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return conn, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		if conn != nil {
			conn.Close()
		}
	}
}
