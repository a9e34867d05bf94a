"""The judge: arrays and CSV files of any framework to an evaluation, without torch."""

from residua.judge.judging import judge

__all__ = ["judge"]
