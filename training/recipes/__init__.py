"""Training recipes: validation, dry runs and cost estimates."""
