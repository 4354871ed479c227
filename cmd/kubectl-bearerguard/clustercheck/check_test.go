package clustercheck

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// authority makes a certificate authority, and a certificate of it for a name; both end then.
func authority(t *testing.T, name string, end time.Time) (ca []byte, leaf *x509.Certificate) {
	t.Helper()
	make := func(template, parent *x509.Certificate, public, signer *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &public.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: end, KeyUsage: x509.KeyUsageCertSign,
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: end, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, err := x509.ParseCertificate(make(of, root, key, caKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: make(root, root, caKey, caKey)}), leaf
}

const system = "bearerguard-system"

// healthy are facts of a cluster in which all is well.
func healthy(t *testing.T) Facts {
	t.Helper()
	ca, leaf := authority(t, "bearerguard-webhook."+system+".svc", now.AddDate(0, 6, 0))
	skew := 200 * time.Millisecond
	f := Facts{Now: now, CLI: "v0.1.0", Namespace: system, Uncertain: time.Second, Subject: "the controller"}
	f.Server.Value = "v1.36.1"
	f.Skew.Value = time.Second
	f.Nodes.Value = []Node{{"a", "linux", "amd64", "v1.35.0", "6.1.0-13-amd64"}, {"w", "windows", "amd64", "v1.20.0", "10"}}
	f.Rights.Value = []Right{{Verb: "list", Resource: "pods", Allowed: true}}
	f.CRDs.Value = allDefinitions(t)
	f.Controllers.Value = []Controller{{Namespace: system, Version: "0.1.0", Wanted: 2, Ready: 2}}
	f.Webhooks.Value = []Webhook{
		{Kind: "MutatingWebhookConfiguration", Name: "pods.bearerguard.dev", Service: system + "/bearerguard-webhook", CA: ca},
		{Kind: "ValidatingWebhookConfiguration", Name: "namespaces.bearerguard.dev", Service: system + "/bearerguard-webhook", CA: ca, Ignore: true},
	}
	f.Backends.Value = map[string]int{system + "/bearerguard-webhook": 2}
	f.Policy.Value, f.Pod.Value = Trial{Namespace: "shop", Answered: true}, Trial{Namespace: "shop", Answered: true}
	f.Serving.Value = []*x509.Certificate{leaf}
	f.Namespaces.Value = []Namespace{{Name: "shop", Asks: true, Redirects: true, Pods: 3}, {Name: "default", Level: "baseline"}}
	f.Sidecars.Value = []Sidecar{{"shop", "orders-0", "0.1.0", &skew}}
	return f
}

func TestAHealthyClusterHasNothingToSay(t *testing.T) {
	t.Parallel()
	f := healthy(t)
	lines, err := Run(&f, nil, Strict)
	if err != nil || len(lines) < 11 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for _, l := range lines {
		if l.Verdict != OK || l.Exit != 0 {
			t.Errorf("%+v", l)
		}
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		check  string
		change func(*Facts)
		want   Verdict
		text   string
	}{
		"an old API server":         {"kubernetes", func(f *Facts) { f.Server.Value = "v1.32.9" }, Failed, "need 1.33"},
		"a version that is none":    {"kubernetes", func(f *Facts) { f.Server.Value = "new" }, Unknown, `"new"`},
		"an old kubelet":            {"nodes", func(f *Facts) { f.Nodes.Value[0].Kubelet = "v1.30.1" }, Failed, "a (v1.30.1)"},
		"an old kernel":             {"nodes", func(f *Facts) { f.Nodes.Value[0].Kernel = "4.18.0-553.el8" }, Warning, "a (4.18.0-553.el8)"},
		"another processor":         {"nodes", func(f *Facts) { f.Nodes.Value[0].Arch = "s390x" }, Warning, "a (s390x)"},
		"no Linux":                  {"nodes", func(f *Facts) { f.Nodes.Value = f.Nodes.Value[1:] }, Failed, "none of 1 nodes"},
		"nodes nobody may list":     {"nodes", func(f *Facts) { f.Nodes = Known[[]Node]{Unknown: "forbidden", Blocked: true} }, Unknown, "forbidden"},
		"a server that is ahead":    {"clock", func(f *Facts) { f.Skew.Value = time.Minute }, Warning, "1m0s ahead of"},
		"a server that is behind":   {"clock", func(f *Facts) { f.Skew.Value = -time.Minute }, Warning, "1m0s behind"},
		"a slow sidecar":            {"clock", func(f *Facts) { d := -10 * time.Second; f.Sidecars.Value[0].Skew = &d }, Warning, "shop/orders-0 by 9s"},
		"a sidecar that is far off": {"clock", func(f *Facts) { d := time.Hour; f.Sidecars.Value[0].Skew = &d }, Failed, "good tokens are refused"},
		"a right that is missing":   {"permissions", func(f *Facts) { f.Rights.Value[0].Allowed = false }, Failed, "list pods"},
		"no right to escalate": {"permissions", func(f *Facts) {
			f.Rights.Value = append(f.Rights.Value, Right{Verb: "escalate", Resource: "x", Optional: true})
		}, Warning, "escalate x"},
		"Pod Security and NET_ADMIN":   {"pod-security", func(f *Facts) { f.Namespaces.Value[0].Level = "restricted" }, Failed, "shop (restricted)"},
		"no definition":                {"crds", func(f *Facts) { f.CRDs.Value = f.CRDs.Value[:1] }, Failed, "no CustomResourceDefinition of"},
		"a definition not served":      {"crds", func(f *Facts) { f.CRDs.Value[0].Spec.Versions[0].Served = false }, Failed, "is not served"},
		"one not established":          {"crds", func(f *Facts) { f.CRDs.Value[0].Status.Conditions = nil }, Failed, "not established"},
		"an older definition":          {"crds", func(f *Facts) { dropField(f, "rules") }, Warning, "older than this command: it lacks spec.rules"},
		"a newer definition":           {"crds", func(f *Facts) { addField(f, "magic") }, Warning, "newer than this command: it has spec.magic"},
		"no controller":                {"controller", func(f *Facts) { f.Controllers.Value = nil }, Failed, "there is no controller"},
		"a controller at 0":            {"controller", func(f *Facts) { f.Controllers.Value[0].Wanted = 0 }, Failed, "scaled to 0"},
		"a controller that is down":    {"controller", func(f *Facts) { f.Controllers.Value[0].Ready = 0 }, Failed, "0 of 2 replicas"},
		"a replica that is down":       {"controller", func(f *Facts) { f.Controllers.Value[0].Ready = 1 }, Warning, "1 of 2 replicas"},
		"no mutating webhooks":         {"webhooks", func(f *Facts) { f.Webhooks.Value = f.Webhooks.Value[1:] }, Failed, "no pod gets a sidecar"},
		"no validating webhooks":       {"webhooks", func(f *Facts) { f.Webhooks.Value = f.Webhooks.Value[:1] }, Failed, "policies that cannot work are taken"},
		"an empty caBundle":            {"webhooks", func(f *Facts) { f.Webhooks.Value[0].CA = nil }, Failed, "no caBundle"},
		"a caBundle that is none":      {"webhooks", func(f *Facts) { f.Webhooks.Value[0].CA = []byte("x") }, Failed, "no caBundle"},
		"failurePolicy Ignore":         {"webhooks", func(f *Facts) { f.Webhooks.Value[0].Ignore = true }, Failed, "pods run bare"},
		"nobody behind the Service":    {"webhooks", func(f *Facts) { f.Backends.Value = nil }, Failed, "nobody is behind"},
		"a policy nobody looked at":    {"admission", func(f *Facts) { f.Policy.Value.Answered = false }, Failed, "policies are not checked there"},
		"a pod nobody looked at":       {"admission", func(f *Facts) { f.Pod.Value.Answered = false }, Failed, "pods get no sidecar there"},
		"a webhook that is away":       {"admission", func(f *Facts) { f.Pod.Value = Trial{Namespace: "shop", Refused: "no endpoints"} }, Failed, "no endpoints"},
		"a quota":                      {"admission", func(f *Facts) { f.Pod.Value.Refused = "quota" }, Warning, "quota"},
		"an authority at its end":      {"certificates", func(f *Facts) { f.Now = now.AddDate(0, 6, 1) }, Failed, "expired on 2027-05-28"},
		"an authority near its end":    {"certificates", func(f *Facts) { f.Now = now.AddDate(0, 6, -3) }, Warning, "expires on 2027-05-28"},
		"another authority":            {"certificates", func(f *Facts) { f.Webhooks.Value[0].CA, f.Webhooks.Value[1].CA = otherCA, otherCA }, Failed, "have another authority"},
		"a certificate for another":    {"certificates", func(f *Facts) { f.Namespace = "elsewhere" }, Failed, "is not for bearerguard-webhook.elsewhere.svc"},
		"a certificate nobody may see": {"certificates", func(f *Facts) { f.Serving = Known[[]*x509.Certificate]{Unknown: "no port-forward"} }, Unknown, "no port-forward"},
		"another command":              {"versions", func(f *Facts) { f.CLI = "v0.2.0" }, Warning, "this command is of release v0.2.0"},
		"a command of no release":      {"versions", func(f *Facts) { f.CLI = "(devel)" }, Unknown, "of no release"},
		"another sidecar":              {"versions", func(f *Facts) { f.Sidecars.Value[0].Version = "0.0.9" }, Warning, "shop/orders-0 (0.0.9)"},
	} {
		f := healthy(t)
		if name == "another authority" {
			otherCA, _ = authority(t, "x", now.AddDate(1, 0, 0))
		}
		tt.change(&f)
		lines, err := Run(&f, []string{tt.check}, Lenient)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, l := range lines {
			found = found || l.Check == tt.check && l.Verdict == tt.want && strings.Contains(l.Text, tt.text) && (l.Exit == 2) == (tt.want == Failed) &&
				(l.Hint != "" || tt.want == Unknown)
		}
		if !found {
			t.Errorf("%s: want %s with a hint, and %q:\n%+v", name, tt.want, tt.text, lines)
		}
		if Fine(lines) == (tt.want == Failed) {
			t.Errorf("%s: fine is %v", name, Fine(lines))
		}
		if lines, _ := Run(&f, []string{tt.check}, Strict); Fine(lines) {
			t.Errorf("%s: --strict lets it pass", name)
		}
	}
}

var otherCA []byte // of one case

func TestBeforeAnInstallation(t *testing.T) {
	t.Parallel()
	f := healthy(t)
	f.Pre, f.CRDs.Value, f.Controllers.Value, f.Webhooks.Value = true, nil, nil, nil
	f.Namespaces.Value = []Namespace{{Name: "shop", Level: "restricted"}, {Name: system, Level: "restricted"}}
	lines, err := Run(&f, nil, Strict)
	if err != nil || !Fine(lines) {
		t.Errorf("%v: %+v", err, lines)
	}
	for _, l := range lines {
		switch l.Check {
		case "webhooks", "admission", "certificates", "versions":
			t.Errorf("%s is checked before there is anything", l.Check)
		case "pod-security":
			if !strings.HasSuffix(l.Text, ": shop") || !strings.Contains(l.Hint, "capture=ports") {
				t.Errorf("it does not tell what restricted namespaces need: %+v", l)
			}
		}
	}
	f.Controllers.Value = []Controller{{Namespace: "other", Version: "0.0.9"}}
	if lines, _ := Run(&f, []string{"controller"}, Lenient); lines[0].Verdict != Warning || !strings.Contains(lines[0].Text, "in namespace other, of release 0.0.9") {
		t.Errorf("one that is there already: %+v", lines)
	}
	f.Rights.Value[0].Allowed = false
	if lines, _ := Run(&f, []string{"permissions"}, Lenient); !strings.Contains(lines[0].Hint, "install as somebody who may") {
		t.Errorf("rights of who installs: %+v", lines)
	}
}

func TestAnUnknownCheckIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := Run(&Facts{}, []string{"magic"}, Lenient); err == nil || !strings.Contains(err.Error(), `"magic"`) || !strings.Contains(err.Error(), "kubernetes") {
		t.Errorf("err = %v", err)
	}
}

// TestNothingKnownIsNoFailure has all facts unknown.
func TestNothingKnownIsNoFailure(t *testing.T) {
	t.Parallel()
	f := Facts{Now: now, Server: Known[string]{Unknown: "x"}, Skew: Known[time.Duration]{Unknown: "x"}, Nodes: Known[[]Node]{Unknown: "x"}, Rights: Known[[]Right]{Unknown: "x"}}
	f.CRDs.Unknown, f.Controllers.Unknown, f.Webhooks.Unknown, f.Backends.Unknown = "x", "x", "x", "x"
	f.Policy.Unknown, f.Pod.Unknown, f.Serving.Unknown, f.Namespaces.Unknown, f.Sidecars.Unknown = "x", "x", "x", "x", "x"
	lines, _ := Run(&f, nil, Lenient)
	for _, l := range lines {
		if l.Verdict != Unknown || l.Exit != 0 {
			t.Errorf("%+v", l)
		}
	}
}
