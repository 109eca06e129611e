{{- define "chapterhouse.environment" -}}
- {name: CHAPTERHOUSE_HOST, value: "0.0.0.0"}
- {name: CHAPTERHOUSE_PORT, value: "8000"}
- {name: CHAPTERHOUSE_STATE_DIR, value: /var/lib/chapterhouse}
- {name: CHAPTERHOUSE_DATA_DIR, value: /var/cache/chapterhouse}
- {name: CHAPTERHOUSE_DRAIN_DELAY_S, value: {{ .Values.drain.delaySeconds | quote }}}
- {name: CHAPTERHOUSE_DRAIN_TIMEOUT_S, value: {{ .Values.drain.timeoutSeconds | quote }}}
{{- with .Values.ingress.proxies }}
- {name: CHAPTERHOUSE_TRUSTED_PROXIES, value: {{ join "," . | quote }}}
{{- end }}
{{- if or .Values.allowedHosts .Values.peers.secret }}
- name: POD_IP # by which probes, Prometheus and other pods address it
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end }}
{{- if .Values.allowedHosts }}
- {name: CHAPTERHOUSE_ALLOWED_HOSTS, value: {{ include "chapterhouse.hosts" . | quote }}}
{{- end }}
{{- with .Values.database.secret }}
- name: CHAPTERHOUSE_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.Values.database.key }}}}
{{- end }}
{{- with .Values.peers.secret }}
- {name: CHAPTERHOUSE_ENGINES_ADDRESS, value: "$(POD_IP):{{ $.Values.peers.port }}"}
- name: CHAPTERHOUSE_ENGINES_SECRET
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.Values.peers.key }}}}
{{- end }}
{{- with .Values.objectStore.url }}
- {name: CHAPTERHOUSE_STORAGE_URL, value: {{ . | quote }}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ printf "CHAPTERHOUSE_%s" $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "chapterhouse.guarded" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: state, mountPath: /var/lib/chapterhouse}
  - {name: data, mountPath: /var/cache/chapterhouse{{ if .Values.data.claim }}, readOnly: true{{ end }}}
  - {name: scratch, mountPath: /tmp}
{{- end }}

{{- define "chapterhouse.hosts" -}}
{{- $name := include "chapterhouse.name" . -}}
{{- $own := list "$(POD_IP)" $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) -}}
{{- join "," (concat .Values.allowedHosts (compact (list .Values.ingress.host)) $own | uniq) -}}
{{- end }}

{{- define "chapterhouse.resources" -}}
{{ toYaml .of }}
{{- if gt (int .gpu.count) 0 }}
{{ .gpu.resource }}: {{ .gpu.count }}
{{- end }}
{{- end }}

{{- define "chapterhouse.enginePorts" -}}
{{- $first := int .Values.peers.port -}}
{port: {{ $first }}, endPort: {{ sub (add $first (max 1 (int .Values.gpu.count))) 1 }}, protocol: TCP}
{{- end }}
