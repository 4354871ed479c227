{{- define "bearerguard.labels" -}}
app.kubernetes.io/name: bearerguard
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: bearerguard
{{- end }}

{{- define "bearerguard.selector" -}}
app.kubernetes.io/name: bearerguard
app.kubernetes.io/component: controller
{{- end }}

{{- define "bearerguard.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "bearerguard.sidecarImage" -}}
{{ .Values.sidecar.image.repository | default .Values.image.repository }}:{{ .Values.sidecar.image.tag | default .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* A value as a flag takes it: a list with commas, a number without exponent, nothing for null. */ -}}
{{- define "bearerguard.flag" -}}
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if kindIs "float64" . }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end }}
{{- end }}

{{- /* Namespaces whose pods are never injected, so that the cluster and the control plane can always start. */ -}}
{{- define "bearerguard.guardedNamespaces" -}}
- {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public, kube-node-lease, {{ .Release.Namespace }}]}
{{- end }}

{{- define "bearerguard.webhookClient" -}}
service: {name: bearerguard-webhook, namespace: {{ .namespace }}, port: 443, path: {{ .path }}}
{{- end }}

{{- /* Mirror pods: a kubelet tells of what it runs from a file. Whoever else says so has a pod that no kubelet runs. */ -}}
{{- define "bearerguard.static" -}}
'kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}) && request.userInfo.?groups.orValue([]).exists(g, g == 'system:nodes')
{{- end }}
