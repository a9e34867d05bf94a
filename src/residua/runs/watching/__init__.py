"""`residua watch`: a line that is watched, image by image, for months."""

from residua.runs.watching.watch import WatchOptions, watch_run

__all__ = ["WatchOptions", "watch_run"]
