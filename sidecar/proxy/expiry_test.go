package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// expiring is a policy that says what becomes of streams, without tolerance for clocks.
func expiring(on policy.OnExpiry) bundle.Object {
	spec := orders()
	spec.Issuers[0].ClockSkew = &policy.Duration{}
	spec.Streams = &policy.Streams{OnExpiry: on}
	return gatetest.Policy("orders", spec)
}

// clock stands still until it is started, so that a token does not expire before its request has come, however busy this machine is.
type clock struct {
	at    time.Time
	begun atomic.Pointer[time.Time]
	asked atomic.Int64 // how often
}

// soon is a token, the clock by which it is about to expire, and when it does.
func soon() (string, *clock, time.Time) {
	at := time.Now().Truncate(time.Second)
	exp := at.Add(time.Second)
	return corp.Token(at, map[string]any{"exp": exp.Unix()}), &clock{at: at.Add(500 * time.Millisecond)}, exp
}

func (c *clock) Now() time.Time {
	c.asked.Add(1)
	if begun := c.begun.Load(); begun != nil {
		return c.at.Add(time.Since(*begun))
	}
	return c.at
}

func (c *clock) start() {
	now := time.Now()
	c.begun.Store(&now)
}

// justEnded reports whether a token expired a moment ago.
func (c *clock) justEnded(exp time.Time) bool {
	late := c.Now().Sub(exp)
	return late >= 0 && late < 5*time.Second
}

// events is an app that sends one event, and another when it is told to.
func events(t *testing.T) (url string, more chan struct{}) {
	t.Helper()
	more = make(chan struct{})
	return app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
			_, _ = io.WriteString(w, "data: 2\n\n")
		case <-r.Context().Done():
		}
	}).URL, more
}

// With streams: {onExpiry: Close}, what goes on when its token expires is broken off.
func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	t.Run("a WebSocket is told why", func(t *testing.T) {
		t.Parallel()
		token, clock, exp := soon()
		g := protect(t, webSocket(t), func(c *Config) { c.Now = clock.Now }, expiring(policy.CloseStream))
		_, br, res := upgrade(t, g.addr, "/orders/live", "Authorization: Bearer "+token+"\r\n")
		if res.StatusCode != 101 {
			t.Fatalf("status %d", res.StatusCode)
		}
		_, _, _ = readFrame(br) // the greeting
		clock.start()
		op, payload, err := readFrame(br)
		if err != nil || op != 8 || !bytes.Equal(payload, []byte{0x03, 0xf0}) || !clock.justEnded(exp) {
			t.Errorf("got %d %v %v, %s before its end; want a close frame with 1008", op, payload, err, exp.Sub(clock.Now()))
		}
		if _, err := br.ReadByte(); err == nil {
			t.Error("the connection goes on")
		}
	})
	t.Run("a stream of gRPC", func(t *testing.T) {
		t.Parallel()
		url, _ := grpcApp(t)
		token, clock, exp := soon()
		g := protect(t, url, func(c *Config) { c.Now = clock.Now }, expiring(policy.CloseStream))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		stream, err := grpcClient(t, g.addr, insecure.NewCredentials()).Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Errorf("the first message: %v", err)
		}
		clock.start()
		_, err = stream.Recv()
		if err == nil || errors.Is(err, io.EOF) || !clock.justEnded(exp) {
			t.Errorf("got %v, %s before its end; want an error", err, exp.Sub(clock.Now()))
		}
	})
	for name, tt := range map[string]struct {
		h2     bool
		app    AppProtocol
		secure bool
	}{
		"events in HTTP/1.1":                {false, AppAuto, false},
		"events in HTTP/2":                  {true, AppAuto, false},
		"events in HTTP/2 all the way":      {true, AppH2C, false},
		"events in HTTP/1.1 over TLS":       {false, AppAuto, true},
		"events in HTTP/2 over TLS, to h2c": {true, AppH2C, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := events(t)
			scheme, c := "http", client(t, tt.h2)
			if tt.secure {
				scheme, c = "https", secure(t, tt.h2)
			}
			token, clock, exp := soon()
			g := protect(t, url, func(c *Config) {
				if c.AppProtocol, c.Now = tt.app, clock.Now; tt.secure {
					c.TLS = certificate(t)
				}
			}, expiring(policy.CloseStream))
			res, err := c.Do(request(t, "GET", scheme+"://"+g.addr+"/orders/1", nil, "Authorization", "Bearer "+token))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			clock.start()
			b, err := io.ReadAll(res.Body)
			if string(b) != "data: 1\n\n" || err == nil || !clock.justEnded(exp) {
				t.Errorf("got %q, %v, %s before its end; want one event and an error", b, err, exp.Sub(clock.Now()))
			}
		})
	}
}

// A WebSocket lasts as long as its token by the clock, whatever the timer says.
func TestAWebSocketEndsNoEarlierThanItsToken(t *testing.T) {
	t.Parallel()
	token, clock, _ := soon()
	g := protect(t, webSocket(t), func(c *Config) { c.Now = clock.Now }, expiring(policy.CloseStream))
	c, br, res := upgrade(t, g.addr, "/orders/live", "Authorization: Bearer "+token+"\r\n")
	if res.StatusCode != 101 {
		t.Fatalf("status %d", res.StatusCode)
	}
	_, _, _ = readFrame(br) // the greeting
	asked := clock.asked.Load()
	eventually(t, "the clock is looked at when the time is up by the timer", func() bool { return clock.asked.Load() > asked })
	_, _ = c.Write(masked(1, "hello"))
	if op, payload, err := readFrame(br); err != nil || op != 1 || string(payload) != "hello" {
		t.Errorf("got %d %q %v", op, payload, err)
	}
}

// By default, and where the policy says Keep, streams go on.
func TestStreamsOutliveTheirToken(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]policy.OnExpiry{"by default": "", "Keep": policy.KeepStream} {
		for _, h2 := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				url, more := events(t)
				token, clock, exp := soon()
				g := protect(t, url, func(c *Config) { c.Now = clock.Now }, expiring(on))
				res, err := client(t, h2).Do(request(t, "GET", "http://"+g.addr+"/orders/1", nil, "Authorization", "Bearer "+token))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				br := bufio.NewReader(res.Body)
				_, _ = br.ReadString('1')
				clock.start()
				<-time.After(exp.Sub(clock.Now()) + 200*time.Millisecond)
				close(more)
				if b, err := io.ReadAll(br); err != nil || string(b) != "\n\ndata: 2\n\n" {
					t.Errorf("h2 %v: got %q, %v", h2, b, err)
				}
			})
		}
	}
}
