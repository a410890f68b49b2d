"""How to run each service: a function a module that returns its `Service` and what its clients need."""
