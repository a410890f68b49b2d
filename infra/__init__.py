"""Infrastructure as code: Terraform, Ansible, Helm chart, Argo CD, Ray on Kubernetes, and their validation."""
