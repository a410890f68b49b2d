"""Training: a dataset version in; an adapter, its scores and the gate's verdict out."""
