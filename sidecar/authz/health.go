package authz

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// serviceName is the service that answers checks.
const serviceName = "envoy.service.auth.v3.Authorization"

// health answers health checks of gateways (grpc.health.v1), so that they ask another replica while this one has no rules, or is about to
// stop. Watch is not served: gateways poll.
type health struct {
	grpc_health_v1.UnimplementedHealthServer

	ready func() bool
}

// Check implements grpc_health_v1.HealthServer.
func (h *health) Check(_ context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if s := r.GetService(); s != "" && s != serviceName {
		return nil, status.Error(codes.NotFound, "no such service")
	}
	if !h.ready() {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}
