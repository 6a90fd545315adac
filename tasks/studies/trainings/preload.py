"""What workers of a study are forked with: imports that would take seconds in each of them."""

import atexit
import gc

import torch._dynamo  # by torch's optimizers, when the first one is made

from tasks.studies.trainings import training

__all__ = ["torch", "training"]

# Modules stay. Looking through their million objects for garbage, again and again, would take a
# quarter of the time in which variants are made.
gc.freeze()
atexit.register(gc.unfreeze)  # else bindings of triton tell at the end that they were leaked
