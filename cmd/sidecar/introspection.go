package main

import (
	"time"

	"github.com/bearerguard/bearerguard/sidecar/gate"
	"github.com/bearerguard/bearerguard/sidecar/introspect"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// endpoints returns where the issuers of a snapshot are asked about tokens.
func (s *sidecar) endpoints(asked []gate.Asked) ([]gate.Endpoint, error) {
	wanted := make([]introspect.Wanted, len(asked))
	for i, a := range asked {
		wanted[i] = introspect.Wanted(a)
	}
	open, err := s.asking.Open(wanted)
	if err != nil {
		return nil, err
	}
	out := make([]gate.Endpoint, len(open))
	for i, e := range open {
		if e != nil {
			out[i] = e
		}
	}
	return out, nil
}

// answered counts a question to an issuer.
func (s *sidecar) answered(r introspect.Result, took time.Duration) {
	s.metrics.Introspected(string(r), took)
}

func (s *sidecar) introspection() telemetry.Introspection {
	state := s.asking.State()
	return telemetry.Introspection{Running: state.Running, Endpoints: state.Endpoints, Open: state.Open, Used: s.gate.AnswersUsed()}
}
