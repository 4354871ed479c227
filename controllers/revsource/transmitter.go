package revsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/policy"
)

const (
	// betweenPolls is the time from one poll that has brought events to the next: a transmitter cannot have us do nothing else.
	betweenPolls = 100 * time.Millisecond
	// atATime is how many events are asked for.
	atATime = 100
	// pollTimeout is how long a transmitter may hold its answer back until there is an event.
	pollTimeout = 90 * time.Second
	// storeTimeout bounds the storing of what was fetched.
	storeTimeout = 10 * time.Second
)

// The names of deliveries (SSF 1.0 section 6.1).
var deliveries = map[policy.Delivery]string{policy.Push: "urn:ietf:rfc:8935", policy.Poll: "urn:ietf:rfc:8936"}

// streamConfig is what the transmitter says of a stream.
type streamConfig struct {
	id, pollURL, verifyURL string
	verifyGap              time.Duration
}

// configuration is what counts of a transmitter's metadata (SSF 1.0 section 7.1).
type configuration struct {
	Issuer                string `json:"issuer"`
	ConfigurationEndpoint string `json:"configuration_endpoint"`
	VerificationEndpoint  string `json:"verification_endpoint"`
}

// oneStream is what counts of a stream's configuration (SSF 1.0 section 8.1.1).
type oneStream struct {
	ID       string          `json:"stream_id"`
	Audience json.RawMessage `json:"aud"`
	Delivery struct {
		Method   string `json:"method"`
		Endpoint string `json:"endpoint_url"`
	} `json:"delivery"`
	MinVerificationInterval int64 `json:"min_verification_interval"`
}

// configure finds the stream of a source among those of its transmitter.
func (s *streams) configure(ctx context.Context, x *served, token string) (*streamConfig, error) {
	signals := x.spec.SharedSignals
	at, err := wellKnown(signals.Transmitter)
	if err != nil {
		return nil, err
	}
	var c configuration
	if err := s.ask(ctx, x, fetch.Question{URL: at, Token: token}, &c); err != nil {
		return nil, err
	}
	switch {
	case c.Issuer != signals.Transmitter:
		return nil, errors.New("the transmitter's configuration is of another; want its issuer to equal sharedSignals.transmitter exactly")
	case c.ConfigurationEndpoint == "":
		return nil, errors.New("the transmitter's configuration has no configuration_endpoint")
	}
	var raw json.RawMessage
	if err := s.ask(ctx, x, fetch.Question{URL: c.ConfigurationEndpoint, Token: token}, &raw); err != nil {
		return nil, err
	}
	var all []oneStream
	if json.Unmarshal(raw, &all) != nil { // a list, or the only one
		all = make([]oneStream, 1)
		if json.Unmarshal(raw, &all[0]) != nil {
			return nil, errors.New("the transmitter's configuration_endpoint answers with no stream")
		}
	}
	all = slices.DeleteFunc(all, func(o oneStream) bool {
		return o.Delivery.Method != deliveries[signals.Delivery] || !o.isFor(x.spec.Audiences)
	})
	if len(all) != 1 {
		return nil, fmt.Errorf("the transmitter has %d streams with delivery %s (%s) for the source's audiences; want one, made there", len(all),
			signals.Delivery, deliveries[signals.Delivery])
	}
	out := &streamConfig{id: all[0].ID, verifyURL: c.VerificationEndpoint, verifyGap: time.Duration(min(max(all[0].MinVerificationInterval, 0), 24*3600)) * time.Second}
	if signals.Delivery == policy.Poll {
		out.pollURL = all[0].Delivery.Endpoint
	}
	return out, nil
}

// isFor reports whether a stream's aud, a text or a list, has one of some audiences.
func (o *oneStream) isFor(audiences []string) bool {
	var one string
	var list []string
	if json.Unmarshal(o.Audience, &one) == nil {
		list = []string{one}
	} else if json.Unmarshal(o.Audience, &list) != nil {
		return false
	}
	return slices.ContainsFunc(list, func(a string) bool { return slices.Contains(audiences, a) })
}

// wellKnown is where the configuration of a transmitter is (SSF 1.0 section 7.2).
func wellKnown(transmitter string) (string, error) {
	u, err := url.Parse(transmitter)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errors.New("sharedSignals.transmitter: is no URL without query and fragment")
	}
	return u.Scheme + "://" + u.Host + "/.well-known/ssf-configuration" + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

// ask asks the transmitter and reads its JSON.
func (s *streams) ask(ctx context.Context, x *served, q fetch.Question, into any) error {
	o := s.fetch
	ca, err := s.receiver.authority(ctx, x)
	if err != nil {
		return err
	}
	o.CA = ca
	if into == nil {
		_, err := fetch.Ask(ctx, q, o)
		return blame(err)
	}
	if _, polls := into.(*polled); polls {
		o.Timeout = pollTimeout
	}
	body, err := fetch.Ask(ctx, q, o)
	if err != nil {
		return blame(err)
	}
	if json.Unmarshal(body, into) != nil {
		return errors.New("the transmitter's answer is not the JSON that is wanted")
	}
	return nil
}

// verify asks the transmitter to send an event by which it is known that they come (SSF 1.0 section 8.1.4.2).
func (s *streams) verify(ctx context.Context, st *stream, token string) error {
	body, err := json.Marshal(map[string]string{"stream_id": st.config.id, "state": stateOf(st.source)})
	if err != nil {
		return err
	}
	q := fetch.Question{URL: st.config.verifyURL, Token: token, Body: body, Takes: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}}
	if err := s.ask(ctx, st.source, q, nil); err != nil {
		return fmt.Errorf("verify the stream: %w", err)
	}
	return nil
}

// polled is the answer of RFC 8936 section 2.3.
type polled struct {
	Sets map[string]string `json:"sets"`
	More bool              `json:"moreAvailable"`
}

// poll fetches events, and acknowledges those of the time before that have been stored (RFC 8936 section 2.4).
func (s *streams) poll(ctx context.Context, st *stream, token string) (time.Duration, error) {
	body, err := json.Marshal(map[string]any{
		"maxEvents": atATime, "returnImmediately": false, "ack": append([]string{}, st.acks...), "setErrs": orEmpty(st.errs),
	})
	if err != nil {
		return 0, err
	}
	began := s.now()
	var got polled
	if err := s.ask(ctx, st.source, fetch.Question{URL: st.config.pollURL, Token: token, Body: body}, &got); err != nil {
		return 0, fmt.Errorf("fetch events: %w", err)
	}
	st.acks, st.errs = nil, nil
	s.note(st.source.ref.UID, func(now *streamState) { now.fetched = s.now() })
	if err := s.takeAll(ctx, st, got.Sets); err != nil {
		return 0, err
	}
	pause := time.Second // for transmitters that do not hold their answer back
	if len(got.Sets) > 0 {
		pause = betweenPolls
	}
	return max(0, pause-s.now().Sub(began)), nil
}

func orEmpty(m map[string]setError) map[string]setError {
	if m == nil {
		m = map[string]setError{}
	}
	return m
}

// takeAll stores what was fetched, all at a time, so that it is few writes. What could not be stored is not acknowledged and comes again.
func (s *streams) takeAll(ctx context.Context, st *stream, sets map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	type outcome struct {
		jti, result string
		err         error
	}
	out := make(chan outcome, len(sets))
	places := make(chan struct{}, atATime)
	for jti, raw := range sets {
		places <- struct{}{}
		go func() {
			result, err := s.receiver.takeSignals(ctx, st.source, fetched, raw)
			<-places
			out <- outcome{jti, result, err}
		}()
	}
	var missed error
	for range sets {
		o := <-out
		s.receiver.metrics.count(st.source, o.result)
		switch {
		case o.err == nil:
			st.acks = append(st.acks, o.jti)
		case unavailable(o.err):
			missed = fmt.Errorf("events are not acknowledged: %w", o.err)
		default:
			st.errs = orEmpty(st.errs)
			st.errs[o.jti] = setError{codeOf(o.err), o.err.Error()}
		}
	}
	return missed
}
