{{/* Names and labels. */}}
{{- define "image-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "image-gateway.fullname" -}}
{{- $name := include "image-gateway.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What selects; never changes over the life of a release. The component is for the caller to add. */}}
{{- define "image-gateway.selector" -}}
app.kubernetes.io/name: {{ include "image-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "image-gateway.labels" -}}
{{ include "image-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "image-gateway.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{- define "image-gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "image-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* Text where something holds, else nothing. */}}
{{- define "image-gateway.production" -}}{{- if eq .Values.mode "production" -}}true{{- end -}}{{- end }}

{{- define "image-gateway.bucket" -}}
{{- if and (include "image-gateway.production" .) (or .Values.config.blobs .Values.existingConfigMap) (not .Values.persistence.existingClaim) -}}
{{- if not (hasPrefix "file:" (default "" .Values.config.blobs)) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "image-gateway.volume" -}}
{{- if and .Values.persistence.enabled (not (include "image-gateway.bucket" .)) -}}true{{- end -}}
{{- end }}

{{- define "image-gateway.claim" -}}
{{- default (include "image-gateway.fullname" .) .Values.persistence.existingClaim -}}
{{- end }}

{{- define "image-gateway.sharedState" -}}
{{- if include "image-gateway.production" . -}}
{{- if or .Values.secrets.keys.stateUrl .Values.existingConfigMap (ne "memory" (default "memory" .Values.config.state)) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- define "image-gateway.configMap" -}}
{{- default (include "image-gateway.fullname" .) .Values.existingConfigMap -}}
{{- end }}

{{- define "image-gateway.publicUrl" -}}
{{- if .Values.publicUrl -}}
{{- .Values.publicUrl -}}
{{- else if .Values.ingress.enabled -}}
{{- printf "%s://%s" (ternary "https" "http" (not (empty .Values.ingress.tlsSecret))) .Values.ingress.host -}}
{{- else -}}
{{- printf "http://%s.%s.svc:%d" (include "image-gateway.fullname" .) .Release.Namespace (int .Values.service.port) -}}
{{- end -}}
{{- end }}

{{/* preStop, then calls are accepted, then they end, then the process writes its last words: together less than the grace period. */}}
{{- define "image-gateway.gracePeriod" -}}
{{- add .Values.drain.preStopSeconds .Values.drain.acceptSeconds .Values.drain.seconds 10 -}}
{{- end }}
