package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/bearerguard/bearerguard/api/printable"
)

// Question is a request for JSON that shows a bearer token.
type Question struct {
	URL   string
	Token string
	// Body is JSON to post; nil: it is a GET.
	Body []byte
	// Takes are the statuses that are an answer. Default: 200.
	Takes []int
}

// Ask sends a question under the rules of a fetch, but that it follows no redirect: a credential goes to one address. It returns the answer's
// body, of at most o.MaxBytes; the error repeats nothing that the server sent, but for the status (StatusError).
func Ask(ctx context.Context, q Question, o Options) ([]byte, error) {
	body, err := ask(ctx, q, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", printable.URL(q.URL), err)
	}
	return body, nil
}

func ask(ctx context.Context, q Question, o Options) ([]byte, error) {
	if err := CheckURL(q.URL, o); err != nil {
		return nil, err
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	method := http.MethodGet
	if q.Body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return nil, errors.New("not a URL that can be fetched")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "bearerguard")
	req.Header.Set("Authorization", "Bearer "+q.Token)
	if q.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, explain(err, o)
	}
	defer func() { _ = resp.Body.Close() }() // the connection is not used again
	if takes := q.Takes; !slices.Contains(takes, resp.StatusCode) && (len(takes) > 0 || resp.StatusCode != http.StatusOK) {
		return nil, &StatusError{Status: resp.StatusCode}
	}
	if err := uncoded(resp.Header.Get("Content-Encoding")); err != nil {
		return nil, err
	}
	place := &place{}
	defer place.leave()
	answer, err := place.read(ctx, resp.Body, o.MaxBytes+1)
	if err != nil {
		return nil, explain(err, o)
	}
	if int64(len(answer)) > o.MaxBytes {
		return nil, tooLarge(o)
	}
	return answer, nil
}
