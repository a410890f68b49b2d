"""Web page for creators, built from ``frontend/`` and served from the API's own origin."""
