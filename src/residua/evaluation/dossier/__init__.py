"""`residua dossier`: what an audit asks of a model, and the artefacts that show it."""

from residua.evaluation.dossier.criteria import Criteria, read_criteria
from residua.evaluation.dossier.dossier import Dossier, assemble
from residua.evaluation.dossier.protocol import Acceptance, TestedEntry

__all__ = ["Acceptance", "Criteria", "Dossier", "TestedEntry", "assemble", "read_criteria"]
