{{/* What the gateway's pods and the migration's have in common. */}}
{{- define "image-gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "image-gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "image-gateway.environment" -}}
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "image-gateway.mounts" -}}
- name: config
  mountPath: /etc/image-gateway
  readOnly: true
- name: state
  mountPath: /var/lib/image-gateway
- name: tmp
  mountPath: /tmp
{{- end }}

{{/* Called with `root`, the name of the ConfigMap, and whether the state is the release's volume. */}}
{{- define "image-gateway.volumes" -}}
{{- $values := .root.Values -}}
# One volume: a changed Secret makes all its files anew, which the gateway notices by the config's.
- name: config
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ .configMap }}
      {{- with $values.secrets.existingSecret }}
      - secret:
          name: {{ . }}
      {{- end }}
      {{- range $values.secrets.more }}
      - secret:
          {{- toYaml . | nindent 10 }}
      {{- end }}
- name: state
  {{- if .persistent }}
  persistentVolumeClaim:
    claimName: {{ include "image-gateway.claim" .root }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $values.scratchSize }}
  {{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ $values.scratchSize }}
{{- end }}
