// Command calls is both ends of the benchmark's gRPC rows: `calls app` is a service that speaks gRPC over HTTP/2 without TLS,
// `calls load` sends calls and prints one line of JSON. Each is one goroutine around one epoll instance, so that both ends on
// one core cost less than the proxies between them.
//
// The service has one message, valid protobuf, in both directions:
//
//	message Message {
//	  fixed32 answers = 1; // how many messages to answer this one with
//	  fixed32 size = 2;    // bytes of each answer
//	  bytes text = 3;      // what fills it
//	}
//
// so that a client says by what it sends which kind of call it makes. The service ends a call once the client has ended it
// and all is answered. It is no complete gRPC server: it reads no header fields, and knows no deadline. The tests hold it and
// the load generator against those of grpc-go.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "calls:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "app":
			return runApp(args[1:])
		case "load":
			return runLoad(args[1:])
		}
	}
	return fmt.Errorf("usage: calls app PORT | calls load [flags] PORT")
}
