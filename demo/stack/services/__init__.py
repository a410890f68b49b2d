"""How to run each service: a function a module that returns its `Spec` and what its clients need."""
