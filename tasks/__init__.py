"""The five stages (ingest, validate, augment, train, evaluate) and their shared libraries.

Nothing here imports prefect or dvc: a stage reads its block of params.yaml and a manifest, and
writes a manifest.
"""

import os

# Arrow's own allocator keeps a multiple of what is in use. Arrow reads this once, at its import.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

# Threads of OpenMP spin while they wait: beside busy processes, a training took ten times as long.
# libgomp reads this once, when torch loads it. OMP_WAIT_POLICY is the user's own say on the same.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
