package arch

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// grants are all that the roles of an installation with default values grant, a line for each, with the reason.
var grants = map[string]string{
	"ClusterRole/bearerguard-controller: get list watch bearerguard.dev/authpolicies":                                                                                                                           "what to push",
	"ClusterRole/bearerguard-controller: get list watch bearerguard.dev/tokenrevocations":                                                                                                                       "what to push",
	"ClusterRole/bearerguard-controller: patch bearerguard.dev/authpolicies/status":                                                                                                                             "what has become of it",
	"ClusterRole/bearerguard-controller: patch bearerguard.dev/tokenrevocations/status":                                                                                                                         "what has become of it",
	"ClusterRole/bearerguard-controller: get list watch bearerguard.dev/revocationsources":                                                                                                                      "whom to hear",
	"ClusterRole/bearerguard-controller: patch bearerguard.dev/revocationsources/status":                                                                                                                        "what has become of it",
	"ClusterRole/bearerguard-controller: list watch create update delete bearerguard.dev/revocationchunks":                                                                                                      "what identity providers have taken back, as hashes; nobody else writes it",
	"ClusterRole/bearerguard-policies-edit: get list watch create update patch delete deletecollection bearerguard.dev/revocationsources":                                                                       "for people",
	"ClusterRole/bearerguard-policies-view: get list watch bearerguard.dev/revocationsources":                                                                                                                   "for people; they name no tokens",
	"ClusterRole/bearerguard-controller: get list watch /pods":                                                                                                                                                  "whom a policy selects; which pods are gone",
	"ClusterRole/bearerguard-controller: get list watch /serviceaccounts":                                                                                                                                       "which service accounts are gone",
	"ClusterRole/bearerguard-controller: get list watch /namespaces":                                                                                                                                            "which ask for sidecars",
	"ClusterRole/bearerguard-controller: get watch /secrets":                                                                                                                                                    "keys that policies name; rbac.secrets of the chart narrows it",
	"ClusterRole/bearerguard-controller: get watch /configmaps":                                                                                                                                                 "keys that policies name",
	"ClusterRole/bearerguard-controller: list watch create patch /configmaps[bearerguard-ca]":                                                                                                                   "the authority that sidecars trust",
	"ClusterRole/bearerguard-controller: create patch /events":                                                                                                                                                  "events of policies",
	"ClusterRole/bearerguard-controller: create patch events.k8s.io/events":                                                                                                                                     "events of policies",
	"ClusterRole/bearerguard-controller: create authentication.k8s.io/tokenreviews":                                                                                                                             "who calls",
	"ClusterRole/bearerguard-controller: create authorization.k8s.io/subjectaccessreviews":                                                                                                                      "who may read metrics",
	"ClusterRole/bearerguard-controller: get url /.well-known/openid-configuration":                                                                                                                             "the cluster's own issuer",
	"ClusterRole/bearerguard-controller: get url /openid/v1/jwks":                                                                                                                                               "the cluster's own issuer",
	"ClusterRole/bearerguard-controller: list watch update admissionregistration.k8s.io/mutatingwebhookconfigurations[bearerguard]":                                                                             "the authority that the API server trusts",
	"ClusterRole/bearerguard-controller: list watch update admissionregistration.k8s.io/validatingwebhookconfigurations[bearerguard]":                                                                           "the authority that the API server trusts",
	"ClusterRole/bearerguard-controller: get admissionregistration.k8s.io/mutatingwebhookconfigurations[bearerguard]":                                                                                           "whether it is gone",
	"ClusterRole/bearerguard-controller: get admissionregistration.k8s.io/validatingwebhookconfigurations[bearerguard]":                                                                                         "whether it is gone",
	"ClusterRole/bearerguard-controller: create admissionregistration.k8s.io/mutatingwebhookconfigurations":                                                                                                     "to make it again; what is created cannot be bound to a name, and who may update one can have it say anything already",
	"ClusterRole/bearerguard-controller: create admissionregistration.k8s.io/validatingwebhookconfigurations":                                                                                                   "to make it again, likewise",
	"ClusterRole/bearerguard-controller: get rbac.authorization.k8s.io/clusterroles[bearerguard-controller]":                                                                                                    "the owner of what it makes",
	"Role/bearerguard-controller: get apps/deployments[bearerguard-controller]":                                                                                                                                 "whether it is being uninstalled",
	"Role/bearerguard-controller: get create update patch coordination.k8s.io/leases":                                                                                                                           "who leads",
	"Role/bearerguard-controller: get update /secrets[bearerguard-keys-0 bearerguard-keys-1 bearerguard-keys-2 bearerguard-keys-3 bearerguard-keys-4 bearerguard-keys-5 bearerguard-keys-6 bearerguard-keys-7]": "the keys that replicas share",
	"Role/bearerguard-controller: get /secrets[bearerguard-nonces]":                                                                                                                                             "what nonces derive from",
	"Role/bearerguard-controller: create /secrets":                                                                                                                                                              "its own certificate, the keys that replicas share and what nonces derive from, in its own namespace; what is created cannot be bound to a name",
	"Role/bearerguard-controller: list watch update /secrets[bearerguard-certs]":                                                                                                                                "its own certificate",
	"ClusterRole/bearerguard-policies-edit: get list watch create update patch delete deletecollection bearerguard.dev/authpolicies":                                                                            "for people",
	"ClusterRole/bearerguard-policies-edit: get list watch create update patch delete deletecollection bearerguard.dev/tokenrevocations":                                                                        "for people",
	"ClusterRole/bearerguard-policies-view: get list watch bearerguard.dev/authpolicies":                                                                                                                        "for people; revocations name tokens, so they are not there",
	"ClusterRole/bearerguard-metrics-reader: get url /metrics":                                                                                                                                                  "for Prometheus",
}

// TestRolesGrantNoMoreThanIsListed makes every widening of a role a change of the list above, which somebody reads.
func TestRolesGrantNoMoreThanIsListed(t *testing.T) {
	t.Parallel()
	left := map[string]bool{}
	for line := range grants {
		left[line] = true
	}
	for _, line := range granted(t, root+"/config/rbac/rbac.yaml") {
		if strings.Contains(line, "*") {
			t.Errorf("a wildcard: %s", line)
		}
		if !left[line] {
			t.Errorf("not listed: %q", line)
		}
		delete(left, line)
	}
	for line := range left {
		t.Errorf("listed and not granted: %q", line)
	}
}

// granted returns what the roles of a file grant, a line for each resource and URL.
func granted(t *testing.T, file string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of the repository
	if err != nil {
		t.Fatal(err)
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal(doc, &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" || role.Kind == "Role" {
			lines = append(lines, linesOf(role)...)
		}
	}
}

func linesOf(role rbacv1.ClusterRole) (lines []string) {
	for _, r := range role.Rules {
		for _, url := range r.NonResourceURLs {
			lines = append(lines, fmt.Sprintf("%s/%s: %s url %s", role.Kind, role.Name, strings.Join(r.Verbs, " "), url))
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				line := fmt.Sprintf("%s/%s: %s %s/%s", role.Kind, role.Name, strings.Join(r.Verbs, " "), group, resource)
				if len(r.ResourceNames) > 0 {
					line += fmt.Sprint(r.ResourceNames)
				}
				lines = append(lines, line)
			}
		}
	}
	return lines
}
