"""Infrastructure as code: Helm chart, Argo CD, Ray on Kubernetes, and their validation."""
