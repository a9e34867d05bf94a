"""Shared fixtures of the training wing."""

from training_wing import digits  # noqa: F401
