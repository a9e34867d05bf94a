"""A review of the served run's own images."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from residua.server import Review, open_review
from serving import asking


@pytest.fixture(scope="session")
def photos(run) -> Path:
    """The images that the run was fitted on."""
    return run.parent / "parts"


@pytest.fixture(scope="session")
def scored(run, photos, model, tmp_path_factory) -> Path:
    """A review without an answer."""
    folder = tmp_path_factory.mktemp("scored") / "review"
    open_review(run, str(photos), model, folder=folder).close()
    return folder


@pytest.fixture
def reopen(run, photos, model, scored, tmp_path) -> Iterator[Callable[..., Review]]:
    """Open the review in `tmp_path`, as often as asked; the one before is left as a crash does."""
    folder = tmp_path / "review"
    shutil.copytree(scored, folder)
    with ExitStack() as stack:

        def opened(**options) -> Review:
            stack.close()
            review = open_review(run, str(photos), model, folder=folder, **options)
            stack.callback(review.close)
            return review

        yield opened


@pytest.fixture
def reviewing(model) -> Callable:
    """A client of a server with a review."""

    @contextmanager
    def serve(review: Review, **options) -> Iterator[httpx.Client]:
        with asking(model, review=review, **options) as client:
            yield client

    return serve
