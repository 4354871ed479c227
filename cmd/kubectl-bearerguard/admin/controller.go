package admin

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/bearerguard/bearerguard/api/fetch"
)

// ControllerPort is the port of the controller's --debug-address where nothing else is said.
const ControllerPort = 8082

// Sources is what a controller says of itself and of the key sources that it fetches.
type Sources struct {
	Version string    `json:"version"`
	Time    time.Time `json:"time"`
	// Sources says by the sources' ids, as bundle.SourceID makes them, how their fetches go.
	Sources map[string]fetch.Report `json:"sources"`
}

// SourcesOf asks a controller's pod about the sources that a namespace wants; about all of them with "".
func SourcesOf(ctx context.Context, config *rest.Config, pod *corev1.Pod, namespace string) (Sources, error) {
	var out Sources
	err := askAt(ctx, config, pod, debugPort(pod), http.MethodGet, "/debug/sources?namespace="+url.QueryEscape(namespace), nil, &out)
	return out, err
}

// debugPort is the port of a controller's --debug-address.
func debugPort(pod *corev1.Pod) int {
	for i := range pod.Spec.Containers {
		for _, arg := range pod.Spec.Containers[i].Args {
			if address, ok := strings.CutPrefix(arg, "--debug-address="); ok {
				if _, text, err := net.SplitHostPort(address); err == nil {
					if port, err := strconv.Atoi(text); err == nil {
						return port
					}
				}
			}
		}
	}
	return ControllerPort
}
