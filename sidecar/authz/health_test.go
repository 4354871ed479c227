package authz

import (
	"context"
	"testing"

	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/gate/gatetest"
)

// A gateway that checks health is told when there are rules, and when to ask others.
func TestHealthOfExtAuthz(t *testing.T) {
	t.Parallel()
	g := gate.New(gate.Options{})
	g.Revoke(&revoked.Set{})
	s, err := New(t.Context(), Config{Gate: g, ExtAuthz: "127.0.0.1:0", Limits: testLimits(), Observer: &seen{}, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = s.Run(ctx) }()
	defer s.close()
	conn, err := grpc.NewClient(s.Addrs()[0].String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	health := grpc_health_v1.NewHealthClient(conn)
	says := func(service string) string {
		answer, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			return status.Code(err).String()
		}
		return answer.GetStatus().String()
	}
	if got := says(""); got != "NOT_SERVING" {
		t.Errorf("without rules: %s", got)
	}
	g.Swap(gatetest.Snapshot(t, nil, gatetest.Policy("orders", spec())))
	for service, want := range map[string]string{"": "SERVING", serviceName: "SERVING", "envoy.service.auth.v2.Authorization": codes.NotFound.String()} {
		if got := says(service); got != want {
			t.Errorf("of %q: %s, want %s", service, got, want)
		}
	}
	s.draining.Store(true)
	if got := says(""); got != "NOT_SERVING" {
		t.Errorf("about to stop: %s", got)
	}
}
