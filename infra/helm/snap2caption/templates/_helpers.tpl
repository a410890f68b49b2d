{{/* Labels of an object of a component. Call with (list $ "serving"). */}}
{{- define "snap2caption.labels" -}}
{{ include "snap2caption.selector" . }}
app.kubernetes.io/part-of: snap2caption
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
snap2caption/environment: {{ (index . 0).Values.environment }}
{{- end }}

{{/* What selects the pods of a component. It never changes, as selectors are immutable. */}}
{{- define "snap2caption.selector" -}}
app.kubernetes.io/name: snap2caption
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The image of a component: by its digest, where the release has one. Call with (list $ "serving"). */}}
{{- define "snap2caption.image" -}}
{{- $images := (index . 0).Values.images }}
{{- $image := index $images (index . 1) }}
{{- printf "%s/%s:%s" $images.registry (index . 1) ($image.tag | default (index . 0).Chart.AppVersion) }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* What all pods of ours have in common (Pod Security Standards, restricted). */}}
{{- define "snap2caption.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
serviceAccountName: snap2caption
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* What all containers of ours have in common. */}}
{{- define "snap2caption.container" -}}
imagePullPolicy: IfNotPresent
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsNonRoot: true
{{- end }}

{{/* Variables that name the files of a component's secrets, as in Compose. Call with (list $ "serving"). */}}
{{- define "snap2caption.secretFiles" -}}
{{- range $variable, $secret := index (index . 0).Values.secrets (index . 1) }}
- {name: {{ $variable }}__FILE, value: /run/secrets/{{ $secret }}}
{{- end }}
{{- end }}

{{/* Where a secret is in the store of secrets, by its name. Call with (list $ "metrics_token"). */}}
{{- define "snap2caption.remoteRef" -}}
{{- $secrets := (index . 0).Values.secrets }}
{{- $prefix := tpl $secrets.prefix (index . 0) }}
{{- if $secrets.together }}{key: {{ $prefix }}, property: {{ index . 1 }}}
{{- else }}{key: {{ printf "%s/%s" $prefix (index . 1) }}}
{{- end }}
{{- end }}

{{/* Variables of settings. Call with a map. */}}
{{- define "snap2caption.settings" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end }}

{{/* Where the services are: variables of the service and of tasks. */}}
{{- define "snap2caption.addresses" -}}
- {name: AWS_DEFAULT_REGION, value: {{ .Values.addresses.region }}}
- {name: AWS_ENDPOINT_URL, value: {{ .Values.addresses.store | quote }}}
- {name: SNAP2CAPTION_DATASETS_URI, value: {{ .Values.addresses.datasets | quote }}}
- {name: SNAP2CAPTION_FEEDBACK_URI, value: {{ .Values.addresses.feedback | quote }}}
- {name: SNAP2CAPTION_MLFLOW_TRACKING_URI, value: {{ .Values.addresses.mlflow | quote }}}
{{- end }}

{{/* The longest time from SIGTERM to the end of a pod of the service. */}}
{{- define "snap2caption.gracePeriod" -}}
{{- $serving := .Values.serving }}
{{- if lt (int $serving.drain.requestSeconds) (add (int $serving.deadlineSeconds) (int $serving.engineSeconds)) }}
{{- fail "serving.drain.requestSeconds must be at least deadlineSeconds + engineSeconds: a pod that ends would drop its slowest caption. Raise it." }}
{{- end }}
{{- add (int $serving.drain.endpointSeconds) (int $serving.drain.requestSeconds) 15 }}
{{- end }}
