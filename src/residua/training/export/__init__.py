"""Bringing a bundle out of PyTorch.

The whole graph as an ONNX or OpenVINO file, verified on real images or refused.
"""

from residua.training.export.build import Verification, build_engine

__all__ = ["Verification", "build_engine"]
