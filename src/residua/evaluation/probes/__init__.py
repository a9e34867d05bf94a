"""Probes: what a code is worth to a simple classifier, the honest form of "the accuracy of my
autoencoder".
"""

from residua.evaluation.probes.probe import evaluate_codes

__all__ = ["evaluate_codes"]
