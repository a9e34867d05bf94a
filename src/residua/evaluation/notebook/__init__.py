"""Records and sets of images in a notebook: as HTML in the look of the report, as tables, and the
report itself in a frame.
"""

from residua.evaluation.notebook.frames import frame_of
from residua.evaluation.notebook.html import html_of, inline

__all__ = ["frame_of", "html_of", "inline"]
