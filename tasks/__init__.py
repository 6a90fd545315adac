"""The five stages (ingest, validate, augment, train, evaluate) and their shared libraries.

Nothing here imports prefect or dvc: a stage reads its block of params.yaml and a manifest, and
writes a manifest.
"""

import os

# Arrow's own allocator keeps a multiple of what is in use. Arrow reads this once, at its import.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
