{{/* Rights in namespaces with workloads: of a ClusterRole, or of one Role per namespace. Each line is there for a value. */}}
{{- define "variant-autoscaler.workloadRules" -}}
- apiGroups: [apps]
  resources: [deployments, statefulsets, replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods{{ if .Values.limits.quotas }}, resourcequotas{{ end }}]
  verbs: [list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
{{- if .Values.discover.leaderWorkerSets }}
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [list, watch]
{{- end }}
{{- if .Values.discover.scaledObjects }}
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch]
{{- end }}
{{- if .Values.discover.podAutoscalers }}
- apiGroups: [autoscaling.aibrix.ai]
  resources: [podautoscalers]
  verbs: [list, watch]
{{- end }}
{{- range .Values.discover.otherKinds }}
- apiGroups: [{{ .group }}]
  resources: [{{ .resource }}, {{ .resource }}/scale]
  verbs: [get]
{{- end }}
- apiGroups: [variant-autoscaler.io]
  resources: [variantdecisions]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [variant-autoscaler.io]
  resources: [variantdecisions/status]
  verbs: [update]
# Whether another installation that decides about a workload is still alive.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [variant-autoscaler-heartbeat]
  verbs: [get]
{{- if .Values.events }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
{{- if .Values.actuation.podDeletionCost }}
- apiGroups: [""]
  resources: [pods]
  verbs: [patch]
{{- end }}
{{- if or .Values.actuation.scale .Values.actuation.patchZero .Values.actuation.bridgeTolerance }}
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, patch]
{{- if .Values.discover.leaderWorkerSets }}
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets/scale]
  verbs: [get, patch]
{{- end }}
{{- range .Values.discover.otherKinds }}
- apiGroups: [{{ .group }}]
  resources: [{{ .resource }}/scale]
  verbs: [patch]
{{- end }}
{{- end }}
{{- end }}

{{/* Rights in our own namespace. */}}
{{- define "variant-autoscaler.ownRules" -}}
# Who decides. A right to create cannot be bound to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "variant-autoscaler.name" . }}]
  verbs: [get, update]
# What is remembered of each LLM, and the heartbeat.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
{{- if and .Values.apiService.create (eq .Values.certificates.kind "selfSigned") }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "variant-autoscaler.certificateSecret" . }}]
  verbs: [get, update]
{{- end }}
{{- end }}
