"""Grafana dashboards as code: their JSON in `monitoring/grafana/dashboards/` is generated from here."""
