"""Training, on Lightning: precision, budget, history, best weights, checkpoints, resume."""
