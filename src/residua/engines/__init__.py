"""What scores images.

One interface for the reference graph, for exported files and for wrapped models. Never loads torch.
"""

from residua.engines.card import Card, Deviation, Price, Speed
from residua.engines.file_engines import ExportedEngine, load_engine
from residua.engines.interface import Engine, Scores, score_with
from residua.engines.kinds import KINDS, Kind, parse_engine

__all__ = [
    "KINDS",
    "Card",
    "Deviation",
    "Engine",
    "ExportedEngine",
    "Kind",
    "Price",
    "Scores",
    "Speed",
    "load_engine",
    "parse_engine",
    "score_with",
]
