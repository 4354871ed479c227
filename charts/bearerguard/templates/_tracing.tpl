{{- /* The controller's own flags of traces. */ -}}
{{- define "bearerguard.traceArgs" -}}
{{- with .Values.tracing }}
{{- if .endpoint }}
- {{ printf "--trace-endpoint=%s" .endpoint | quote }}
- --trace-protocol={{ .protocol }}
- --trace-rate={{ int64 .rate }}
{{- if not (kindIs "invalid" .ratio) }}
- --trace-ratio={{ include "bearerguard.flag" .ratio }}
{{- end }}
{{- if or .ca.configMapName .ca.secretName }}
- --trace-ca=/trace/ca.crt
{{- end }}
{{- if .headers.secretName }}
- --trace-headers=/trace/headers
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What sidecars do where neither pod nor namespace says: a flag of sidecar.flags goes first, and if that is the endpoint nothing of the collector's is added. */ -}}
{{- define "bearerguard.traceFlags" -}}
{{- $flags := .Values.sidecar.flags }}
{{- with .Values.tracing }}
{{- if and .endpoint (not (hasKey $flags "trace-endpoint")) }}
{{- $own := dict "trace-endpoint" .endpoint "trace-protocol" .protocol "trace-rate" .rate }}
{{- if not (kindIs "invalid" .ratio) }}{{ $_ := set $own "trace-ratio" .ratio }}{{ end }}
{{- with .ca.configMapName }}{{ $_ := set $own "trace-ca" (printf "configmap/%s" .) }}{{ end }}
{{- with .ca.secretName }}{{ $_ := set $own "trace-ca" (printf "secret/%s" .) }}{{ end }}
{{- with .headers.secretName }}{{ $_ := set $own "trace-headers" . }}{{ end }}
{{- range $name, $value := $own }}
{{- if not (hasKey $flags $name) }}
- {{ printf "--sidecar-flag=%s=%s" $name (include "bearerguard.flag" $value) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Which pod the controller's spans are of. */ -}}
{{- define "bearerguard.traceEnv" -}}
{{- if .Values.tracing.endpoint }}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
- {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.pod.uid=$(POD_UID),k8s.node.name=$(NODE_NAME),k8s.deployment.name=bearerguard-controller,k8s.container.name=controller
{{- end }}
{{- end }}

{{- /* The volume with what is for the collector: without it the controller starts, and says what it lacks. */ -}}
{{- define "bearerguard.traceVolume" -}}
{{- with .Values.tracing }}
{{- if and .ca.configMapName .ca.secretName }}
{{- fail "tracing.ca: configMapName and secretName are both set; want one of them" }}
{{- end }}
{{- if and .endpoint (or .ca.configMapName .ca.secretName .headers.secretName) }}
- name: trace
  projected:
    sources:
    {{- with .ca.configMapName }}
    - configMap: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}], optional: true}
    {{- end }}
    {{- with .ca.secretName }}
    - secret: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}], optional: true}
    {{- end }}
    {{- with .headers.secretName }}
    - secret: {name: {{ . | quote }}, items: [{key: headers, path: headers}], optional: true}
    {{- end }}
{{- end }}
{{- end }}
{{- end }}
