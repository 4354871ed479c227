package gitops

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/policy"
	"github.com/bearerguard/bearerguard/api/v1alpha1"
	made "github.com/bearerguard/bearerguard/controllers/status"
)

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: "orders", Generation: 3}
}

func authPolicy(mode policy.Mode, in made.Input) any {
	in.Generation, in.Now, in.Elected = 3, start, start.Add(-time.Hour)
	s, _ := made.Compute(in)
	return &v1alpha1.AuthPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuthPolicy"}, ObjectMeta: meta(),
		Spec: v1alpha1.AuthPolicySpec{Spec: policy.Spec{Mode: mode}}, Status: s,
	}
}

func tally(pods ...made.Pod) made.Tally { return made.Count(pods, start, start.Add(-time.Hour)) }

func tokenRevocation(problem error, pods ...made.Pod) any {
	return &v1alpha1.TokenRevocation{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TokenRevocation"}, ObjectMeta: meta(),
		Status: made.ComputeRevocation(made.Revocation{Generation: 3, Now: start, Problem: problem, Pods: tally(pods...)}),
	}
}

func revocationSource(in made.Source) any {
	in.Generation, in.Now = 3, start
	return &v1alpha1.RevocationSource{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RevocationSource"}, ObjectMeta: meta(), Status: made.ComputeSource(in),
	}
}

// unseen is an object as the API server has it before the controller has come by: with the default of the schema.
func unseen(kind string) any {
	return map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind, "metadata": map[string]any{"name": "orders", "generation": 1},
		"status": map[string]any{"observedGeneration": -1},
	}
}

func TestWhatGitOpsToolsMakeOfStatuses(t *testing.T) {
	t.Parallel()
	var (
		current  = made.Pod{Name: "a", Heard: true, Current: true}
		behind   = made.Pod{Name: "b", Heard: true}
		refusing = made.Pod{Name: "c", Heard: true, Rejected: "too new"}
		bare     = made.Pod{Name: "e", Bare: true}
		lost     = made.Pod{Name: "l", Heard: true, Current: true, Lost: start.Add(-time.Hour)}
		open     = made.Pod{Name: "o", Heard: true, Current: true, Open: "8080"}
	)
	broken := errors.New("spec.rules[0]: it is broken")
	pods := func(p ...made.Pod) made.Input { return made.Input{Pods: p} }
	reached := &made.Reached{Pods: tally(current)}
	former := authPolicy(policy.Enforce, pods(current)).(*v1alpha1.AuthPolicy)
	former.Generation++ // and nobody has come by since
	failed := made.Input{Pods: []made.Pod{current}, Issuers: []made.Issuer{{Name: "corp", Failure: "no answer"}}}
	for name, tc := range map[string]struct {
		object  any
		argo    string
		kstatus status.Status
	}{
		"a policy in force":                         {authPolicy(policy.Enforce, pods(current)), "Healthy", status.CurrentStatus},
		"a policy that comes before its pods":       {authPolicy(policy.Enforce, pods()), "Healthy", status.CurrentStatus},
		"a policy that refuses nothing":             {authPolicy(policy.Audit, pods(current)), "Suspended", status.CurrentStatus},
		"a policy on its way":                       {authPolicy(policy.Enforce, pods(current, behind)), "Progressing", status.InProgressStatus},
		"a policy on its way that refuses nothing":  {authPolicy(policy.Audit, pods(behind)), "Progressing", status.InProgressStatus},
		"a policy whose pods are being replaced":    {authPolicy(policy.Enforce, pods(current, bare)), "Progressing", status.InProgressStatus},
		"a policy with a sidecar out of touch":      {authPolicy(policy.Enforce, pods(current, lost)), "Progressing", status.InProgressStatus},
		"a policy with a way past it":               {authPolicy(policy.Enforce, pods(open)), "Degraded", status.InProgressStatus},
		"a policy whose keys cannot be read":        {authPolicy(policy.Enforce, failed), "Degraded", status.InProgressStatus},
		"a policy that is wrong":                    {authPolicy(policy.Enforce, made.Input{Problem: broken}), "Degraded", status.FailedStatus},
		"a policy that a sidecar is too old for":    {authPolicy(policy.Enforce, pods(refusing)), "Degraded", status.FailedStatus},
		"a policy that was changed":                 {former, "Progressing", status.InProgressStatus},
		"a policy that nobody has seen":             {unseen("AuthPolicy"), "Progressing", status.InProgressStatus},
		"a revocation in force":                     {tokenRevocation(nil, current), "Healthy", status.CurrentStatus},
		"a revocation on its way":                   {tokenRevocation(nil, behind), "Progressing", status.InProgressStatus},
		"a revocation that is wrong":                {tokenRevocation(broken, current), "Degraded", status.FailedStatus},
		"a revocation that nobody has seen":         {unseen("TokenRevocation"), "Progressing", status.InProgressStatus},
		"a source that waits for its first event":   {revocationSource(made.Source{Keys: 1, Reached: reached}), "Healthy", status.CurrentStatus},
		"a source whose keys are being read":        {revocationSource(made.Source{Reached: reached}), "Progressing", status.InProgressStatus},
		"a source whose provider cannot be reached": {revocationSource(made.Source{Keys: 1, StreamErr: broken, Reached: reached}), "Degraded", status.InProgressStatus},
		"a source of a controller without the port": {revocationSource(made.Source{Keys: 1, Problem: broken, Reason: v1alpha1.ReasonReceiverDisabled, Reached: reached}), "Degraded", status.FailedStatus},
		"a source that nobody has seen":             {unseen("RevocationSource"), "Progressing", status.InProgressStatus},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := asJSON(t, tc.object)
			if got, message := health(t, u); got != tc.argo || message == "" {
				t.Errorf("Argo CD says %s (%s), want %s", got, message, tc.argo)
			}
			got, err := status.Compute(u)
			if err != nil || got.Status != tc.kstatus {
				t.Errorf("kstatus says %+v, %v; want %s", got, err, tc.kstatus)
			}
		})
	}
}

func asJSON(t *testing.T, object any) *unstructured.Unstructured {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(data, &u.Object); err != nil {
		t.Fatal(err)
	}
	u.Object = runtime.DeepCopyJSON(toInt(u.Object).(map[string]any))
	return u
}

// toInt makes whole numbers what the API server's clients make of them.
func toInt(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = toInt(x[k])
		}
	case []any:
		for i := range x {
			x[i] = toInt(x[i])
		}
	case float64:
		return int64(x)
	}
	return v
}

// health runs the script of an object's kind as Argo CD does: with the base, table and package libraries, and the object in obj.
func health(t *testing.T, u *unstructured.Unstructured) (is, message string) {
	t.Helper()
	text, err := os.ReadFile("../../../config/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var settings struct{ Data map[string]string }
	if err := yaml.Unmarshal(text, &settings); err != nil {
		t.Fatal(err)
	}
	script, ok := settings.Data["resource.customizations.health.bearerguard.dev_"+u.GetKind()]
	if !ok {
		t.Fatalf("no script for %s", u.GetKind())
	}
	if source, err := os.ReadFile("../../../config/argocd/health.lua"); err != nil || strings.TrimSpace(string(source)) != strings.TrimSpace(script) {
		t.Fatalf("argocd-cm.yaml is stale: run config/argocd/write.sh (%v)", err)
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		l.Push(l.NewFunction(open))
		l.Push(lua.LString(name))
		l.Call(1, 0)
	}
	l.SetGlobal("obj", toLua(l, u.Object))
	if err := l.DoString(script); err != nil {
		t.Fatal(err)
	}
	out, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("it returns %v", l.Get(-1))
	}
	return lua.LVAsString(out.RawGetString("status")), lua.LVAsString(out.RawGetString("message"))
}

func toLua(l *lua.LState, v any) lua.LValue {
	switch x := v.(type) {
	case map[string]any:
		t := l.NewTable()
		for k, e := range x {
			t.RawSetString(k, toLua(l, e))
		}
		return t
	case []any:
		t := l.NewTable()
		for _, e := range x {
			t.Append(toLua(l, e))
		}
		return t
	case string:
		return lua.LString(x)
	case bool:
		return lua.LBool(x)
	case int64:
		return lua.LNumber(x)
	}
	return lua.LNil
}
