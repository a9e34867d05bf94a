"""`residua accept` and `residua dossier`: criteria before the test, and what an audit reads after
it. Neither judges an image.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from residua._files import checksum, in_a_line, read_file, read_json, sha256, write_json, write_text
from residua._text import count, few
from residua._version import __version__
from residua.errors import BundleError, GateError, InputError
from residua.evaluation import Evidence
from residua.evaluation.dossier import Acceptance, Dossier, TestedEntry, assemble, read_criteria
from residua.evaluation.dossier.artefacts import Artefacts, Parent
from residua.evaluation.dossier.page import dossier_page
from residua.evaluation.dossier.protocol import looks_at, packed_digests, text_hash
from residua.evaluation.report.payload import report_payload
from residua.evaluation.verification import Verification, VerifiedNumber
from residua.evaluation.verification.dossier import read_dossier
from residua.images.hashing import of_hex
from residua.records import now
from residua.runs.chosen_on import read_chosen_on
from residua.runs.judgement import Judgement, fit_of, read_judgement
from residua.runs.learning.record import read_record
from residua.runs.learning.versions import parents_of
from residua.runs.open_run import open_run
from residua.runs.parts import has_own_parts
from residua.runs.progress import Watcher
from residua.runs.run_folder import Run
from residua.runs.tested import accepted_place, read_acceptances, read_tested, write_acceptances

_MOST_BYTES = 1 << 20
_FILES = (
    "run.json", "images.csv", "check.json", "learning.json", "acceptance.json", "tested.json",
    "evaluation.json", "evidence.npz", "accepted/evaluation.json", "accepted/evidence.npz",
    "bundle/bundle.json", "bundle/model.safetensors", "wrapped.json",
    "watch.parquet/.status.json",
)  # fmt: skip


def accept_run(
    run: str | Path,
    criteria: str | Path,
    *,
    on: str | None = None,
    by: str = "",
    watcher: Watcher | None = None,
) -> Acceptance:
    """Fix the acceptance criteria of a run, before its test images are judged.

    They are for the run's own test part, or for the test part of the source `on` (all of it where
    it names no parts). Criteria that were accepted before are replaced by a new version.

    Raises GateError if some of these images were judged already, by this run or by one that it has
    learnt from. Raises InputError, SourceError or BundleError where criteria, images or run do not
    do; nothing is written then.
    """
    folder = open_run(run)
    text = _text(Path(criteria))
    read_criteria(text, str(criteria))
    weights = folder.mark().weights
    hashes, source = _test_hashes(folder, on, watcher or Watcher())
    with folder.locked():
        tested, versions = read_tested(folder), read_acceptances(folder)
        _refuse_judged(folder, hashes, tested)
        made = Acceptance(
            version=len(versions) + 1,
            text=text,
            sha256=text_hash(text),
            source=source,
            n_images=len(hashes),
            fingerprint=of_hex(np.array(hashes, object)),
            weights=weights,
            replaces=versions[-1].mark if versions else None,
            tested=tested[-1].mark if tested else None,
            date=now(),
            by=by,
        )
        write_acceptances(folder, (*versions, made))
    return made


def make_dossier(run: str | Path) -> Dossier:
    """What an audit asks of a run, from what the run keeps; nothing is judged anew."""
    folder = open_run(run)
    place = accepted_place(folder)
    stored = read_judgement(place)
    evaluation, evidence = (None, None) if stored is None else stored
    payload = None
    if stored is not None:
        payload = {**report_payload({"job0": stored}, 0), "titles": [stored.evaluation.job]}
    artefacts = _artefacts(folder, stored)
    return assemble(
        artefacts, evaluation, evidence, made_by=__version__, date=now(), report=payload
    )


def write_dossier(
    run: str | Path, out: str | Path, json: str | Path | None = None
) -> tuple[Path, Path, Dossier]:
    """Write the dossier of a run as HTML to `out`, and as JSON to `json` or beside it.

    Nothing is judged anew. Both paths come back with the dossier; its ``word`` is whether the
    acceptance criteria are ``met``, and ``because`` says why.

    Examples
    --------
    >>> write_dossier("runs/none", "none.html")
    Traceback (most recent call last):
    ...
    residua.errors.BundleError: runs/none: this takes a model that `residua fit` trained. Got a \
folder without run.json. Name one that `residua fit` wrote.
    """
    html = Path(out)
    json = html.with_suffix(".json") if json is None else Path(json)
    made = make_dossier(run)
    write_json(json, made.model_dump(mode="json"))
    write_text(html, dossier_page(made))
    return html, json, made


def beside_run(
    found: Verification, path: str | Path, run: str | Path | None, accepted: str | None
) -> Verification:
    """The verification of a dossier with what a run holds beside it, and the hash of the criteria
    beside one that was told; either may be None.

    Raises InputError if the file is no dossier.
    """
    given = read_dossier(path)
    if given is None:
        raise InputError(
            f"{path}: --run and --accepted take a dossier. Got a report. Leave them out."
        )
    said, more = given[0], []
    if accepted is not None:
        versions = said.artefacts.acceptances
        more.append(("hash of the criteria", versions[-1].sha256 if versions else "none", accepted))
    if run is not None:
        own = make_dossier(run)
        told, made = (one.artefacts.model_dump(mode="json") for one in (said, own))
        names = dict.fromkeys((*told.pop("files"), *made.pop("files")))
        more += [
            (
                name,
                said.artefacts.files.get(name, "absent"),
                own.artefacts.files.get(name, "absent"),
            )
            for name in names
        ]
        more += [(name, checksum(told[name]), checksum(made[name])) for name in made]
        more.append(("evaluation and arrays", checksum(said.report), checksum(own.report)))
    rows = tuple(
        VerifiedNumber("run", name, old[:16], new[:16], "same" if old == new else "differs")
        for name, old, new in more
    )
    return replace(found, figures=(*found.figures, *rows))


def _text(path: Path) -> str:
    try:
        return read_file(path, _MOST_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: the criteria must be a readable text file. Got: {in_a_line(error)}. Name a"
            " TOML file."
        ) from None


def _test_hashes(folder: Run, on: str | None, watcher: Watcher) -> tuple[list[str], str | None]:
    """The hashes of the images to be judged, and the source where that is not the run's own."""
    origin = folder.origin()
    if on is not None and not origin.is_own(on):
        images = origin.load_other(on, watcher)
        test = images.test if has_own_parts(images) and len(images.test) else images
        hashes = test.pixel_hashes.tolist()
    elif folder.images.exists():
        recorded, on = folder.read_images("part", "pixels"), None
        hashes = recorded["pixels"][np.asarray(recorded["part"] == "test")].tolist()
    else:
        raise InputError(
            f"{folder.path}: the run must say which images are its test part. It does not. Name"
            " images with --on SOURCE."
        )
    if not hashes:
        raise InputError(
            f"{on or folder.path}: there must be test images. Got none. Name images with --on"
            " SOURCE."
        )
    return [str(one) for one in hashes], on


def _refuse_judged(folder: Run, hashes: list[str], tested: tuple[TestedEntry, ...]) -> None:
    """Refuse images that this run or one of its lineage has judged."""
    wanted = {bytes.fromhex(one) for one in hashes}
    seen = [f"{entry.judged_on or 'images'} ({entry.date})" for entry in looks_at(tested, wanted)]
    seen += _stored_before(folder, set(hashes))
    for parent, _, _ in parents_of(folder):
        if parent is not None:
            seen += [f"{parent.path}" for _ in looks_at(read_tested(parent), wanted)[:1]]
            seen += _stored_before(parent, set(hashes))
    if seen:
        raise GateError(
            f"{folder.path}: criteria must be accepted before any of these {len(hashes):,} images"
            f" is judged. Some were judged already: {few(dict.fromkeys(seen))}. Name new images"
            " with --on SOURCE."
        )


def _stored_before(folder: Run, hashes: set[str]) -> list[str]:
    """An evaluation of these images from before evaluations were recorded."""
    if not folder.evaluation.exists():
        return []
    try:
        known = Evidence.load(folder.evidence).pixel_hashes
    except (OSError, BundleError):
        known = None
    if known is None or hashes & {str(one) for one in known.tolist()}:
        return [str(folder.evaluation)]
    return []


def _artefacts(folder: Run, stored: Judgement | None) -> Artefacts:
    record, told = read_record(folder), _summary(folder)
    mark, parts = folder.mark(), _parts(folder)
    learnt_from = set() if record is None else set(record.pixels)
    evidence = None if stored is None else stored.evidence
    leaks = None if evidence is None else evidence.leaks
    judged = None if evidence is None else evidence.pixel_hashes
    fit = "no evaluation" if stored is None else fit_of(folder, stored.evaluation)
    return Artefacts(
        run=folder.path.resolve().name,
        weights=mark.weights,
        threshold=None if mark.operating_point is None else mark.operating_point.threshold,
        policy=None if mark.operating_point is None else mark.operating_point.policy,
        recipe=str(told.get("recipe") or ""),
        version=str(told.get("version") or __version__),
        fit=fit,
        normal=tuple(folder.origin().normal or ()),
        parts=parts[0],
        labels=parts[1],
        fingerprints=told.get("fingerprints", {}),
        acceptances=read_acceptances(folder),
        tested=read_tested(folder),
        lineage=tuple(
            Parent(
                name=Path(name).name,
                weights=learnt.parent_weights,
                learnt=learnt.about_corrections(),
                is_there=parent is not None,
                tested=() if parent is None else read_tested(parent),
            )
            for parent, learnt, name in parents_of(folder)
        ),
        corrected=packed_digests(sorted(learnt_from)),
        chosen_on=packed_digests(read_chosen_on(folder, mark.operating_point)),
        judged=None if judged is None else packed_digests(judged.tolist()),
        leaks=None if leaks is None else int(leaks.leaked.sum()),
        is_searched=leaks is not None and leaks.is_thorough,
        watch=_watch(folder),
        files={
            name: sha256(folder.path / name) for name in _FILES if (folder.path / name).is_file()
        },
    )


def _summary(folder: Run) -> dict[str, Any]:
    """Recipe, version and fingerprints, from the bundle."""
    try:
        body = read_json(folder.bundle / "bundle.json")
        config = body["config"]
        return {
            "recipe": config.get("recipe"),
            "version": body.get("residua_version"),
            "fingerprints": {str(k): str(v) for k, v in config.get("fingerprints", {}).items()},
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _parts(folder: Run) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    if not folder.images.exists():
        return {}, {}
    recorded = folder.read_images("label", "part", "pixels")
    parts: dict[str, str] = {}
    labels: dict[str, dict[str, int]] = {}
    for name in dict.fromkeys(recorded["part"].tolist()):
        rows = np.asarray(recorded["part"] == name)
        parts[name] = packed_digests(recorded["pixels"][rows].tolist())
        labels[name] = dict(sorted(Counter(map(str, recorded["label"][rows].tolist())).items()))
    return parts, labels


def _watch(folder: Run) -> dict[str, Any] | None:
    try:
        told = read_json(folder.path / "watch.parquet" / ".status.json")
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def say_accepted(made: Acceptance) -> list[str]:
    """What was fixed, in sentences."""
    criteria = read_criteria(made.text)
    said = [f"Version {made.version} of the criteria, for {count(made.n_images, 'image')}:"]
    for one in criteria.criteria:
        needed = one.images_needed()
        more = "" if needed is None else f" (it takes {needed:,} images with no error among them)"
        said.append(f"  {one.words}{more}")
    if made.replaces is not None:
        said.append(f"It replaces version {made.version - 1}.")
    said.append(f"SHA-256 of the file: {made.sha256}")
    return said
