package inject_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

func keptWarning(names string) []string {
	return []string{"this change took the sidecar out of the pod template without saying so; kept " + names +
		". To take it out, say bearerguard.dev/inject=disabled on the workload"}
}

func TestKeepGuard(t *testing.T) {
	t.Parallel()
	const takenOut = "bearerguard.dev/inject=disabled: new pods of this workload have no sidecar and take every request"
	guarded := annotations{injectKey: "enabled", copiedKey: `{"exclude-ports":"9000","inject":"enabled"}`, portsKey: "9000", "example.com/a": "b"}
	asked := annotations{injectKey: "enabled", portsKey: "9000"}
	for name, tc := range map[string]struct {
		oldOwn, oldTemplate, own, template annotations
		owned                              bool
		wantOwn, wantTemplate              annotations
		warnings                           []string
	}{
		"undo and replace take all away at once, and all of the guard comes back": {
			oldOwn: guarded, oldTemplate: asked, own: annotations{"example.com/c": "d"},
			wantOwn:      annotations{injectKey: "enabled", copiedKey: `{"exclude-ports":"9000","inject":"enabled"}`, portsKey: "9000", "example.com/c": "d"},
			wantTemplate: asked,
			warnings:     keptWarning("bearerguard.dev/exclude-ports, bearerguard.dev/inject"),
		},
		"what the new object says about the guard holds": {
			oldOwn: guarded, oldTemplate: asked, own: annotations{portsKey: "9100"},
			wantOwn:      annotations{injectKey: "enabled", copiedKey: `{"exclude-ports":"9100","inject":"enabled"}`, portsKey: "9100"},
			wantTemplate: annotations{injectKey: "enabled", portsKey: "9100"},
			warnings:     keptWarning("bearerguard.dev/inject"),
		},
		"a guard that only the template asked for is kept, and the workload can take it out": {
			oldTemplate: asked,
			wantOwn:     annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`}, wantTemplate: asked,
			warnings: keptWarning("bearerguard.dev/exclude-ports, bearerguard.dev/inject"),
		},
		"disabled on the workload takes it out": {
			oldOwn: guarded, oldTemplate: asked, own: annotations{injectKey: "disabled"},
			wantOwn: annotations{injectKey: "disabled", copiedKey: `{"inject":"disabled"}`}, wantTemplate: annotations{injectKey: "disabled"},
			warnings: []string{takenOut},
		},
		"disabled in the template takes it out": {
			oldOwn: guarded, oldTemplate: asked, template: annotations{injectKey: "disabled"},
			wantTemplate: annotations{injectKey: "disabled"}, warnings: []string{takenOut},
		},
		"disabled on the workload, beside what is left of the copies, takes it out": {
			oldOwn: guarded, oldTemplate: asked,
			own:          annotations{injectKey: "disabled", copiedKey: `{"inject":"enabled"}`},
			template:     annotations{injectKey: "enabled"},
			wantOwn:      annotations{injectKey: "disabled", copiedKey: `{"inject":"disabled"}`},
			wantTemplate: annotations{injectKey: "disabled"}, warnings: []string{takenOut},
		},
		"a workload without a guard gets none": {
			oldOwn: annotations{portsKey: "9000"}, oldTemplate: annotations{portsKey: "9000"},
		},
		"one that was disabled stays so until it says something": {
			oldOwn: annotations{injectKey: "disabled"}, oldTemplate: annotations{injectKey: "disabled"},
		},
		"a workload that a controller owns is left alone": {
			oldTemplate: asked, owned: true,
		},
		"a mark that cannot be read does not lose the guard": {
			oldOwn: annotations{copiedKey: "["}, oldTemplate: annotations{injectKey: "enabled"},
			wantOwn: annotations{injectKey: "enabled", copiedKey: `{"inject":"enabled"}`}, wantTemplate: annotations{injectKey: "enabled"},
			warnings: keptWarning("bearerguard.dev/inject"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := workloads()
			for kind, w := range workloads() {
				old := before[kind]
				old.SetAnnotations(clone(tc.oldOwn))
				old.Template.Annotations = clone(tc.oldTemplate)
				w.SetAnnotations(clone(tc.own))
				w.Template.Annotations = clone(tc.template)
				if tc.owned {
					w.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Owner", Name: "o", Controller: new(true)}})
				}
				warnings, err := inject.KeepGuard(old, w)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				more, err := inject.CopyToTemplate(w)
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				warnings = append(append(warnings, more...), inject.TakenOut(old, w)...)
				got := []any{w.GetAnnotations(), w.Template.Annotations, warnings}
				if diff := cmp.Diff([]any{tc.wantOwn, tc.wantTemplate, tc.warnings}, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", kind, diff)
				}
				checkSwitch(t, kind, w)
			}
		})
	}
}

// checkSwitch holds that disabled on the workload takes a guard out that was kept.
func checkSwitch(t *testing.T, kind string, w inject.Workload) {
	t.Helper()
	if w.Template.Annotations[injectKey] != "enabled" {
		return
	}
	own := w.GetAnnotations()
	own[injectKey] = "disabled"
	w.SetAnnotations(own)
	if _, err := inject.CopyToTemplate(w); err != nil || w.Template.Annotations[injectKey] != "disabled" {
		t.Errorf("%s: %v: the workload says disabled and its template %v", kind, err, w.Template.Annotations)
	}
}
