"""The training loop: epochs and steps, optimisation, checkpoints."""
