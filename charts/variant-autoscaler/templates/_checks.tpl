{{/* Values that contradict each other, and would be noticed only once the pods are there, or gone. */}}
{{- define "variant-autoscaler.checkValues" -}}
{{- $pages := int .Values.listen.pagesPort -}}
{{- if .Values.apiService.create -}}
{{- if eq $pages (int .Values.listen.externalMetricsPort) -}}
{{- fail (printf "listen.externalMetricsPort must differ from listen.pagesPort, got %d for both" $pages) -}}
{{- end -}}
{{- if eq $pages (int .Values.service.port) -}}
{{- fail (printf "service.port must differ from listen.pagesPort, got %d for both: the Service has both" $pages) -}}
{{- end -}}
{{- if eq (int .Values.replicas) 0 -}}
{{- fail "replicas must be >= 1 with apiService.create=true, got 0: an APIService that nobody serves keeps namespaces from being deleted. Set apiService.create=false as well, and HPAs keep the replicas they have; to stop acting only, let it run and set `override: {mode: shadow}` for the models" -}}
{{- end -}}
{{- end -}}
{{- $listen := default dict .Values.config.listen -}}
{{- $drain := hasKey $listen "drain" | ternary $listen.drain "10s" -}}
{{- $least := addf (include "variant-autoscaler.seconds" $drain | float64) 5 -}}
{{- if lt (float64 .Values.terminationGracePeriodSeconds) $least -}}
{{- fail (printf "terminationGracePeriodSeconds must be >= %v, got %v: 5 more than config.listen.drain %v, to write down what is remembered and to give up the lease" $least .Values.terminationGracePeriodSeconds $drain) -}}
{{- end -}}
{{- end }}

{{/* A duration as config has it, such as 1m30s, in seconds. */}}
{{- define "variant-autoscaler.seconds" -}}
{{- $units := dict "ns" 1e-9 "us" 1e-6 "µs" 1e-6 "μs" 1e-6 "ms" 1e-3 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9.]+([eE][+-]?[0-9]+)?[a-zµμ]+" (toString .) -1 -}}
{{- $unit := regexFind "[a-zµμ]+$" . -}}
{{- $total = addf $total (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- $total -}}
{{- end }}
