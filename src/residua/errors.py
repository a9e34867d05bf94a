"""The exceptions residua raises, in one tree.

Each joins this tree *and* the builtin class that people already catch::

    ResiduaError
    ├── InputError              (ValueError)       what came from outside does not hold
    │   ├── ShapeError          (ValueError)       shapes or lengths that do not fit
    │   ├── RangeError          (ValueError)       values out of range, NaN, infinities
    │   ├── LabelError          (ValueError)       labels missing, unknown or of one class only
    │   ├── SourceError         (ValueError)       a SOURCE that is empty, unknown or inconsistent
    │   ├── ImageError          (ValueError)       an image that cannot be decoded
    │   │   └── PixelLimitError (ValueError)       an image that declares too many pixels
    │   ├── PolicyError         (ValueError)       a policy that the data cannot support
    │   └── BundleError         (ValueError)       a bundle or run that is damaged or edited
    ├── OutputError             (OSError)          a place that cannot be written
    ├── TrainingError           (ArithmeticError)  training that diverged
    ├── MissingExtraError       (ImportError)      an optional part that is not installed
    └── GateError               (Exception)        a gate said no (``--strict``, an export)

Every message reads *Where: what must hold. Got what. How to mend.*
At the command line ``InputError``, ``OutputError`` and ``MissingExtraError`` end with exit code 2,
``GateError`` with 3, anything else with 1.
"""

from __future__ import annotations


class ResiduaError(Exception):
    """Base of everything residua raises on purpose."""


class InputError(ResiduaError, ValueError):
    """What came from outside does not hold."""


class ShapeError(InputError):
    """Shapes or lengths that do not fit."""


class RangeError(InputError):
    """Values outside what is allowed, NaN or infinities."""


class LabelError(InputError):
    """Labels that are missing, unknown or of one class only."""


class SourceError(InputError):
    """A SOURCE that is empty, unknown or inconsistent."""


class ImageError(InputError):
    """An image that cannot be decoded or exceeds a limit."""


class PixelLimitError(ImageError):
    """An image whose header declares more pixels than are allowed; none of them was decoded."""


class PolicyError(InputError):
    """A threshold policy that is unknown or that the data cannot support."""


class BundleError(InputError):
    """A bundle or run that is damaged, edited or of another format."""


class OutputError(ResiduaError, OSError):
    """A place that cannot be written."""


class TrainingError(ResiduaError, ArithmeticError):
    """Training that diverged."""


class MissingExtraError(ResiduaError, ImportError):
    """An optional part that is not installed; the message holds the one line that mends it."""

    def __init__(self, package: str, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs the package {package}, which is not installed. Run: pip install"
            f" 'residua[{extra}]'"
        )


class GateError(ResiduaError):
    """A gate said no: ``--strict`` met a finding of severity error, or an export failed it."""
