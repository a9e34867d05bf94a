"""The routes of the review page.

What is next, an image with its map, an answer, undo, the table of corrections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from residua.errors import ImageError, InputError, OutputError
from residua.records import Record
from residua.server.answers import ImageScore, RefusedError
from residua.server.batcher import ImageResult
from residua.server.model import Sight
from residua.server.pictures import pictures_of
from residua.server.review.book import Answer, Kind, Name, Note
from residua.server.review.rates import Rate
from residua.server.review.review import Item, Review, View
from residua.server.service import Service
from residua.server.uploads import media_type, read_body

_MOST_KILOBYTES = 16

T = TypeVar("T")


class Said(Record):
    """An answer as the page sends it; ``image`` is the id of the image."""

    reviewer: Name
    image: str
    answer: Literal["good", "defect", "skip"]
    kind: Kind | None = None
    note: Note | None = None
    view: View = "open"
    after: str | None = None


class Undo(Record):
    """The last answer of a reviewer is to be taken back."""

    reviewer: Name
    view: View = "open"


class Counts(Record):
    """How many images each view of the queue holds for one reviewer."""

    open: int
    second: int
    disagree: int
    mine: int


class ReviewState(Record):
    """How far a review is, and what one reviewer sees next.

    ``images`` are ids, and ``back`` is the image whose answer was just taken back. Where each
    product has its own ``threshold`` there is none here, and no ``command``.
    """

    source: str
    folder: str
    advice: str
    command: str | None
    threshold: float | None
    n_images: int
    n_flagged: int
    n_flagged_open: int
    n_trained: int
    n_undecided: int
    n_asked: int
    n_answered: int
    random_share: float
    views: Counts
    images: list[str]
    kinds: list[str]
    reviewers: dict[str, int]
    rates: list[Rate]
    back: str | None = None


class ReviewImage(Record):
    """An image to be looked at.

    ``said`` are the answers that its reviewer may see: their own, and those of others once they
    have answered or where reviewers disagree.
    """

    id: str
    path: str
    why: str
    flagged: bool
    part: str | None
    scored: ImageScore
    said: list[Answer]


def review_routes(routes: APIRouter, service: Service, review: Review) -> None:
    """Add the routes of a review below ``/v1/review``."""
    one_at_a_time = asyncio.Lock()

    async def locked(work: Callable[[], T]) -> T:
        """The result of `work` on the review, in a thread: it waits for the disk."""
        async with one_at_a_time:
            try:
                return await service.in_thread(work)
            except InputError as error:
                raise RefusedError(422, "not-taken", str(error)) from None
            except OutputError as error:
                raise RefusedError(507, "not-written", str(error)) from None

    @routes.get("/review", summary="How far the review is, and what is next")
    async def state(
        reviewer: Annotated[str, Query(description="Who asks.")],
        view: Annotated[View, Query(description="Which images.")] = "open",
        after: Annotated[str | None, Query(description="Behind which image of the queue.")] = None,
    ) -> ReviewState:
        name = _checked(Undo, {"reviewer": reviewer}).reviewer
        return await locked(lambda: _state(review, name, view, after))

    @routes.get("/review/images/{image}", summary="An image, its map and its score")
    async def image(
        request: Request, image: str, reviewer: Annotated[str, Query(description="Who asks.")]
    ) -> ReviewImage:
        item = _item(review, image)

        def finish(sight: Sight, scored: ImageResult) -> ImageScore:
            return service.model.answer(sight, scored, item.product).model_copy(
                update={"pictures": pictures_of(sight.pixels, scored, review.ceiling)}
            )

        try:
            told = await service.look(request, lambda: review.read(item), finish)
        except ImageError as error:
            raise RefusedError(422, "broken-image", f"{item.path}: {error}.") from None
        if told.refusal is not None or told.result is None:
            raise told.refusal or RefusedError(422, "broken-image", "The image has no score.")
        said = await locked(lambda: _visible(review, item, reviewer))
        return ReviewImage(
            id=item.id,
            path=item.path,
            why=item.why,
            flagged=item.is_flagged,
            part=item.part,
            scored=told.result,
            said=said,
        )

    @routes.post("/review/answers", summary="Say what an image is", openapi_extra=_body(Said))
    async def answer(request: Request) -> ReviewState:
        said = await _sent(request, service, Said)
        item = _item(review, said.image)

        def work() -> ReviewState:
            review.answer(item, said.reviewer, said.answer, said.kind, said.note)
            return _state(review, said.reviewer, said.view, said.after)

        return await locked(work)

    @routes.post("/review/undo", summary="Take the last answer back", openapi_extra=_body(Undo))
    async def undo(request: Request) -> ReviewState:
        asked = await _sent(request, service, Undo)

        def work() -> ReviewState:
            back = review.undo(asked.reviewer)
            return _state(review, asked.reviewer, asked.view).model_copy(update={"back": back})

        return await locked(work)

    @routes.get(
        "/review/corrections.csv", summary="The corrections so far", response_class=Response
    )
    async def corrections() -> Response:
        data = await locked(review.book.table.read_bytes)
        return Response(
            data,
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": 'attachment; filename="corrections.csv"'},
        )


def _state(review: Review, reviewer: str, view: View, after: str | None = None) -> ReviewState:
    told, views = review.reviewed, review.n_of_views(reviewer)
    return ReviewState(
        source=told.source,
        folder=str(review.book.folder),
        advice=review.advice,
        command=review.command,
        threshold=told.threshold if review.learns else None,
        n_images=review.n_images(),
        n_flagged=review.n_flagged(),
        n_flagged_open=review.n_flagged_open(),
        n_trained=review.n_trained(),
        n_undecided=review.n_undecided(),
        n_asked=len(review.items),
        n_answered=len(review.items) - views["open"],
        random_share=told.random_share,
        views=Counts.model_validate(views),
        images=review.next_images(reviewer, view, after),
        kinds=review.book.kinds(),
        reviewers=review.book.reviewers(),
        rates=review.rates(),
    )


def _visible(review: Review, item: Item, reviewer: str) -> list[Answer]:
    said = review.book.answers.get(item.path, {})
    sees_all = reviewer in said or review.book.verdict(item.path).disagree
    return [one for one in said.values() if sees_all or one.reviewer == reviewer]


def _item(review: Review, image: str) -> Item:
    item = review.item(image)
    if item is None:
        raise RefusedError(404, "not-found", "The review asks about no such image. Load the page.")
    return item


R = TypeVar("R", bound=Record)


async def _sent(request: Request, service: Service, kind: type[R]) -> R:
    """A small JSON body.

    Another content type is refused: a form is all that a page of another site could send unasked.
    """
    if media_type(request) != "application/json":
        raise RefusedError(415, "wrong-type", "The content type must be application/json.")
    limits = service.limits.model_copy(update={"megabytes": _MOST_KILOBYTES / 1000})
    with service.admission.upload() as upload:
        body = await read_body(request, limits, upload)
    return _checked(kind, body)


def _checked(kind: type[R], sent: bytes | dict[str, Any]) -> R:
    try:
        return (
            kind.model_validate_json(sent) if isinstance(sent, bytes) else kind.model_validate(sent)
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = " ".join(str(part) for part in first["loc"])[:60] or "body"
        what = first["msg"].removeprefix("Value error, ")
        raise RefusedError(422, "bad-answer", f"{where}: {what}. Correct it.") from None


def _body(kind: type[Record]) -> dict[str, Any]:
    schema = {"schema": kind.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}
