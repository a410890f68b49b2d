"""Airflow hooks, operators and UI links. They call the command line and hold no logic of their own."""
