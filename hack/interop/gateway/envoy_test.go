package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// envoyRequest is what Envoy sends of a request, with its headers as they came, or merged.
func envoyRequest(raw bool, path string, fields ...string) *authv3.CheckRequest {
	h := &authv3.AttributeContext_HttpRequest{
		Id: "1234", Method: "GET", Path: path, Host: "shop.example", Scheme: "https", Protocol: "HTTP/1.1", Size: -1,
	}
	fields = append([]string{":method: GET", ":path: " + path, ":authority: shop.example", ":scheme: https"}, fields...)
	if raw {
		h.HeaderMap = &corev3.HeaderMap{}
	} else {
		h.Headers = map[string]string{}
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if raw {
			h.HeaderMap.Headers = append(h.HeaderMap.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
		} else if have, there := h.Headers[name]; there {
			h.Headers[name] = have + "," + value
		} else {
			h.Headers[name] = value
		}
	}
	peer := func(address string, port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Principal: "spiffe://other.example/x", Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}},
		}}}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer("192.0.2.7", 40000), Destination: peer("192.0.2.1", 443),
		Request:           &authv3.AttributeContext_Request{Http: h},
		ContextExtensions: map[string]string{"anything": "else"},
	}}
}

// Envoy's own API in Go asks sidecar serve, whose messages have but the fields that it uses: what one writes the other reads.
func TestEnvoysClient(t *testing.T) {
	conn, err := grpc.NewClient(serve(t, "--ext-authz", "--ext-authz-headers", "merged"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := authv3.NewAuthorizationClient(conn)
	ask := func(t *testing.T, r *authv3.CheckRequest) *authv3.CheckResponse {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := client.Check(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	valid := "authorization: Bearer " + corp.Token(time.Now(), nil)
	for name, raw := range map[string]bool{"raw headers": true, "merged headers": false} {
		t.Run(name, func(t *testing.T) {
			ok := ask(t, envoyRequest(raw, "/orders?page=2", valid, "x-user: admin", "x_user: admin", "x-groups: admin", "x-request-id: id-7"))
			set := map[string]string{}
			for _, h := range ok.GetOkResponse().GetHeaders() {
				if h.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
					t.Errorf("%v is no overwriting", h)
				}
				set[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
			}
			remove := slices.Sorted(slices.Values(ok.GetOkResponse().GetHeadersToRemove()))
			if codes.Code(ok.GetStatus().GetCode()) != codes.OK || set["x-user"] != "alice" || set["x-request-id"] != "id-7" || !slices.Equal(remove, []string{"x-groups", "x_user"}) { //nolint:gosec // a code
				t.Errorf("answered %v", ok)
			}
			if f := ok.GetDynamicMetadata().GetFields(); f["reason"].GetStringValue() != "Allowed" || f["policy"].GetStringValue() != "default/shop" || f["request_id"].GetStringValue() != "id-7" {
				t.Errorf("metadata %v", ok.GetDynamicMetadata())
			}
			for what, tc := range map[string]struct {
				request *authv3.CheckRequest
				status  typev3.StatusCode
				code    codes.Code
			}{
				"no token":               {envoyRequest(raw, "/orders"), typev3.StatusCode_Unauthorized, codes.Unauthenticated},
				"two tokens":             {envoyRequest(raw, "/orders", valid, "authorization: Bearer x"), 0, 0},
				"a path that is denied":  {envoyRequest(raw, "/admin/users", valid), typev3.StatusCode_Forbidden, codes.PermissionDenied},
				"a path in two readings": {envoyRequest(raw, "/orders/..;/admin", valid), typev3.StatusCode_BadRequest, codes.InvalidArgument},
			} {
				out := ask(t, tc.request)
				denied := out.GetDeniedResponse()
				if denied == nil || tc.status != 0 && (denied.GetStatus().GetCode() != tc.status || codes.Code(out.GetStatus().GetCode()) != tc.code) { //nolint:gosec // a code
					t.Errorf("%s: answered %v", what, out)
				}
				if !strings.HasPrefix(denied.GetBody(), `{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#`) {
					t.Errorf("%s: body %s", what, denied.GetBody())
				}
			}
		})
	}
}
