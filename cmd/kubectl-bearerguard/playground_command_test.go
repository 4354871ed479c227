package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPlaygroundIsForThisMachine(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"0.0.0.0:0":    "not this machine's loopback",
		"192.0.2.1:80": "not this machine's loopback",
		"localhost":    "not an address and a port",
	} {
		if _, err := run(t, "playground", "--address", address); err == nil || !strings.Contains(err.Error(), "--address: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestPlaygroundServesUntilItIsTold(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	root := newRoot("bearerguard", time.Now)
	root.SetArgs([]string{"playground", "--address", "127.0.0.1:0"})
	out, in := io.Pipe()
	root.SetOut(in)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSpace(url), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(page), "Playground") {
		t.Errorf("%v, %v", response.Status, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
