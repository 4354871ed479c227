package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/api/tracing"
	"github.com/bearerguard/bearerguard/controllers/compile"
	"github.com/bearerguard/bearerguard/controllers/inject"
	"github.com/bearerguard/bearerguard/controllers/trace"
)

// The paths that the webhook configurations name.
const (
	PodsPath              = "/mutate-pods"
	WorkloadsPath         = "/mutate-workloads"
	AuthPoliciesPath      = "/validate-authpolicies"
	TokenRevocationsPath  = "/validate-tokenrevocations"
	RevocationSourcesPath = "/validate-revocationsources"
	NamespacesPath        = "/validate-namespaces"
	EnforcedPodsPath      = "/validate-pods"
)

// Config is what the webhooks need. All fields are required, except Company, Budget, Room, MayRead, Tracer and Log.
type Config struct {
	// Inject is how pods are injected; its Namespace is set for each request.
	Inject inject.Config
	// Namespaces reads a pod's namespace from the API server, not from a cache: a label set a moment ago must count.
	Namespaces client.Reader
	// PublishCA makes sure that namespace has the ConfigMap that injected pods mount. It is not called for dry runs.
	PublishCA func(ctx context.Context, namespace string) error
	// KeyAllowHTTP says whether the controller fetches keys over plain http; it changes warnings only.
	KeyAllowHTTP bool
	// Company returns warnings about a policy among the others of its namespace and the pods there. nil: there are none.
	Company func(ctx context.Context, namespace string, p compile.Neighbour) []string
	// Budget returns an error if a policy has no room in its namespace. nil: it always has.
	Budget func(context.Context, compile.Newcomer) error
	// Room returns an error if the entries of a TokenRevocation, which is there or not, have no room in its namespace. nil: there always is.
	Room func(ctx context.Context, namespace, name string, entries revoked.List, now time.Time) error
	// MayRead reports whether the controller's roles let it read a Secret, which need not be there; it changes warnings only. nil: it may read all.
	MayRead func(ctx context.Context, namespace, secret string) (bool, error)
	// Scheme knows the built-in types and api/v1alpha1.
	Scheme *runtime.Scheme
	// Metrics takes the counter bearerguard_admission_total.
	Metrics prometheus.Registerer
	// Tracer traces requests. nil: none are traced.
	Tracer *tracing.Tracer
	// Log defaults to none.
	Log logr.Logger
}

// A Server serves admission requests; the webhook server of controller-runtime is one.
type Server interface {
	Register(path string, hook http.Handler)
}

// Register puts all webhooks on s.
func Register(s Server, c Config) error {
	if err := c.Inject.Validate(); err != nil {
		return err
	}
	if c.Namespaces == nil || c.PublishCA == nil || c.Scheme == nil || c.Metrics == nil {
		return errors.New("webhook config: Namespaces, PublishCA, Scheme and Metrics are required")
	}
	count, err := newCounter(c.Metrics)
	if err != nil {
		return err
	}
	decoder := admission.NewDecoder(c.Scheme)
	// Policies wait for each other, so they have places of their own.
	small := newArrivals()
	others, ofPolicies := make(chan struct{}, largeReviews-largePolicies), make(chan struct{}, largePolicies)
	pods := &podHandler{cfg: c, decoder: decoder}
	policies := &policyHandler{
		decoder: decoder, checker: decision.NewChecker(policyMemory), allowHTTP: c.KeyAllowHTTP, company: c.Company, budget: c.Budget, mayRead: c.MayRead,
		turns: newTurns(policyReviews()),
	}
	for path, h := range map[string]handler{
		PodsPath:              pods.handle,
		WorkloadsPath:         (&workloadHandler{cfg: c, decoder: decoder, namespace: pods.namespace}).handle,
		AuthPoliciesPath:      policies.handle,
		TokenRevocationsPath:  (&revocationHandler{decoder: decoder, room: c.Room}).handle,
		RevocationSourcesPath: (&sourceHandler{decoder: decoder, allowHTTP: c.KeyAllowHTTP, mayRead: c.MayRead}).handle,
		NamespacesPath:        (&namespaceHandler{decoder: decoder}).handle,
		EnforcedPodsPath:      (&enforcedHandler{cfg: c, decoder: decoder, namespace: pods.namespace}).handle,
	} {
		places := others
		if path == AuthPoliciesPath {
			places = ofPolicies
		}
		hook := bounded(small, places, &admission.Webhook{Handler: counted(path, h, count, c.Log)})
		s.Register(path, trace.Handler(c.Tracer, "admission "+path[1:], hook))
	}
	return nil
}

// answer is what a handler says: one of admit, refuse or an error.
type answer struct {
	response admission.Response
	// result is "allowed", "changed", "refused" or "error"; reason is a constant word or "".
	result, reason string
}

// handler answers one kind of request.
type handler func(context.Context, admission.Request) answer

// counted logs and counts what h answers.
func counted(path string, h handler, count *prometheus.CounterVec, log logr.Logger) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, req admission.Request) admission.Response {
		a := h(ctx, req)
		told(ctx, path, &req, a)
		count.WithLabelValues(path[1:], a.result, a.reason).Inc()
		entry := log.WithValues("webhook", path[1:], "namespace", req.Namespace, "name", req.Name, "kind", req.Kind.Kind,
			"result", a.result, "reason", a.reason)
		switch a.result {
		case resultError:
			entry.Info("admission failed", "cause", a.response.Result.Message)
		case resultRefused:
			entry.Info("admission refused", "cause", a.response.Result.Message)
		default:
			entry.V(1).Info("admission answered")
		}
		return a.response
	})
}

// The results of an answer.
const (
	resultAllowed = "allowed"
	resultChanged = "changed"
	resultRefused = "refused"
	resultError   = "error"
)

func allowed(reason string, warnings []string) answer {
	return answer{admission.Allowed("").WithWarnings(warnings...), resultAllowed, reason}
}

func changed(reason string, patches []operation, warnings []string) answer {
	return answer{admission.Patched("", patches...).WithWarnings(warnings...), resultChanged, reason}
}

func refused(err error) answer {
	return answer{admission.Denied(err.Error()), resultRefused, ""}
}

func failed(code int32, doing string, err error) answer {
	return answer{admission.Errored(code, fmt.Errorf("%s: %w", doing, err)), resultError, ""}
}

func newCounter(r prometheus.Registerer) (*prometheus.CounterVec, error) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bearerguard_admission_total",
		Help: "Admission requests by webhook, result (allowed, changed, refused, error) and, for pods, the reason.",
	}, []string{"webhook", "result", "reason"})
	if err := r.Register(c); err != nil {
		return nil, fmt.Errorf("register admission metrics: %w", err)
	}
	return c, nil
}
