"""Service definitions. Each module has a function that returns its `Service` and what its clients need."""
