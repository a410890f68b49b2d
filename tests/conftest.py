"""Settings of the test process itself."""

import os

# As the command line does (snap2caption/__main__.py), before anything loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
