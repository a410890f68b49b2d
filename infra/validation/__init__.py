"""Validation of the Kubernetes manifests, without a cluster: rendering, schemas, types of custom resources."""
