"""What scores images: one interface for the reference graph, for exported files and for wrapped models. Never loads torch."""

from residua.engines.interface import Engine, Scores, score_with

__all__ = ["Engine", "Scores", "score_with"]
