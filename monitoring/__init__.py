"""Monitoring: configuration of Prometheus, Alertmanager and Grafana; dashboards as code."""
