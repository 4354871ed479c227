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
{{- if kindIs "slice" . }}{{ join "," . }}{{ else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end }}
{{- end }}

{{- /* Namespaces whose pods are never injected, so that the cluster and the control plane can always start. */ -}}
{{- define "bearerguard.guardedNamespaces" -}}
- {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public, kube-node-lease, {{ .Release.Namespace }}]}
{{- end }}

{{- /* Names of the whole cluster: those of a release with a revision end with it. Called with (list . "name"). */ -}}
{{- define "bearerguard.name" -}}
{{- $revision := (index . 0).Values.revision }}
{{- index . 1 }}{{ if $revision }}-{{ $revision }}{{ end }}
{{- end }}

{{- /* Whether this release makes what a cluster has once for all of them. */ -}}
{{- define "bearerguard.shared" -}}
{{- if kindIs "bool" .Values.shared.create }}{{ if .Values.shared.create }}true{{ end }}{{ else if not .Values.revision }}true{{ end }}
{{- end }}

{{- /* The namespaces of this release among those of the cluster: one label with one value, so that no two releases have the same. */ -}}
{{- define "bearerguard.ownNamespaces" -}}
{{- with .Values.revision -}}
- {key: bearerguard.dev/revision, operator: In, values: [{{ . | quote }}]}
{{- else -}}
- {key: bearerguard.dev/revision, operator: DoesNotExist}
{{- end }}
{{- end }}

{{- /* The same as a flag. */ -}}
{{- define "bearerguard.ownSelector" -}}
{{ if .Values.revision }}bearerguard.dev/revision={{ .Values.revision }}{{ else }}!bearerguard.dev/revision{{ end }}
{{- end }}

{{- /* In CEL: whether a namespace is of another release, or of one that nobody has installed. */ -}}
{{- define "bearerguard.isElsewhere" -}}
{{- with .Values.revision -}}
namespaceObject.metadata.?labels[?'bearerguard.dev/revision'].orValue('') != '{{ . }}'
{{- else -}}
'bearerguard.dev/revision' in namespaceObject.metadata.?labels.orValue({})
{{- end }}
{{- end }}

{{- /* In CEL: who injects pods of a namespace. */ -}}
{{- define "bearerguard.injector" -}}
('bearerguard.dev/revision' in namespaceObject.metadata.?labels.orValue({}) ?
      'the release of revision ' + namespaceObject.metadata.labels['bearerguard.dev/revision'] + ', which the label bearerguard.dev/revision of the namespace names' :
      '{{ if .Values.revision }}the release without a revision{{ else }}the webhook of the controller in namespace {{ .Release.Namespace }}{{ end }}')
{{- end }}

{{- define "bearerguard.webhookClient" -}}
service: {name: bearerguard-webhook, namespace: {{ .namespace }}, port: 443, path: {{ .path }}}
{{- end }}

{{- /* Mirror pods: a kubelet tells of what it runs from a file. Whoever else says so has a pod that no kubelet runs. */ -}}
{{- define "bearerguard.static" -}}
'kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}) && request.userInfo.?groups.orValue([]).exists(g, g == 'system:nodes')
{{- end }}

{{- /* Namespaces whose pods need a guard whatever they say. A value that is not known counts as true. */ -}}
{{- define "bearerguard.enforcedNamespaces" -}}
{{- include "bearerguard.guardedNamespaces" . }}
- {key: bearerguard.dev/enforce, operator: Exists}
- {key: bearerguard.dev/enforce, operator: NotIn, values: ["false"]}
{{- end }}

{{- /* Pods that need none there: those of the service accounts that the platform names. */ -}}
{{- define "bearerguard.exempt" -}}
request.namespace + '/' + object.spec.?serviceAccountName.orValue('default') in [{{ range $i, $a := .Values.enforce.exemptServiceAccounts }}{{ if $i }}, {{ end }}'{{ $a }}'{{ end }}]
{{- end }}

{{- /* A container c that may change the pod's network or look into other processes. Container runtimes read names in any case, with CAP_ or without. */ -}}
{{- define "bearerguard.powers" -}}
c.?securityContext.?privileged.orValue(false) || c.?securityContext.?capabilities.?add.orValue([]).exists(p,
      p.upperAscii().replace('CAP_', '') in ['ALL', 'NET_ADMIN', 'SYS_ADMIN', 'SYS_PTRACE', 'SYS_MODULE', 'BPF', 'SYS_RAWIO'])
{{- end }}

{{- /* A container c that mounts what is the sidecar's alone. */ -}}
{{- define "bearerguard.mounts" -}}
c.?volumeMounts.orValue([]).exists(m, m.name in ['bearerguard-identity', 'bearerguard-state', 'bearerguard-tls', 'bearerguard-client-ca'])
{{- end }}

{{- define "bearerguard.sidecarRepository" -}}
{{ .Values.sidecar.image.repository | default .Values.image.repository }}
{{- end }}
