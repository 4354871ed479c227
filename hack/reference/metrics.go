package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bearerguard/bearerguard/api/logqueue"
	"github.com/bearerguard/bearerguard/api/otlp"
	"github.com/bearerguard/bearerguard/controllers/authpolicy"
	"github.com/bearerguard/bearerguard/controllers/keys"
	"github.com/bearerguard/bearerguard/controllers/push"
	"github.com/bearerguard/bearerguard/controllers/revsource"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

const metricsHead = `# Metrics

<!-- Written by "make generate" from the metrics that the programs register. Do not edit. -->

Both programs answer at ` + "`/metrics`" + `: a sidecar on its admin port (15081), the controller where [operations.md](operations.md#metrics-and-alerts) says, which
has the alerts, too. Besides these there are those of the Go runtime and the process (` + "`go_*`, `process_*`" + `), and controller-runtime's.

No label has a value that a client chose, or one of a token. Their number is bounded:

| label | values |
|---|---|
`

// labels are all labels that there are, and what bounds the number of their values.
var labels = map[string]string{
	"decision":  "`allow`, `deny`",
	"reason":    "one of a closed list: in metrics of requests those of [reasons.md](reasons.md), in those of policies and sources those of conditions, and the code's own for headers that are left out and for admission",
	"policy":    "`namespace/name` of a policy that selects the pod; empty if none decided. The controller has `namespace` beside it. Policies that are gone are dropped",
	"rule":      "the name of one of its rules, at most 256",
	"namespace": "the object's",
	"source":    "the name of a RevocationSource; in `bearerguard_keyset_fetch_failures_total` the kind of a source of keys",
	"condition": "the type of a condition",
	"result":    "one of a closed list of the code",
	"version":   "one: that of the rules in force",
	"protocol":  "`ext_authz` or `forward-auth`, as gateways ask",
	"webhook":   "one of the controller's own",
}

// metric is what is said of one.
type metric struct {
	name, kind, help string
	labels           []string
}

// others are metrics that only the programs themselves register; a test holds them to the code.
var others = map[string][]metric{
	"sidecar": {
		{"bearerguard_bypassable_ports", "gauge", "Ports of the app, behind the sidecar, that are open to others than the sidecar.", nil},
		{"bearerguard_checks_total", "counter", "Questions of gateways, by the protocol that they came by.", []string{"protocol", "decision"}},
	},
	"controller": {
		{"bearerguard_admission_total", "counter", "Admission requests by webhook, result (allowed, changed, refused, error) and, for pods, the reason.", []string{"webhook", "result", "reason"}},
	},
}

// registry takes down what is registered.
type registry struct{ out []metric }

var _ prometheus.Registerer = (*registry)(nil)

var described = regexp.MustCompile(`fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)"(?:, unit: "[^"]*")?, constLabels: \{.*\}, variableLabels: \{([^}]*)\}`)

// Register implements prometheus.Registerer.
func (r *registry) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc, 64)
	c.Describe(all)
	close(all)
	for d := range all {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			return fmt.Errorf("cannot read %s", d)
		}
		one := metric{name: m[1], kind: kindOf(c, m[1]), help: strings.ReplaceAll(m[2], `\"`, `"`)}
		if m[3] != "" {
			one.labels = strings.Split(m[3], ",")
		}
		r.out = append(r.out, one)
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (r *registry) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister implements prometheus.Registerer.
func (r *registry) Unregister(prometheus.Collector) bool { return false }

// kindOf tells the type of a metric; of a collector of several, by its name.
func kindOf(c prometheus.Collector, name string) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	}
	_, observes := c.(interface{ Observe(float64) })
	switch {
	case observes:
		return "histogram"
	case strings.HasSuffix(name, "_total"):
		return "counter"
	}
	return "gauge"
}

// readMetrics returns the metrics of both programs.
func readMetrics() (map[string][]metric, error) {
	var sidecar, controller registry
	_, err := telemetry.NewMetrics(&sidecar, telemetry.Sources{
		Cache: func() telemetry.Cache { return telemetry.Cache{} }, Introspection: func() telemetry.Introspection { return telemetry.Introspection{} },
		Proofs: func() telemetry.Proofs { return telemetry.Proofs{} }, Pushed: true,
		Freshness: func() (bool, time.Duration, bool) { return false, 0, false },
	})
	if err != nil {
		return nil, err
	}
	lines := logqueue.New(io.Discard)
	if err := errors.Join(telemetry.RegisterLoops(&sidecar, nil, nil), lines.Register(&sidecar), lines.Register(&controller)); err != nil {
		return nil, err
	}
	sidecar.MustRegister(otlp.NewMetrics(nil, nil))
	if err := keys.NewMetrics().Register(&controller, nil); err != nil {
		return nil, err
	}
	if err := push.NewMetrics().Register(&controller); err != nil {
		return nil, err
	}
	controller.MustRegister(otlp.NewMetrics(nil, nil), authpolicy.NewMetrics(), revsource.NewMetrics())
	out := map[string][]metric{"sidecar": append(sidecar.out, others["sidecar"]...), "controller": append(controller.out, others["controller"]...)}
	for program := range out {
		slices.SortFunc(out[program], func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	}
	return out, nil
}

// metricsPage writes docs/metrics.md.
func metricsPage() (string, error) {
	all, err := readMetrics()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(metricsHead)
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, labels[name])
	}
	for _, program := range []string{"sidecar", "controller"} {
		fmt.Fprintf(&b, "\n## The %s\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n", program)
		for _, m := range all[program] {
			for _, l := range m.labels {
				if labels[l] == "" {
					return "", fmt.Errorf("metric %s has the label %s, of which hack/reference does not say what bounds it", m.name, l)
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.Join(m.labels, ", "), m.help)
		}
	}
	return b.String(), nil
}
