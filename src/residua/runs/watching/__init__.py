"""`residua watch`: a line that is watched, image by image, for months."""

from residua.runs.watching.options import WatchOptions
from residua.runs.watching.watch import watch_run

__all__ = ["WatchOptions", "watch_run"]
