"""Airflow hooks, operators and UI links. They call the parts; they hold no logic of their own."""
