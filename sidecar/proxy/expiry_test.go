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

// soon is a token, and when it expires.
func soon() (string, time.Time) {
	exp := time.Now().Add(1500 * time.Millisecond).Truncate(time.Second)
	return corp.Token(time.Now(), map[string]any{"exp": exp.Unix()}), exp
}

// justEnded reports whether a token expired a moment ago.
func justEnded(exp time.Time) bool {
	late := time.Since(exp)
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
	quick := func(c *Config) { c.Limits.Idle = 100 * time.Millisecond } // the sweep looks often
	t.Run("a WebSocket is told why", func(t *testing.T) {
		t.Parallel()
		g := protect(t, webSocket(t), quick, expiring(policy.CloseStream))
		token, exp := soon()
		_, br, res := upgrade(t, g.addr, "/orders/live", "Authorization: Bearer "+token+"\r\n")
		if res.StatusCode != 101 {
			t.Fatalf("status %d", res.StatusCode)
		}
		_, _, _ = readFrame(br) // the greeting
		op, payload, err := readFrame(br)
		if err != nil || op != 8 || !bytes.Equal(payload, []byte{0x03, 0xf0}) || !justEnded(exp) {
			t.Errorf("got %d %v %v, %s before its end; want a close frame with 1008", op, payload, err, time.Until(exp))
		}
		if _, err := br.ReadByte(); err == nil {
			t.Error("the connection goes on")
		}
	})
	t.Run("a stream of gRPC", func(t *testing.T) {
		t.Parallel()
		url, _ := grpcApp(t)
		g := protect(t, url, quick, expiring(policy.CloseStream))
		token, exp := soon()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		stream, err := grpcClient(t, g.addr, insecure.NewCredentials()).Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Errorf("the first message: %v", err)
		}
		_, err = stream.Recv()
		if err == nil || errors.Is(err, io.EOF) || !justEnded(exp) {
			t.Errorf("got %v, %s before its end; want an error", err, time.Until(exp))
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
			g := protect(t, url, func(c *Config) {
				quick(c)
				if c.AppProtocol = tt.app; tt.secure {
					c.TLS = certificate(t)
				}
			}, expiring(policy.CloseStream))
			token, exp := soon()
			res, err := c.Do(request(t, "GET", scheme+"://"+g.addr+"/orders/1", nil, "Authorization", "Bearer "+token))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if string(b) != "data: 1\n\n" || err == nil || !justEnded(exp) {
				t.Errorf("got %q, %v, %s before its end; want one event and an error", b, err, time.Until(exp))
			}
		})
	}
}

// A WebSocket lasts as long as its token by the clock, whatever the timer says.
func TestAWebSocketEndsNoEarlierThanItsToken(t *testing.T) {
	t.Parallel()
	const early = time.Second
	var ahead atomic.Int64 // of the time, at first
	ahead.Store(int64(time.Hour))
	asked := make(chan struct{}, 1)
	g := protect(t, webSocket(t), func(c *Config) {
		c.Now = func() time.Time {
			if ahead.Load() == 0 {
				select {
				case asked <- struct{}{}:
				default:
				}
			}
			return time.Now().Add(time.Duration(ahead.Load()))
		}
	}, expiring(policy.CloseStream))
	exp := time.Now().Add(time.Hour + early + time.Second).Truncate(time.Second)
	c, br, res := upgrade(t, g.addr, "/orders/live", "Authorization: Bearer "+corp.Token(time.Now(), map[string]any{"exp": exp.Unix()})+"\r\n")
	if res.StatusCode != 101 {
		t.Fatalf("status %d", res.StatusCode)
	}
	_, _, _ = readFrame(br) // the greeting
	ahead.Store(0)
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody looks at the clock")
	}
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
				g := protect(t, url, func(c *Config) { c.Limits.Idle = 100 * time.Millisecond }, expiring(on))
				token, exp := soon()
				res, err := client(t, h2).Do(request(t, "GET", "http://"+g.addr+"/orders/1", nil, "Authorization", "Bearer "+token))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				br := bufio.NewReader(res.Body)
				_, _ = br.ReadString('1')
				<-time.After(time.Until(exp) + 200*time.Millisecond)
				close(more)
				if b, err := io.ReadAll(br); err != nil || string(b) != "\n\ndata: 2\n\n" {
					t.Errorf("h2 %v: got %q, %v", h2, b, err)
				}
			})
		}
	}
}
