package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Traces are what the flags of a program say of its traces.
type Traces struct {
	// Endpoint is the URL of a collector of OpenTelemetry's for traces; empty: none are made. Protocol is http/protobuf or grpc.
	Endpoint, Protocol string
	// Ratio is the part of the traces that begin in the program which is sampled, 0 to 1; Rate bounds all that are, in a second.
	Ratio float64
	Rate  int
	// Service is the name of the service in traces.
	Service string
}

// DefineForController defines the flags as the controller has them. Once fs is parsed, Check is to be called.
func (t *Traces) DefineForController(fs *pflag.FlagSet) {
	t.define(fs, "reconciliations, and of admission requests without a traceparent,", "reconciliations and admission requests", "bearerguard-controller", 1)
}

// define defines the flags: things that come of themselves are sampled by the ratio, and all by the rate.
func (t *Traces) define(fs *pflag.FlagSet, things, all, service string, ratio float64) {
	fs.StringVar(&t.Endpoint, "trace-endpoint", "", "URL of an OpenTelemetry collector to send traces to, such as http://collector.observability:4318; empty: no traces")
	fs.StringVar(&t.Protocol, "trace-protocol", OTLPHTTP, "how they get there (OTLP): http/protobuf, mostly at port 4318, or grpc, at 4317")
	fs.Float64Var(&t.Ratio, "trace-ratio", ratio, "part of the "+things+" that are traced, 0 to 1; of others, those whose trace is sampled already")
	fs.IntVar(&t.Rate, "trace-rate", 100, "most "+all+" that are traced in a second, whoever wants them to be")
	fs.StringVar(&t.Service, "trace-service", service, "name of the service in traces (service.name)")
}

// Check returns every value that is wrong.
func (t *Traces) Check() []Problem {
	var c checker
	t.check(&c)
	return c.problems
}

func (t *Traces) check(c *checker) {
	c.oneOf("trace-protocol", t.Protocol)
	if t.Endpoint != "" {
		if _, err := Collector(t.Endpoint, t.Protocol); err != nil {
			c.add("trace-endpoint", err.Error(), "such as http://collector.observability:4318")
		}
	}
	if !(t.Ratio >= 0 && t.Ratio <= 1) { // nor is it no number at all
		c.add("trace-ratio", fmt.Sprintf("is %v", t.Ratio), "0 to 1")
	}
	if t.Rate < 1 || t.Rate > 10000 {
		c.add("trace-rate", fmt.Sprintf("is %d", t.Rate), "1 to 10000")
	}
	if t.Service == "" || len(t.Service) > 255 || strings.ContainsFunc(t.Service, func(r rune) bool { return r < ' ' || r > '~' }) {
		c.add("trace-service", fmt.Sprintf("%q is no name of a service", t.Service), "1 to 255 printable characters of ASCII")
	}
}
