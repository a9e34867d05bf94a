"""The routes of a watched line: how it goes, and one of its images with its map."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from residua.errors import ImageError
from residua.records import Record
from residua.server.answers import ImageScore, RefusedError
from residua.server.batcher import ImageResult
from residua.server.line import Line, LineImage, LineState
from residua.server.model import Sight
from residua.server.pictures import pictures_of
from residua.server.service import Service


class LinePicture(Record):
    """An image of the line, and what this server's model says of its file as it is now."""

    row: LineImage
    scored: ImageScore


def line_routes(routes: APIRouter, service: Service, line: Line) -> None:
    """Add the routes of a watched line below ``/v1/watch``."""
    one_at_a_time = asyncio.Lock()

    @routes.get("/watch", summary="How the watched line goes")
    async def state() -> LineState:
        async with one_at_a_time:
            return await service.in_thread(line.state)

    @routes.get("/watch/images/{n}", summary="An image of the line, its map and its score")
    async def image(request: Request, n: int) -> LinePicture:
        async with one_at_a_time:
            row = await service.in_thread(line.row, n)
        if row is None:
            raise RefusedError(404, "not-found", "The table of the line has no such image.")

        def finish(sight: Sight, scored: ImageResult) -> ImageScore:
            return service.model.answer(sight, scored).model_copy(
                update={"pictures": pictures_of(sight.pixels, scored, service.model.ceiling)}
            )

        most = int(service.limits.megabytes * 1e6)
        try:
            told = await service.look(request, lambda: line.read(row, most), finish)
        except ImageError as error:
            raise RefusedError(422, "broken-image", f"{row.path}: {error}.") from None
        if told.refusal is not None or told.result is None:
            raise told.refusal or RefusedError(422, "broken-image", "The image has no score.")
        return LinePicture(row=row, scored=told.result)
