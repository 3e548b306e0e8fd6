{{/* Names and labels that several objects share. */}}

{{- define "variant-autoscaler.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Names of objects outside of namespaces carry ours, so that two installations do not meet. */}}
{{- define "variant-autoscaler.clusterName" -}}
{{- $name := include "variant-autoscaler.name" . -}}
{{- if eq $name .Release.Namespace -}}{{ $name }}{{- else -}}{{ printf "%s-%s" .Release.Namespace $name }}{{- end -}}
{{- end }}

{{- define "variant-autoscaler.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "variant-autoscaler.labels" -}}
{{ include "variant-autoscaler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "variant-autoscaler.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "variant-autoscaler.name" . -}}
{{- else -}}
{{- fail "serviceAccount.name must be given with serviceAccount.create=false" -}}
{{- end -}}
{{- end }}

{{- define "variant-autoscaler.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end }}

{{/* The account, as bindings name it. */}}
{{- define "variant-autoscaler.subject" -}}
kind: ServiceAccount
name: {{ include "variant-autoscaler.serviceAccount" . }}
namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The Secret with the serving certificate. That of the program has a name of its own, so that kinds can be changed. */}}
{{- define "variant-autoscaler.certificateSecret" -}}
{{- $suffix := ternary "certificate" "tls" (eq .Values.certificates.kind "selfSigned") -}}
{{- printf "%s-%s" (include "variant-autoscaler.name" .) $suffix -}}
{{- end }}
