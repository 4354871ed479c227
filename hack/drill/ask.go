package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// askAll asks every pod of the app for a path with a valid token, and returns the status code if all answer alike, else 0.
func (w *world) askAll(ctx context.Context, path string) int {
	return w.askAllWith(ctx, path, w.signer.get().token(claims()))
}

func (w *world) askAllWith(ctx context.Context, path, token string) int {
	ips, err := w.addresses(ctx)
	if err != nil {
		return 0
	}
	first := 0
	for i, ip := range ips {
		code := askOnce(ctx, "http://"+ip+":8080"+path, token)
		if i > 0 && code != first {
			return 0
		}
		first = code
	}
	return first
}

// addresses are those of the app's pods; that there is none is an error.
func (w *world) addresses(ctx context.Context) ([]string, error) {
	ips, err := w.kubectl(ctx, "-n", shop, "get", "pods", "-l", "app=orders", "-o", "jsonpath={.items[*].status.podIP}")
	if err == nil && ips == "" {
		err = errors.New("the app has no pod")
	}
	return strings.Fields(ips), err
}

// askOnce asks on a connection of its own; 0: no answer.
func askOnce(ctx context.Context, url, token string) int {
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	code, err := ask(ctx, client, url, token)
	if err != nil {
		return 0
	}
	return code
}

// runPod makes a pod of the app's image with annotations and fields of its container, as JSON.
func (w *world) runPod(ctx context.Context, name, annotations, container string) error {
	return w.runPodIn(ctx, shop, name, annotations, container, "")
}

func (w *world) runPodIn(ctx context.Context, namespace, name, annotations, container, spec string) error {
	manifest := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"namespace":%q,"labels":{"app":%q},"annotations":{%s}},
"spec":{"terminationGracePeriodSeconds":1,%s"containers":[{"name":"app","image":"bearerguard.local/e2e-app:dev",%s}]}}`,
		name, namespace, name, annotations, spec, container)
	if !json.Valid([]byte(manifest)) {
		return fmt.Errorf("the pod %s is no JSON: %s", name, manifest)
	}
	return w.apply(ctx, manifest)
}

func (w *world) deletePods(ctx context.Context, names ...string) error {
	_, err := w.kubectl(ctx, append([]string{"-n", shop, "delete", "pod", "--ignore-not-found", "--now"}, names...)...)
	return err
}

// bare returns the names of the app's pods that carry no sidecar.
func (w *world) bare(ctx context.Context) (string, error) {
	out, err := w.kubectl(ctx, "-n", shop, "get", "pods", "-l", "app=orders", "-o",
		"jsonpath={range .items[*]}{.metadata.name} {.spec.initContainers[*].name}{'\\n'}{end}")
	var names []string
	for _, line := range strings.Split(out, "\n") {
		if line != "" && !strings.Contains(line, " bearerguard") && !strings.HasSuffix(line, "bearerguard") {
			names = append(names, line)
		}
	}
	return strings.Join(names, ", "), err
}
