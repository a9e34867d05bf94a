"""The judge: arrays and CSV files of any framework to an evaluation, without torch."""

from residua.evaluation.arrays.judge import judge

__all__ = ["judge"]
