"""The installed version. It stands alone, so that nothing below the face imports the face."""

from importlib.metadata import version

__version__ = version("residua")
