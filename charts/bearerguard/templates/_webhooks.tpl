{{- /* The webhook configurations: those that are installed, and the copy by which the controller makes them again. */ -}}
{{- define "bearerguard.webhooks" -}}
{{- $client := "bearerguard.webhookClient" }}
{{- $ns := .Release.Namespace }}
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata:
  name: {{ include "bearerguard.name" (list . "bearerguard") }}
  labels: {{- include "bearerguard.labels" . | nindent 4 }}
  {{- if .Values.certManager.enabled }}
  annotations: {cert-manager.io/inject-ca-from: {{ $ns }}/bearerguard}
  {{- end }}
webhooks:
# A pod that speaks of Bearerguard itself. Disabled: it does not depend on this webhook.
- name: annotated-pods.bearerguard.dev
  admissionReviewVersions: [v1]
  clientConfig: {{- include $client (dict "namespace" $ns "path" "/mutate-pods") | nindent 4 }}
  failurePolicy: Fail
  sideEffects: NoneOnDryRun
  reinvocationPolicy: IfNeeded
  timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
  rules:
  - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE], scope: Namespaced}
  namespaceSelector:
    matchExpressions:
    {{- include "bearerguard.guardedNamespaces" . | nindent 4 }}
    {{- include "bearerguard.ownNamespaces" . | nindent 4 }}
  matchConditions:
  - name: pod-has-annotation
    expression: >-
      (has(object.metadata.annotations) && object.metadata.annotations.exists(k,
      k.startsWith('bearerguard.dev/') && k != 'bearerguard.dev/injected')) ||
      (has(object.metadata.labels) && 'bearerguard.dev/inject' in object.metadata.labels)
  - name: pod-is-not-disabled
    expression: >-
      !(has(object.metadata.annotations) && 'bearerguard.dev/inject' in object.metadata.annotations &&
      object.metadata.annotations['bearerguard.dev/inject'] == 'disabled')
# A pod that says nothing, in a namespace that asks. A label that is neither enabled nor disabled is refused there.
- name: pods.bearerguard.dev
  admissionReviewVersions: [v1]
  clientConfig: {{- include $client (dict "namespace" $ns "path" "/mutate-pods") | nindent 4 }}
  failurePolicy: Fail
  sideEffects: NoneOnDryRun
  reinvocationPolicy: IfNeeded
  timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
  rules:
  - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE], scope: Namespaced}
  namespaceSelector:
    matchExpressions:
    {{- include "bearerguard.guardedNamespaces" . | nindent 4 }}
    {{- include "bearerguard.ownNamespaces" . | nindent 4 }}
    - {key: bearerguard.dev/inject, operator: Exists}
    - {key: bearerguard.dev/inject, operator: NotIn, values: [disabled]}
  matchConditions:
  - name: pod-has-no-annotation
    expression: >-
      !has(object.metadata.annotations) || object.metadata.annotations.all(k,
      !k.startsWith('bearerguard.dev/') || k == 'bearerguard.dev/injected')
  - name: pod-has-no-label
    expression: "!(has(object.metadata.labels) && 'bearerguard.dev/inject' in object.metadata.labels)"
  - name: pod-is-not-static
    expression: "!(has(object.metadata.annotations) && 'kubernetes.io/config.mirror' in object.metadata.annotations)"
# A workload that speaks of Bearerguard, or did so before: its annotations are copied into its template.
- name: workloads.bearerguard.dev
  admissionReviewVersions: [v1]
  clientConfig: {{- include $client (dict "namespace" $ns "path" "/mutate-workloads") | nindent 4 }}
  failurePolicy: Fail
  sideEffects: None
  reinvocationPolicy: IfNeeded
  timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
  rules:
  - {apiGroups: [apps], apiVersions: [v1], resources: [deployments, statefulsets, daemonsets, replicasets], operations: [CREATE, UPDATE], scope: Namespaced}
  - {apiGroups: [batch], apiVersions: [v1], resources: [cronjobs], operations: [CREATE, UPDATE], scope: Namespaced}
  # The template of a Job cannot change.
  - {apiGroups: [batch], apiVersions: [v1], resources: [jobs], operations: [CREATE], scope: Namespaced}
  namespaceSelector:
    matchExpressions:
    {{- include "bearerguard.guardedNamespaces" . | nindent 4 }}
    {{- include "bearerguard.ownNamespaces" . | nindent 4 }}
  matchConditions:
  - name: workload-has-annotation
    expression: >-
      (has(object.metadata.annotations) && object.metadata.annotations.exists(k, k.startsWith('bearerguard.dev/'))) ||
      (oldObject != null && has(oldObject.metadata.annotations) &&
      oldObject.metadata.annotations.exists(k, k.startsWith('bearerguard.dev/'))) ||
      (has(object.spec.template) && has(object.spec.template.metadata) && has(object.spec.template.metadata.annotations) &&
      object.spec.template.metadata.annotations.exists(k, k.startsWith('bearerguard.dev/'))) ||
      (has(object.spec.jobTemplate) && has(object.spec.jobTemplate.spec) && has(object.spec.jobTemplate.spec.template) &&
      has(object.spec.jobTemplate.spec.template.metadata) && has(object.spec.jobTemplate.spec.template.metadata.annotations) &&
      object.spec.jobTemplate.spec.template.metadata.annotations.exists(k, k.startsWith('bearerguard.dev/'))) ||
      (oldObject != null && has(oldObject.spec.template) && has(oldObject.spec.template.metadata) &&
      has(oldObject.spec.template.metadata.annotations) &&
      oldObject.spec.template.metadata.annotations.exists(k, k.startsWith('bearerguard.dev/'))) ||
      (oldObject != null && has(oldObject.spec.jobTemplate) && has(oldObject.spec.jobTemplate.spec) &&
      has(oldObject.spec.jobTemplate.spec.template) && has(oldObject.spec.jobTemplate.spec.template.metadata) &&
      has(oldObject.spec.jobTemplate.spec.template.metadata.annotations) &&
      oldObject.spec.jobTemplate.spec.template.metadata.annotations.exists(k, k.startsWith('bearerguard.dev/')))
  - name: workload-is-its-own
    expression: >-
      !has(object.metadata.ownerReferences) ||
      !object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller)
  - name: workload-is-not-going
    expression: "!has(object.metadata.deletionTimestamp)"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: {{ include "bearerguard.name" (list . "bearerguard") }}
  labels: {{- include "bearerguard.labels" . | nindent 4 }}
  {{- if .Values.certManager.enabled }}
  annotations: {cert-manager.io/inject-ca-from: {{ $ns }}/bearerguard}
  {{- end }}
webhooks:
{{- range list "authpolicies" "tokenrevocations" "revocationsources" }}
- name: {{ . }}.bearerguard.dev
  admissionReviewVersions: [v1]
  clientConfig: {{- include $client (dict "namespace" $ns "path" (printf "/validate-%s" .)) | nindent 4 }}
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: {{ $.Values.webhooks.timeoutSeconds }}
  rules:
  - {apiGroups: [bearerguard.dev], apiVersions: [v1alpha1], resources: [{{ . }}], operations: [CREATE, UPDATE], scope: Namespaced}
  namespaceSelector:
    matchExpressions: {{- include "bearerguard.ownNamespaces" $ | nindent 4 }}
  matchConditions:
  - {name: object-is-not-going, expression: "!has(object.metadata.deletionTimestamp)"}
{{- end }}
# A pod in a namespace that takes none without a guard: is it the one that the controller gives?
- name: enforced-pods.bearerguard.dev
  admissionReviewVersions: [v1]
  clientConfig: {{- include $client (dict "namespace" $ns "path" "/validate-pods") | nindent 4 }}
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
  rules:
  - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE], scope: Namespaced}
  namespaceSelector:
    matchExpressions:
    {{- include "bearerguard.enforcedNamespaces" . | nindent 4 }}
    {{- include "bearerguard.ownNamespaces" . | nindent 4 }}
  matchConditions:
  - name: pod-is-not-exempt
    expression: {{ printf "!(%s)" (include "bearerguard.exempt" .) | quote }}
  - name: pod-is-not-static
    expression: {{ printf "!(%s)" (include "bearerguard.static" .) | quote }}
# What a namespace asks for and its defaults are wrong where they are made, not first at a pod; who cannot ask goes on.
- name: namespaces.bearerguard.dev
  admissionReviewVersions: [v1]
  clientConfig: {{- include $client (dict "namespace" $ns "path" "/validate-namespaces") | nindent 4 }}
  failurePolicy: Ignore
  sideEffects: None
  timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
  rules:
  - {apiGroups: [""], apiVersions: [v1], resources: [namespaces], operations: [CREATE, UPDATE], scope: Cluster}
  namespaceSelector:
    matchExpressions:
    {{- include "bearerguard.guardedNamespaces" . | nindent 4 }}
    {{- include "bearerguard.ownNamespaces" . | nindent 4 }}
  matchConditions:
  - name: namespace-speaks-of-it
    expression: >-
      object.metadata.?annotations.orValue({}).exists(k, k.startsWith('bearerguard.dev/')) ||
      object.metadata.?labels.orValue({}).exists(k, k.startsWith('bearerguard.dev/')) ||
      (oldObject != null && oldObject.metadata.?labels.orValue({}).exists(k, k.startsWith('bearerguard.dev/')))
  - {name: object-is-not-going, expression: "!has(object.metadata.deletionTimestamp)"}
{{- end }}
