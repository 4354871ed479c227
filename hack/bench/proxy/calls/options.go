package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"
)

// options are those of calls load.
type options struct {
	conns, streams int
	time           time.Duration
	calls          int // stop after so many; 0: after time
	rate           int // calls a second at fixed times; 0: as fast as answers come
	path, tokens   string
	first          int // so many tokens of the file
	kind           string
	messages, size int
	hold           bool
	port           int
}

func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("calls load", flag.ContinueOnError)
	f.IntVar(&o.conns, "c", 16, "connections")
	f.IntVar(&o.streams, "m", 16, "calls at a time on each connection")
	f.DurationVar(&o.time, "d", 3*time.Second, "how long")
	f.IntVar(&o.calls, "n", 0, "stop after so many calls; if they are not done within a minute, fail")
	f.IntVar(&o.rate, "r", 0, "calls a second at fixed times, whatever the answers do; latency counts from the time a call was due")
	f.StringVar(&o.path, "p", "/orders/get", "path")
	f.StringVar(&o.tokens, "t", "", "`file` of Bearer tokens, one a line, sent in turn")
	f.IntVar(&o.first, "k", 0, "only so many of the tokens")
	f.StringVar(&o.kind, "kind", "unary", "unary; get: a GET without gRPC; up, down or both: a stream of -messages this way, as flow control lets them; turns: each after the answer to the one before")
	f.IntVar(&o.messages, "messages", 100, "messages of a stream")
	f.IntVar(&o.size, "size", 1024, "bytes of a message of a stream")
	f.BoolVar(&o.hold, "i", false, "make one call on each connection, print the line, then hold all connections idle until stdin ends")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() != 1 {
		return o, errors.New("usage: calls load [flags] PORT")
	}
	if o.port, err = strconv.Atoi(f.Arg(0)); err != nil {
		return o, fmt.Errorf("the port %q is no number", f.Arg(0))
	}
	if o.hold {
		o.streams, o.calls = 1, o.conns
	}
	return o, nil
}
