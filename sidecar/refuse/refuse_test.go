package refuse

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/sidecar/requestid"
)

// forwards are the reasons that are not refusals.
var forwards = []decision.Reason{decision.Allowed, decision.AuditOnly, decision.Preflight, decision.ResourceMetadata}

func TestTableCoversEveryReason(t *testing.T) {
	t.Parallel()
	for _, reason := range decision.Reasons() {
		_, ok := refusals[reason]
		if slices.Contains(forwards, reason) {
			if ok {
				t.Errorf("%s is a reason to forward and has a refusal", reason)
			}
			continue
		}
		if !ok {
			t.Errorf("%s has no refusal", reason)
		}
	}
	if got, want := len(refusals), len(decision.Reasons())-len(forwards); got != want {
		t.Errorf("table has %d lines, want %d", got, want)
	}
}

func TestEveryRefusalIsWellFormed(t *testing.T) {
	t.Parallel()
	for _, reason := range append(decision.Reasons(), "", "Unheard") {
		r := Table(reason)
		if r.Status < 400 || r.Status > 599 {
			t.Errorf("%s: status %d is no refusal", reason, r.Status)
		}
		if r.GRPC == 0 || r.GRPC > 16 {
			t.Errorf("%s: gRPC code %d is no refusal", reason, r.GRPC)
		}
		if r.Status == http.StatusUnauthorized && !r.Challenge {
			t.Errorf("%s: 401 without a challenge", reason)
		}
		if r.Status == http.StatusServiceUnavailable && r.RetryAfter == 0 {
			t.Errorf("%s: 503 without Retry-After", reason)
		}
		if (r.Error != "") != (r.Challenge && reason != decision.NoToken) {
			t.Errorf("%s: error code %q with challenge %v", reason, r.Error, r.Challenge)
		}
		if r.Description == "" || r.Title == "" || strings.ContainsAny(r.Description, "\"\\%\r\n") {
			t.Errorf("%s: title %q, description %q must be plain", reason, r.Title, r.Description)
		}
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cause Cause
		form  Form
		want  Response
	}{
		"a missing token is challenged without an error code": {
			cause: Cause{Reason: decision.NoToken},
			want: Response{Status: 401, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}, {"Www-Authenticate", "Bearer"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#notoken","title":"Token required","status":401,"detail":"a token is required","reason":"NoToken"}` + "\n")},
		},
		"an expired token is invalid_token": {
			cause: Cause{Reason: decision.Expired},
			want: Response{Status: 401, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
				{"Www-Authenticate", `Bearer error="invalid_token", error_description="the token has expired"`},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#expired","title":"Invalid token","status":401,"detail":"the token has expired","reason":"Expired"}` + "\n")},
		},
		"missing scopes are named, broken ones left out": {
			cause: Cause{Reason: decision.InsufficientScope, Challenge: &Challenge{Scopes: []string{"orders.read", "a\"b", "c d", "orders.write"}}},
			want: Response{Status: 403, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
				{"Www-Authenticate", `Bearer error="insufficient_scope", error_description="the token lacks a scope that the request needs", scope="orders.read orders.write"`},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#insufficientscope","title":"Forbidden","status":403,"detail":"the token lacks a scope that the request needs","reason":"InsufficientScope"}` + "\n")},
		},
		"a missing token is told of the resource and the scopes that the request needs": {
			cause: Cause{Reason: decision.NoToken, Challenge: &Challenge{Scopes: []string{"a", "b"}, ResourceMetadata: "https://a.example/x"}},
			want: Response{Status: 401, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
				{"Www-Authenticate", `Bearer scope="a b", resource_metadata="https://a.example/x"`},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#notoken","title":"Token required","status":401,"detail":"a token is required","reason":"NoToken"}` + "\n")},
		},
		"a rule that denies tells of the resource, without an error": {
			cause: Cause{Reason: decision.DeniedByRule, Challenge: &Challenge{ResourceMetadata: "https://a.example/x"}},
			want: Response{Status: 403, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
				{"Www-Authenticate", `Bearer resource_metadata="https://a.example/x"`},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#deniedbyrule","title":"Forbidden","status":403,"detail":"a rule denies the request","reason":"DeniedByRule"}` + "\n")},
		},
		"an outage is no challenge, whatever the resource": {
			cause: Cause{Reason: decision.KeysUnavailable, Challenge: &Challenge{ResourceMetadata: "https://a.example/x"}},
			want: Response{Status: 503, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}, {"Retry-After", "5"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#keysunavailable","title":"Service unavailable","status":503,"detail":"the keys of the token's issuer are not available yet","reason":"KeysUnavailable"}` + "\n")},
		},
		"a document is the answer": {
			cause: Cause{Reason: decision.ResourceMetadata, RequestID: "a-1", Document: &Document{Status: 200, Header: []Field{{"Content-Type", "application/json"}}, Body: []byte("{}")}},
			form:  GRPC, // nobody asks for it in gRPC
			want:  Response{Status: 200, Header: []Field{{"Content-Type", "application/json"}, {"X-Request-Id", "a-1"}}, Body: []byte("{}")},
		},
		"a refusal with a document is a refusal": {
			cause: Cause{Reason: decision.NoToken, Document: &Document{Status: 200}},
			want: Response{Status: 401, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}, {"Www-Authenticate", "Bearer"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#notoken","title":"Token required","status":401,"detail":"a token is required","reason":"NoToken"}` + "\n")},
		},
		"another log-in is asked for, with all that the next token needs; broken values are left out": {
			cause: Cause{Reason: decision.InsufficientAuthentication, Challenge: &Challenge{
				Scopes: []string{"pay"}, ACR: []string{"urn:mace:silver", `a"b`, "a b", "a\r\nb", "phr"}, MaxAge: 5 * time.Minute,
				ResourceMetadata: "https://a.example/x",
			}},
			want: Response{Status: 401, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
				{"Www-Authenticate", `Bearer error="insufficient_user_authentication", error_description="the request needs another or a more recent log-in of the user", scope="pay", acr_values="urn:mace:silver phr", max_age="300", resource_metadata="https://a.example/x"`},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#insufficientauthentication","title":"Another log-in required","status":401,"detail":"the request needs another or a more recent log-in of the user","reason":"InsufficientAuthentication"}` + "\n")},
		},
		"another log-in for a token that is bound, of a resource": {
			cause: Cause{Reason: decision.InsufficientAuthentication, Challenge: &Challenge{
				Scopes: []string{"pay"}, ACR: []string{"phr"}, ResourceMetadata: "https://a.example/x", DPoP: &DPoP{Came: true, Only: true, Algorithms: "ES256"},
			}}, form: GRPC,
			want: Response{Status: 200, Header: []Field{
				{"Content-Type", "application/grpc"}, {"Grpc-Status", "16"}, {"Grpc-Message", "the request needs another or a more recent log-in of the user"},
				{"Www-Authenticate", `DPoP error="insufficient_user_authentication", error_description="the request needs another or a more recent log-in of the user", scope="pay", acr_values="phr", resource_metadata="https://a.example/x", algs="ES256"`},
			}},
		},
		"gRPC has the same challenge": {
			cause: Cause{Reason: decision.InsufficientAuthentication, Challenge: &Challenge{MaxAge: time.Minute}}, form: GRPC,
			want: Response{Status: 200, Header: []Field{
				{"Content-Type", "application/grpc"}, {"Grpc-Status", "16"}, {"Grpc-Message", "the request needs another or a more recent log-in of the user"},
				{"Www-Authenticate", `Bearer error="insufficient_user_authentication", error_description="the request needs another or a more recent log-in of the user", max_age="60"`},
			}},
		},
		"missing keys are an outage with Retry-After": {
			cause: Cause{Reason: decision.KeysUnavailable},
			want: Response{Status: 503, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}, {"Retry-After", "5"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#keysunavailable","title":"Service unavailable","status":503,"detail":"the keys of the token's issuer are not available yet","reason":"KeysUnavailable"}` + "\n")},
		},
		"gRPC without a token is 16 in the trailers-only form": {
			cause: Cause{Reason: decision.NoToken}, form: GRPC,
			want: Response{Status: 200, Header: []Field{
				{"Content-Type", "application/grpc"}, {"Grpc-Status", "16"}, {"Grpc-Message", "a token is required"}, {"Www-Authenticate", "Bearer"},
			}},
		},
		"the request's id is in the document and in a header": {
			cause: Cause{Reason: decision.NoToken, RequestID: "a-1"},
			want: Response{Status: 401, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}, {"X-Request-Id", "a-1"}, {"Www-Authenticate", "Bearer"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#notoken","title":"Token required","status":401,"detail":"a token is required","reason":"NoToken","requestId":"a-1"}` + "\n")},
		},
		"an id that would break the document is not told": {
			cause: Cause{Reason: decision.NoPolicy, RequestID: `a","b":"`},
			want: Response{Status: 403, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#nopolicy","title":"Forbidden","status":403,"detail":"no policy applies to this workload","reason":"NoPolicy"}` + "\n")},
		},
		"gRPC tells the request's id in a header": {
			cause: Cause{Reason: decision.DeniedByRule, RequestID: "a-1"}, form: GRPC,
			want: Response{Status: 200, Header: []Field{
				{"Content-Type", "application/grpc"}, {"Grpc-Status", "7"}, {"Grpc-Message", "a rule denies the request"}, {"X-Request-Id", "a-1"},
			}},
		},
		"gRPC that no rule allows is 7": {
			cause: Cause{Reason: decision.DeniedByRule}, form: GRPC,
			want: Response{Status: 200, Header: []Field{
				{"Content-Type", "application/grpc"}, {"Grpc-Status", "7"}, {"Grpc-Message", "a rule denies the request"},
			}},
		},
		"a reason to forward is an internal error, never a success": {
			cause: Cause{Reason: decision.Allowed},
			want: Response{Status: 500, Header: []Field{
				{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"},
			}, Body: []byte(`{"type":"https://github.com/bearerguard/bearerguard/blob/main/docs/reasons.md#internalerror","title":"Internal error","status":500,"detail":"the guard could not decide","reason":"InternalError"}` + "\n")},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Render(tt.cause, tt.form)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFormOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		major       int
		contentType string
		want        Form
	}{
		{2, "application/grpc", GRPC},
		{2, "application/grpc+proto", GRPC},
		{2, "Application/GRPC; charset=x", GRPC},
		{2, "application/grpc-web", HTTP},
		{2, "application/grpcx", HTTP},
		{1, "application/grpc", HTTP},
		{2, "", HTTP},
	}
	for _, tt := range tests {
		if got := FormOf(tt.major, tt.contentType); got != tt.want {
			t.Errorf("FormOf(%d, %q) = %v, want %v", tt.major, tt.contentType, got, tt.want)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	Render(Cause{Reason: decision.BadPath}, HTTP).Write(rec)
	var p problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if rec.Code != 400 || p.Status != 400 || p.Reason != "BadPath" {
		t.Errorf("wrote status %d, problem %+v", rec.Code, p)
	}
}

// FuzzRequestID holds that no id breaks a document, and that those which requests have come out as they went in.
func FuzzRequestID(f *testing.F) {
	for _, id := range []string{"", "a", "0b9d1f0a-6c1e", "q83v+/==", `a","status":200,"x":"`, `\`, "\xff", "a\r\nSet-Cookie: b", "</script>", strings.Repeat("a", 300)} {
		f.Add(id, string(decision.NoToken))
	}
	f.Fuzz(func(t *testing.T, id, reason string) {
		r := Render(Cause{Reason: decision.Reason(reason), RequestID: id}, HTTP)
		if r.Status == http.StatusNoContent {
			return
		}
		var got struct {
			problem
			RequestID *string `json:"requestId"`
		}
		d := json.NewDecoder(bytes.NewReader(r.Body))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%q: %v", r.Body, err)
		}
		if want := Table(decision.Reason(reason)); got.Status != want.Status || got.Detail != want.Description || !bytes.HasSuffix(r.Body, []byte("\"}\n")) {
			t.Errorf("the document of %s with %q is %q", reason, id, r.Body)
		}
		told := got.RequestID != nil
		if told && *got.RequestID != id || !told && requestid.Sane(id) {
			t.Errorf("the id of %q is not told as it is: %q", id, r.Body)
		}
		at := slices.IndexFunc(r.Header, func(f Field) bool { return f.Name == requestid.Header })
		if told != (at >= 0) || told && r.Header[at].Value != id {
			t.Errorf("the header says %v, the document %q", r.Header, r.Body)
		}
	})
}
