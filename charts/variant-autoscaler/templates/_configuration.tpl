{{/*
The configuration file: `config`, and what other values tell. A key that other values tell is refused in `config`, so that
rights and behavior cannot disagree.
*/}}
{{- define "variant-autoscaler.configuration" -}}
{{- include "variant-autoscaler.checkValues" . -}}
{{- include "variant-autoscaler.checkConfig" . -}}
{{- $config := deepCopy .Values.config -}}

{{- $listen := default dict $config.listen -}}
{{- $_ := set $listen "pages" (dict "host" .Values.listen.host "port" .Values.listen.pagesPort) -}}
{{- $_ := set $listen "external_metrics_http" nil -}}
{{- $_ := set $listen "external_metrics" (dict "enabled" false) -}}
{{- if .Values.apiService.create -}}
{{- $certificate := dict "kind" "self_signed" -}}
{{- if ne .Values.certificates.kind "selfSigned" -}}
{{- $folder := include "variant-autoscaler.certificateFolder" . -}}
{{- $certificate = dict "kind" "files" "cert_file" (printf "%s/tls.crt" $folder) "key_file" (printf "%s/tls.key" $folder) -}}
{{- end -}}
{{- $_ := set $listen "external_metrics" (dict "host" .Values.listen.host "port" .Values.listen.externalMetricsPort
      "certificate" $certificate "authentication" "kubernetes") -}}
{{- end -}}
{{- if not (hasKey $listen "drain") -}}{{- $_ := set $listen "drain" "10s" -}}{{- end -}}
{{- $_ := set $config "listen" $listen -}}

{{- $discovery := default dict $config.discovery -}}
{{- $_ := set $discovery "kind" "kubernetes" -}}
{{- $_ := set $discovery "namespaces" .Values.namespaces -}}
{{- $_ := set $discovery "limits" (dict "quotas" .Values.limits.quotas "nodes" .Values.limits.nodes) -}}
{{- $_ := set $config "discovery" $discovery -}}

{{- $kubernetes := default dict $config.kubernetes -}}
{{- $_ := set $kubernetes "installation" (include "variant-autoscaler.name" .) -}}
{{- $_ := set $kubernetes "events" .Values.events -}}
{{- $_ := set $kubernetes "pod_deletion_cost" .Values.actuation.podDeletionCost -}}
{{- $_ := set $kubernetes "patch_zero" .Values.actuation.patchZero -}}
{{- $_ := set $kubernetes "bridge_tolerance" .Values.actuation.bridgeTolerance -}}
{{- $_ := set $kubernetes "api_service" (dict
      "manage" (and .Values.apiService.create (eq .Values.certificates.kind "selfSigned"))
      "service" (include "variant-autoscaler.name" .)) -}}
{{- $_ := set $config "kubernetes" $kubernetes -}}
{{- toYaml $config -}}
{{- end }}

{{- define "variant-autoscaler.certificateFolder" -}}/etc/variant-autoscaler/certificate{{- end }}

{{- define "variant-autoscaler.checkConfig" -}}
{{- $told := dict
      "listen.pages" "listen.host and listen.pagesPort"
      "listen.external_metrics" "apiService.create, certificates.kind, listen.host and listen.externalMetricsPort"
      "listen.external_metrics_http" "apiService.create"
      "discovery.kind" "the chart itself"
      "discovery.namespaces" "namespaces"
      "discovery.limits" "limits"
      "kubernetes.kubeconfig" "the pod's own account"
      "kubernetes.namespace" "the namespace of the release"
      "kubernetes.installation" "fullnameOverride"
      "kubernetes.events" "events"
      "kubernetes.pod_deletion_cost" "actuation.podDeletionCost"
      "kubernetes.patch_zero" "actuation.patchZero"
      "kubernetes.bridge_tolerance" "actuation.bridgeTolerance"
      "kubernetes.api_service" "apiService.create and certificates.kind" -}}
{{- range $path, $value := $told -}}
{{- $keys := splitList "." $path -}}
{{- if hasKey (default dict (index $.Values.config (first $keys))) (last $keys) -}}
{{- fail (printf "config.%s must not be given: it is told by %s" $path $value) -}}
{{- end -}}
{{- end -}}
{{- range $i, $model := .Values.config.models -}}
{{- if and (eq (default "follower" $model.actuation) "scale") (not $.Values.actuation.scale) -}}
{{- fail (printf "config.models[%d].actuation is scale: set actuation.scale=true, which grants the right to write replicas" $i) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.limits.nodes .Values.namespaces -}}
{{- fail "limits.nodes=true must go with namespaces=[]: what is free on nodes depends on the pods of all namespaces" -}}
{{- end -}}
{{- if hasKey .Values.files "config.yaml" -}}
{{- fail "files must not hold config.yaml: it is made of config" -}}
{{- end -}}
{{- end }}

{{/* What is read at the start only; a change of it replaces the pods. */}}
{{- define "variant-autoscaler.startChecksum" -}}
{{- $config := include "variant-autoscaler.configuration" . | fromYaml -}}
{{- pick $config "listen" "publishing" "state" "kubernetes" | toYaml | sha256sum | trunc 16 -}}
{{- end }}
