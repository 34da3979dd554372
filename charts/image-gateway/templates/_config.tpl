{{/*
gateway.yaml: what follows from the chart's values, and `config` laid over it. Paths are relative: to the working folder, which is the state's
volume, and in `${file:…}` to the config's own folder, where the Secrets' files are.
*/}}
{{- define "image-gateway.gatewayYaml" -}}
{{- $file := "${file:%s}" -}}
{{- $keys := .Values.secrets.keys -}}
{{- $config := dict
  "server" (dict
    "host" "0.0.0.0"
    "port" (int .Values.ports.http)
    "public_url" (include "image-gateway.publicUrl" .)
    "accept_after_term" (printf "%ds" (int .Values.drain.acceptSeconds))
    "drain" (printf "%ds" (int .Values.drain.seconds)))
  "metrics" (dict "port" (int .Values.ports.metrics))
  "blobs" "file:///images" -}}
{{- if .Values.secrets.existingSecret -}}
{{- $_ := set $config "secret_key" (printf $file $keys.secretKey) -}}
{{- if $keys.adminToken -}}{{- $_ := set $config "admin_token" (printf $file $keys.adminToken) -}}{{- end -}}
{{- end -}}
{{- if include "image-gateway.production" . -}}
{{- $_ := set $config "database" (printf $file $keys.databaseUrl) -}}
{{- if $keys.stateUrl -}}{{- $_ := set $config "state" (printf $file $keys.stateUrl) -}}{{- end -}}
{{- else -}}
{{- $_ := set $config "database" "sqlite:///gateway.db" -}}
{{- end -}}
{{- if .Values.catalog -}}{{- $_ := set $config "catalog" "catalog.yaml" -}}{{- end -}}
{{- mustMergeOverwrite $config (deepCopy .Values.config) | toYaml -}}
{{- end }}

{{/* The data of the ConfigMap, and of the one that the migration has for itself: it runs before the release's own is there. */}}
{{- define "image-gateway.configData" -}}
gateway.yaml: |
  {{- include "image-gateway.gatewayYaml" . | nindent 2 }}
{{- if .Values.catalog }}
catalog.yaml: |
  {{- .Values.catalog | nindent 2 }}
{{- end }}
{{- end }}

{{/* What cannot work is said here, in one sentence with the remedy, and not by a pod that does not start. */}}
{{- define "image-gateway.check" -}}
{{- $production := include "image-gateway.production" . -}}
{{- if and $production (not .Values.secrets.existingSecret) (not .Values.existingConfigMap) -}}
{{- fail "mode production needs secrets.existingSecret: the name of a Secret with secret_key and database_url" -}}
{{- end -}}
{{- if and $production (not (include "image-gateway.bucket" .)) (not .Values.persistence.enabled) -}}
{{- fail "mode production needs a place for pictures: config.blobs (such as s3://BUCKET/FOLDER), or persistence.enabled with a volume that all pods mount" -}}
{{- end -}}
{{- if and $production (include "image-gateway.volume" .) (not .Values.persistence.existingClaim) (not (has "ReadWriteMany" .Values.persistence.accessModes)) -}}
{{- fail "mode production needs a place for pictures that all pods share: config.blobs (such as s3://BUCKET/FOLDER), or persistence.accessModes: [ReadWriteMany]" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not $production) -}}
{{- fail "autoscaling.enabled needs mode production: an embedded gateway is one process" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.cpuPercent) (not .Values.autoscaling.tasksInFlight) -}}
{{- fail "autoscaling.enabled needs autoscaling.cpuPercent or autoscaling.tasksInFlight" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host" -}}
{{- end -}}
{{- if ge (int .Values.drain.acceptSeconds) (int .Values.drain.seconds) -}}
{{- fail "drain.acceptSeconds must be less than drain.seconds" -}}
{{- end -}}
{{- if eq (int .Values.ports.http) (int .Values.ports.metrics) -}}
{{- fail "ports.http and ports.metrics must differ" -}}
{{- end -}}
{{- range $place, $instead := dict "host" "nothing: it is 0.0.0.0" "port" "ports.http" "public_url" "publicUrl" "drain" "drain.seconds" "accept_after_term" "drain.acceptSeconds" -}}
{{- if hasKey (default dict $.Values.config.server) $place -}}
{{- fail (printf "config.server.%s is the chart's: set %s" $place $instead) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (default dict .Values.config.metrics) "port" -}}
{{- fail "config.metrics.port is the chart's: set ports.metrics" -}}
{{- end -}}
{{- if and (hasKey .Values.config "database") (not $production) -}}
{{- fail "config.database is the chart's in mode embedded: set mode to production for PostgreSQL" -}}
{{- end -}}
{{- end }}
