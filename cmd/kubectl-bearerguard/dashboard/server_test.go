package dashboard_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/dashboard/dashboardtest"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/page"
)

const secret = "S3CRET"

// server serves a fleet that has been gathered.
func server(t *testing.T, f *dashboardtest.Fleet) http.Handler {
	t.Helper()
	w := dashboard.NewWatcher(f, dashboard.About{}, now)
	w.Gather(t.Context())
	return w.Handler(secret)
}

func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8089"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheDashboardIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	h := server(t, dashboardtest.Well(now))
	tests := map[string]struct {
		method, path string
		header       []string
		status       int
	}{
		"the page":                               {"GET", "/" + secret + "/", nil, 200},
		"its state":                              {"GET", "/" + secret + "/api/state", nil, 200},
		"what the pages share":                   {"GET", "/" + secret + "/shared/base.css", nil, 200},
		"the playground":                         {"GET", "/" + secret + "/playground/", nil, 200},
		"what the playground shares":             {"GET", "/" + secret + "/playground/../shared/dom.js", nil, 307},
		"the reasons":                            {"GET", "/" + secret + "/reasons.json", nil, 200},
		"without the secret":                     {"GET", "/", nil, 404},
		"the state without the secret":           {"GET", "/api/state", nil, 404},
		"a secret that is wrong":                 {"GET", "/S3CRES/api/state", nil, 404},
		"the secret without a folder":            {"GET", "/" + secret, nil, 404},
		"a name that somebody points here":       {"GET", "/" + secret + "/api/state", []string{"Host", "evil.example"}, 421},
		"an address of the network":              {"GET", "/" + secret + "/api/state", []string{"Host", "192.0.2.1:8089"}, 421},
		"the page of another site":               {"GET", "/" + secret + "/api/state", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a question of another site":             {"POST", "/" + secret + "/api/explain", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a question of another port of this one": {"POST", "/" + secret + "/api/explain", []string{"Origin", "http://127.0.0.1:9"}, 403},
		"a form":                                 {"POST", "/" + secret + "/api/explain", []string{"Content-Type", "text/plain"}, 415},
		"a write":                                {"DELETE", "/" + secret + "/api/state", nil, 405},
		"an id that is missing":                  {"GET", "/" + secret + "/api/requests", nil, 400},
		"an id that is too long":                 {"GET", "/" + secret + "/api/requests?id=" + strings.Repeat("a", 257), nil, 400},
		"a policy that there is not":             {"GET", "/" + secret + "/api/question?policy=shop/none", nil, 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ask(t, h, tt.method, tt.path, "{}", tt.header...)
			if w.Code != tt.status {
				t.Errorf("got %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if w.Code == 200 && !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
				t.Error("it has no policy of its content")
			}
		})
	}
	if a, b := dashboard.NewSecret(), dashboard.NewSecret(); a == b || len(a) < 26 {
		t.Errorf("secrets %q and %q", a, b)
	}
}

func explained(t *testing.T, h http.Handler, q dashboard.Question) dashboard.Answer {
	t.Helper()
	body, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	w := ask(t, h, "POST", "/"+secret+"/api/explain", string(body))
	var a dashboard.Answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		t.Fatalf("%d: %v: %s", w.Code, err, w.Body)
	}
	return a
}

func podOf(t *testing.T, f *dashboardtest.Fleet, app string) string {
	t.Helper()
	for _, p := range f.AllPods {
		if p.Labels["app"] == app {
			return p.Name
		}
	}
	t.Fatal("there is no such app")
	return ""
}

func TestARequestIsExplained(t *testing.T) {
	t.Parallel()
	f := dashboardtest.Shop(now)
	h := server(t, f)
	orders := podOf(t, f, "orders")
	const claims = `{"iss":"https://login.example.com","aud":"orders","sub":"alice","scope":"orders.read"}`
	tests := map[string]struct {
		q      dashboard.Question
		reason decision.Reason
		by     string
		wrong  string
	}{
		"claims that are enough":           {dashboard.Question{Namespace: "shop", Pod: orders, Method: "GET", Target: "/orders/1", Claims: claims}, decision.Allowed, "policies", ""},
		"claims that are not":              {dashboard.Question{Namespace: "shop", Pod: orders, Method: "PUT", Target: "/orders/1", Claims: claims}, decision.InsufficientScope, "policies", ""},
		"nobody, by the sidecar":           {dashboard.Question{Namespace: "shop", Pod: orders, Method: "GET", Target: "/orders/1"}, decision.NoToken, "sidecar", ""},
		"a path without a slash":           {dashboard.Question{Namespace: "shop", Pod: orders, Method: "GET", Target: "orders"}, "", "", "target"},
		"claims and a mistake":             {dashboard.Question{Namespace: "shop", Pod: orders, Method: "GET", Target: "/", Claims: "{"}, "", "policies", "claims"},
		"a pod that there is not":          {dashboard.Question{Namespace: "shop", Pod: "none", Method: "GET", Target: "/"}, "", "", "pod"},
		"a pod of another namespace":       {dashboard.Question{Namespace: "pay", Pod: orders, Method: "GET", Target: "/"}, "", "", "pod"},
		"a pod without a sidecar":          {dashboard.Question{Namespace: "shop", Pod: podOf(t, f, "cart"), Method: "GET", Target: "/"}, "", "", "pod"},
		"claims at a pod without a policy": {dashboard.Question{Namespace: "media", Pod: podOf(t, f, "uploads"), Method: "GET", Target: "/", Claims: claims}, "", "", "pod"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := explained(t, h, tt.q)
			if a.Field != tt.wrong || (a.Problem == "") != (tt.wrong == "") || a.By != tt.by {
				t.Fatalf("%s, %q by %q", a.Field, a.Problem, a.By)
			}
			if a.Report == nil {
				return
			}
			if a.Report.Reason != tt.reason || len(a.Policies) != 1 && tt.reason != decision.NoToken {
				t.Errorf("%s: %+v", a.Report.Reason, a.Policies)
			}
			if (a.Do == "") != a.Report.Allowed {
				t.Errorf("what to do: %q", a.Do)
			}
		})
	}
	f.Break(dashboardtest.Forbidden)
	if a := explained(t, h, dashboard.Question{Namespace: "shop", Pod: orders, Method: "GET", Target: "/"}); !strings.Contains(a.Problem, "forbidden") || !strings.Contains(a.Do, "pods/portforward") {
		t.Errorf("without the right: %+v", a)
	}
}

// TestTokensDoNotComeBack: what is asked about is in no answer, whatever becomes of it.
func TestTokensDoNotComeBack(t *testing.T) {
	t.Parallel()
	f := dashboardtest.Shop(now)
	h := server(t, f)
	part := base64.RawURLEncoding.EncodeToString
	token := part([]byte(`{"alg":"ES256"}`)) + "." + part([]byte(`{"iss":"https://login.example.com","aud":"orders"}`)) + "." + part([]byte("signature-of-a-token"))
	for _, target := range []string{"/orders/1", "orders"} {
		body, _ := json.Marshal(dashboard.Question{Namespace: "shop", Pod: podOf(t, f, "orders"), Method: "GET", Target: target, Token: token})
		w := ask(t, h, "POST", "/"+secret+"/api/explain", string(body))
		if w.Code != 200 || strings.Contains(w.Body.String(), token) || strings.Contains(w.Body.String(), part([]byte("signature-of-a-token"))) {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
	}
	if w := ask(t, h, "GET", "/"+secret+"/api/state", ""); strings.Contains(w.Body.String(), token) {
		t.Error("the state has the token")
	}
}

func TestARequestIsFoundByItsID(t *testing.T) {
	t.Parallel()
	f := dashboardtest.Shop(now)
	h := server(t, f)
	pod := podOf(t, f, "ledger")
	id := f.Refused["pay/"+pod][0].RequestID
	find := func(id string) (found dashboard.Found) {
		w := ask(t, h, "GET", "/"+secret+"/api/requests?id="+id, "")
		if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil || w.Code != 200 {
			t.Fatalf("%d: %v", w.Code, err)
		}
		return found
	}
	if got := find(id); len(got.Requests) != 1 || got.Requests[0].Pod != pod || got.Requests[0].Workload != "deploy/ledger" || got.Requests[0].Do == "" || got.Asked != 48 {
		t.Errorf("%+v", got)
	}
	if got := find("unheard"); len(got.Requests) != 0 || got.Asked != 48 || got.Trouble != nil {
		t.Errorf("%+v", got)
	}
	f.Break(dashboardtest.Forbidden)
	if got := find(id); got.Failed != 48 || got.Trouble == nil || got.Trouble.Kind != dashboard.Forbidden {
		t.Errorf("%+v", got)
	}
}

func TestAPolicyOfTheClusterIsOneForThePlayground(t *testing.T) {
	t.Parallel()
	h := server(t, dashboardtest.Shop(now))
	w := ask(t, h, "GET", "/"+secret+"/api/question?policy=shop/orders", "")
	var e page.Example
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	e.Target = "/healthz"
	if a := page.Decide(e.Question, now()); a.Problem != "" || a.Report.Reason != decision.Allowed || strings.Contains(e.Policy, "status") {
		t.Errorf("%s\n%s", a.Problem, e.Policy)
	}
	body := ask(t, h, "GET", "/"+secret+"/playground/", "").Body.String()
	if !strings.Contains(body, `aria-label="Pages">`) || !strings.Contains(body, `href="../#/policies"`) {
		t.Error("the playground does not lead back")
	}
}
