package otlp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// httpLink sends by POST. One goroutine uses it.
type httpLink struct {
	url    string
	secure bool
	files  files

	client *http.Client
	pem    []byte // that the client trusts
}

// open returns the client, a new one if the authorities have changed.
func (l *httpLink) open() (*http.Client, error) {
	var pem []byte
	if l.secure {
		var err error
		if pem, err = l.files.authority(); err != nil {
			return nil, err
		}
	}
	if l.client != nil && bytes.Equal(pem, l.pem) {
		return l.client, nil
	}
	t := &http.Transport{MaxIdleConns: 1, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: attempt, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true}
	var err error
	if t.TLSClientConfig, err = tlsConfig(pem); err != nil {
		return nil, err
	}
	l.close()
	l.pem = pem
	l.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // what is in the header is for this collector
	}}
	return l.client, nil
}

func (l *httpLink) send(ctx context.Context, body []byte) (int, error) {
	client, err := l.open()
	if err != nil {
		return 0, err
	}
	header, err := l.files.header()
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", userAgent)
	for _, f := range header {
		r.Header.Add(f.name, f.value)
	}
	res, err := client.Do(r)
	if err != nil && untrusted(err) {
		return 0, distrust(err)
	}
	if err != nil {
		return 0, &retryable{error: err}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case res.StatusCode/100 == 2 && err == nil:
		return rejectedSpans(answer), nil
	case res.StatusCode/100 == 2: // it has them
		return 0, nil
	}
	err = fmt.Errorf("the collector answered with status %d", res.StatusCode)
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return 0, &retryable{err, retryAfter(res.Header.Get("Retry-After"))}
	}
	return 0, err
}

// retryAfter reads the field of that name (RFC 9110 section 10.2.3), in seconds or as a date, at most as long as is waited anyway.
func retryAfter(text string) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, patience) //nolint:gosec // 31 bits
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), patience)
	}
	return 0
}

func (l *httpLink) close() {
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
}

const userAgent = "bearerguard-otlp"
