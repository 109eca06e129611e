{{- define "chapterhouse.name" -}}
{{- if contains "chapterhouse" .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-chapterhouse" (.Release.Name | trunc 39 | trimSuffix "-") }}
{{- end -}}
{{- end }}

{{- define "chapterhouse.selector" -}}
app.kubernetes.io/name: chapterhouse
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chapterhouse.labels" -}}
{{ include "chapterhouse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Whose numbers Prometheus is asked for. */ -}}
{{- define "chapterhouse.series" -}}
namespace={{ .Release.Namespace | quote }},service={{ include "chapterhouse.name" . | quote }}
{{- end }}

{{- /* As long as a pod takes at most: see the order of its end in docs/kubernetes.md. */ -}}
{{- define "chapterhouse.graceSeconds" -}}
{{- $ends := 20 -}}{{- /* evaluators and engines, ten seconds each */ -}}
{{- add .Values.drain.preStopSeconds .Values.drain.delaySeconds .Values.drain.timeoutSeconds $ends 10 -}}
{{- end }}
