package traces

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/bearerguard/bearerguard/hack/freeport"
)

const (
	parentTrace, parentSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	sampled                 = "00-" + parentTrace + "-" + parentSpan + "-01"
	unsampled               = "00-" + parentTrace + "-" + parentSpan + "-00"
)

func clients() map[string]*http.Client {
	h2 := &http.Transport{Protocols: &http.Protocols{}}
	h2.Protocols.SetUnencryptedHTTP2(true)
	return map[string]*http.Client{"1.1": {Transport: &http.Transport{}}, "2": {Transport: h2}}
}

func with(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// A real sidecar sends what a request went through, by each protocol, whichever version of HTTP the client and the app speak.
func TestSpansOfRequests(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		for _, appProtocol := range []string{"http1", "h2c"} {
			t.Run(protocol+" and an app of "+appProtocol, func(t *testing.T) {
				t.Parallel()
				c, a := newCollector(t, protocol), newApp(t)
				p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-protocol", protocol, "--trace-ratio", "0", "--app-protocol", appProtocol, "--trace-service", "orders")
				for version, client := range clients() {
					id := "allowed-" + version
					header := with(token(), map[string]string{"Traceparent": parentOf(id), "Tracestate": "vendor=1,other=2"})
					if status, body := fetch(t, client, p.url+"/orders/7?card=4711", id, header); status != http.StatusOK {
						t.Fatal(status, body)
					}
					id = "refused-" + version
					status, body := fetch(t, client, p.url+"/orders/7", id, map[string]string{"Traceparent": parentOf(id)})
					if status != http.StatusUnauthorized || !strings.Contains(body, `"traceId":"`+traceOf(id)+`"`) {
						t.Fatal(status, body)
					}
				}
				p.stop(t)
				for version := range clients() {
					checkAllowed(t, c, a, version)
					checkRefused(t, c, p, version)
				}
				if _, resource := c.spans(); resource["service.name"] != "orders" || resource["service.version"] == "" || resource["host.name"] == "" {
					t.Errorf("resource %v", resource)
				}
			})
		}
	}
}

// traceOf is the trace that a client has for a request of this id.
func traceOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

func parentOf(id string) string { return "00-" + traceOf(id) + "-" + parentSpan + "-01" }

// checkAllowed looks at the spans of a request that the app answered.
func checkAllowed(t *testing.T, c *collected, a *app, version string) {
	t.Helper()
	id := "allowed-" + version
	own, below := c.server(id)
	want := map[string]any{
		"http.request.method": "GET", "http.route": "/orders/{id}", "http.response.status_code": int64(200), "url.scheme": "http",
		"network.protocol.name": "http", "network.protocol.version": version, "server.port": own.attrs["server.port"],
		"bearerguard.decision": "allow", "bearerguard.reason": "Allowed", "bearerguard.policy": "default/orders", "bearerguard.rule": "read",
		"bearerguard.issuer": "corp", "bearerguard.request_id": id,
	}
	if !maps.Equal(want, own.attrs) {
		t.Errorf("attributes %v, want %v", own.attrs, want)
	}
	if own.trace != traceOf(id) || own.parent != parentSpan || own.kind != trace.Span_SPAN_KIND_SERVER || own.name != "GET /orders/{id}" || own.failed || own.took <= 0 {
		t.Errorf("%+v is not in the client's trace", own)
	}
	var app span
	judged := false
	for _, s := range below {
		if s.parent != own.id {
			t.Errorf("%+v is not below the request's span", s)
		}
		if s.kind == trace.Span_SPAN_KIND_CLIENT {
			app = s
		}
		judged = judged || s.name == "judge"
	}
	h := a.header(id)
	if got := h["Traceparent"]; len(got) != 1 || got[0] != "00-"+traceOf(id)+"-"+app.id+"-01" || !judged || len(below) != 2 {
		t.Errorf("the app got %q; spans %+v", got, below)
	}
	if got := h["Tracestate"]; len(got) != 1 || got[0] != "vendor=1,other=2" {
		t.Errorf("the app got the tracestate %q", got)
	}
}

// checkRefused looks at the span of a request without a token.
func checkRefused(t *testing.T, c *collected, p *process, version string) {
	t.Helper()
	id := "refused-" + version
	own, below := c.server(id)
	if own.attrs["bearerguard.reason"] != "NoToken" || own.attrs["bearerguard.decision"] != "deny" || own.attrs["http.response.status_code"] != int64(401) || own.failed || own.name != "GET" || len(below) != 1 {
		t.Errorf("%+v %+v", own, below)
	}
	if !strings.Contains(p.log.String(), `"requestID":"`+id+`","trace_id":"`+traceOf(id)+`"`) {
		t.Error("the log does not tell the trace")
	}
}

// What is not sampled goes to the app as it came, and nothing is made of it.
func TestWhatIsNotSampledIsLeftAlone(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-ratio", "0")
	for version, client := range clients() {
		for name, parent := range map[string]string{"unsampled": unsampled, "malformed": "00-XYZ-01", "none": ""} {
			header, id := token(), name+"-"+version
			if parent != "" {
				header["Traceparent"], header["Tracestate"] = parent, "not, a state"
			}
			if status, body := fetch(t, client, p.url+"/orders/7", id, header); status != http.StatusOK {
				t.Fatal(status, body)
			}
			if got := a.header(id); strings.Join(got["Traceparent"], "|") != parent || parent != "" && strings.Join(got["Tracestate"], "|") != "not, a state" {
				t.Errorf("%s: the app got %q %q", id, got["Traceparent"], got["Tracestate"])
			}
		}
	}
	p.stop(t)
	if strings.Contains(p.log.String(), "trace_id") {
		t.Error("the log tells a trace that there is not")
	}
	if all, _ := c.spans(); len(all) != 0 {
		t.Errorf("spans %+v", all)
	}
}

// A traceparent that cannot be read begins a new trace, and is no error: neither its ids nor its state get to the app.
func TestAMalformedParentBeginsANewTrace(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-ratio", "1")
	bad := map[string]string{
		"upper case": "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "no trace": "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"no span": "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "version ff": "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"too long": sampled + "-00", "twice": sampled + "|" + sampled, "long": strings.Repeat("0", 3000), "bytes": "00-\xff\xfe-01",
	}
	for name, parent := range bad {
		id := strings.ReplaceAll(name, " ", "-")
		if status, body := fetch(t, http.DefaultClient, p.url+"/orders/7", id, with(token(), map[string]string{"Traceparent": parent, "Tracestate": "a=1"})); status != http.StatusOK {
			t.Fatal(status, body)
		}
		got := a.header(id)
		if len(got["Traceparent"]) != 1 || !strings.HasPrefix(got["Traceparent"][0], "00-") || strings.Contains(got["Traceparent"][0], parentTrace) || got["Tracestate"] != nil {
			t.Errorf("%s: the app got %q %q", name, got["Traceparent"], got["Tracestate"])
		}
	}
	p.stop(t)
	for name := range bad {
		own, _ := c.server(strings.ReplaceAll(name, " ", "-"))
		if own.id == "" || own.parent != "" || own.trace == parentTrace {
			t.Errorf("%s: %+v", name, own)
		}
	}
}

// No value of a token, no query and no path is in what the collector gets, nor its own credential in the log.
func TestNothingSecretIsSent(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("# of the collector\nAuthorization: Bearer collector-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-ratio", "1", "--trace-headers", headers)
	for _, path := range []string{"/orders/canary-id?q=canary-query", "/canary-path", "/orders/500"} {
		fetch(t, http.DefaultClient, p.url+path, "", with(token(), map[string]string{"X-Canary": "canary-header"}))
		fetch(t, http.DefaultClient, p.url+path, "", map[string]string{"Authorization": "Bearer canary-token"})
	}
	p.stop(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.batches) == 0 || c.tokens[0] != "Bearer collector-secret" {
		t.Fatalf("%d batches, credentials %q", len(c.batches), c.tokens)
	}
	for _, b := range c.batches {
		for _, secret := range []string{"canary", "alice-secret-subject", "eyJ", "collector-secret"} {
			if strings.Contains(b.String(), secret) {
				t.Errorf("%q is in %s", secret, b)
			}
		}
	}
	if strings.Contains(p.log.String(), "collector-secret") {
		t.Error("the log tells the collector's credential")
	}
}

// A collector that is down, or hangs, harms no request, and the metric tells.
func TestACollectorThatIsDown(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		a := newApp(t)
		p := guard(t, a, nil, "--trace-endpoint", "http://"+freeport.For(t), "--trace-protocol", protocol, "--trace-ratio", "1", "--trace-rate", "10000")
		for range 2000 {
			if status, body := fetch(t, http.DefaultClient, p.url+"/public", "", nil); status != http.StatusOK {
				t.Fatal(status, body)
			}
		}
		_, metrics := fetch(t, http.DefaultClient, p.admin+"/metrics", "", nil)
		if !strings.Contains(metrics, `bearerguard_trace_spans_total{result="no_room"}`) || strings.Contains(metrics, `bearerguard_trace_spans_total{result="no_room"} 0`) {
			t.Errorf("%s: the metric says nothing", protocol)
		}
		began := time.Now()
		p.stop(t)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: it stopped after %v", protocol, took)
		}
	}
}

// A collector that has no time is asked again when it says.
func TestACollectorThatHasNoTime(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	c.statuses = []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}
	p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-ratio", "1")
	fetch(t, http.DefaultClient, p.url+"/public", "again", nil)
	eventually(t, "the span has come", func() bool { own, _ := c.server("again"); return own.id != "" })
	eventually(t, "the metric says so", func() bool {
		_, metrics := fetch(t, http.DefaultClient, p.admin+"/metrics", "", nil)
		return strings.Contains(metrics, `bearerguard_trace_spans_total{result="sent"} 3`) && strings.Contains(metrics, `bearerguard_trace_spans_total{result="failed"} 0`)
	})
}

// OpenTelemetry's own variables turn traces on where no flag says otherwise.
func TestVariablesOfOpenTelemetry(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "grpc"), newApp(t)
	p := guard(t, a, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_TRACES_SAMPLER_ARG=1", "OTEL_SERVICE_NAME=shop"})
	fetch(t, http.DefaultClient, p.url+"/public", "one", nil)
	p.stop(t)
	own, _ := c.server("one")
	if _, resource := c.spans(); own.id == "" || resource["service.name"] != "shop" {
		t.Errorf("%+v %v", own, resource)
	}
}

// Clients that want everything traced get so many traces a second, whether they are served or refused; every request is answered as it would be,
// and one that there is no trace of goes to the app with the fields as they came.
func TestTheRateOfTraces(t *testing.T) {
	t.Parallel()
	c, a := newCollector(t, "http/protobuf"), newApp(t)
	p := guard(t, a, nil, "--trace-endpoint", c.url, "--trace-rate", "1", "--trace-ratio", "0")
	began := time.Now()
	const flood = 500
	left := 0
	for i := range flood {
		path, want, id := "/public", http.StatusOK, fmt.Sprint("flood-", i)
		if i%2 == 1 {
			path, want = "/orders/7", http.StatusUnauthorized
		}
		if status, body := fetch(t, http.DefaultClient, p.url+path, id, map[string]string{"Traceparent": sampled}); status != want {
			t.Fatal(status, body)
		}
		if want == http.StatusOK && a.header(id).Get("Traceparent") == sampled {
			left++
		}
	}
	most := int(time.Since(began).Seconds()) + 2
	_, metrics := fetch(t, http.DefaultClient, p.admin+"/metrics", "", nil)
	p.stop(t)
	all, _ := c.spans()
	n := 0
	for _, s := range all {
		if s.kind == trace.Span_SPAN_KIND_SERVER {
			n++
		}
	}
	if n == 0 || n > most || !strings.Contains(metrics, fmt.Sprintf("bearerguard_trace_over_rate_total %d\n", flood-n)) || left < flood/2-n {
		t.Errorf("%d traces, want 1 to %d; %d requests were left alone\n%s", n, most, left, metrics)
	}
}
