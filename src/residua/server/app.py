"""The routes of the server.

Score one image, score a batch, its map as PNG, what the model is, health, and the page.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from residua._version import __version__
from residua.server.answers import (
    RETRY_SECONDS,
    BatchItem,
    BatchScores,
    ImageScore,
    ModelFacts,
    Problem,
    RefusedError,
    State,
)
from residua.server.batcher import ImageResult
from residua.server.guard import SECURITY_HEADERS, Guard, GuardOptions, answer_refusal
from residua.server.limits import Limits
from residua.server.line import Line
from residua.server.line_routes import line_routes
from residua.server.model import ServedModel, Sight
from residua.server.page import Name, page, page_policy
from residua.server.pictures import Style, map_png, pictures_of
from residua.server.review.review import Review
from residua.server.review.routes import review_routes
from residua.server.service import Outcome, Service, T
from residua.server.uploads import BINARY, FORM

_MOST_NAMED = 60
_BINARY_SCHEMA = {"type": "string", "format": "binary"}


Product = Annotated[
    str | None, Query(description="The product that is shown, where each has its own threshold.")
]


def build_app(
    model: ServedModel,
    limits: Limits | None = None,
    guard_options: GuardOptions | None = None,
    review: Review | None = None,
    line: Line | None = None,
) -> FastAPI:
    """The ASGI application that serves `model`, and the pages of a `review` and a watched `line`.

    It is ready once it has scored an image of its own.
    """
    service = Service(model, limits or Limits())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="residua",
        summary=f"Scores images with the model {model.name}.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    _add_page(app, "/", "page")
    _add_health(app, service)
    guard_options = guard_options or GuardOptions()
    # The guard does the work; this tells readers of the schema about it.
    bearer = (
        [Depends(HTTPBearer(auto_error=False, description="The server's token."))]
        if guard_options.token is not None
        else []
    )
    scoring = APIRouter(prefix="/v1", dependencies=[*bearer, Depends(_refuse_unknown)])
    _add_scoring(scoring, service)
    if review is not None:
        _add_page(app, "/review", "review")
        review_routes(scoring, service, review)
    if line is not None:
        _add_page(app, "/watch", "watch")
        line_routes(scoring, service, line)
    app.include_router(scoring)
    _add_refusals(app)
    app.add_middleware(Guard, guard_options=guard_options, notice=model.notice)
    return app


def _add_page(app: FastAPI, address: str, name: Name) -> None:
    @app.get(address, include_in_schema=False)
    async def show_page() -> Response:
        return Response(
            page(name),
            media_type="text/html; charset=utf-8",
            headers={"content-security-policy": page_policy(name)},
        )


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Is the process alive?")
    async def healthz() -> State:
        return State(status="alive")

    @app.get(
        "/readyz",
        summary="Will an image be scored now?",
        responses={200: {"model": State}, 503: {"model": State}},
    )
    async def readyz() -> Response:
        if service.state == "ready":
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": service.state}, 503, {"Retry-After": str(RETRY_SECONDS)})


async def _refuse_unknown(request: Request) -> None:
    """Refuse parameters that the route does not have: ignored in silence they look obeyed."""
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    strangers = [name for name in request.query_params if name not in known]
    if not strangers:
        return
    name = ascii(strangers[0])[:_MOST_NAMED]
    takes = f"It takes {' and '.join(known)}." if known else "It takes none."
    mend = (
        "Change it with `residua threshold`, and start the server again."
        if strangers[0] == "threshold"
        else "Leave it out."
    )
    raise RefusedError(
        422, "unknown-parameter", f"This address has no parameter {name}. {takes} {mend}"
    )


def _add_scoring(routes: APIRouter, service: Service) -> None:
    model = service.model

    def with_pictures(sight: Sight, scored: ImageResult, product: str | None = None) -> ImageScore:
        return model.answer(sight, scored, product).model_copy(
            update={"pictures": pictures_of(sight.pixels, scored, model.ceiling)}
        )

    @routes.get("/model", summary="What is served here", responses=_problems(401, 403, 421, 422))
    async def model_facts() -> ModelFacts:
        return model.describe(service.limits)

    @routes.post(
        "/score", summary="Score one image", responses=_PROBLEMS, openapi_extra=_body("image")
    )
    async def score(
        request: Request,
        pictures: Annotated[
            bool, Query(description="Also answer with pictures, for a page.")
        ] = False,
        product: Product = None,
    ) -> ImageScore:
        model.check_product(product)
        finish = partial(with_pictures if pictures else model.answer, product=product)
        return _only(await service.judge(request, finish, pictures=pictures, most=1))

    @routes.post(
        "/map",
        summary="The error map of one image, as PNG",
        responses={**_PROBLEMS, 200: {"content": {"image/png": {"schema": _BINARY_SCHEMA}}}},
        response_class=Response,
        openapi_extra=_body("image"),
    )
    async def error_map(
        request: Request,
        style: Annotated[
            Style, Query(description="Colours over the image, colours alone, or 16-bit grey.")
        ] = "overlay",
        product: Product = None,
    ) -> Response:
        model.check_product(product)

        def draw(sight: Sight, scored: ImageResult) -> Response:
            png, scale = map_png(sight.pixels, scored, style, model.ceiling)
            told = model.answer(sight, scored, product)
            headers = {
                "Residua-Score": json.dumps(told.score),
                "Residua-Anomalous": json.dumps(told.anomalous),
                "Residua-Scale": json.dumps(scale),
            }
            return Response(png, media_type="image/png", headers=headers)

        return _only(await service.judge(request, draw, pictures=True, most=1))

    @routes.post(
        "/score-batch",
        summary="Score several images",
        responses=_PROBLEMS,
        openapi_extra=_body("images"),
    )
    async def score_batch(request: Request, product: Product = None) -> BatchScores:
        model.check_product(product)
        finish = partial(model.answer, product=product)
        told = await service.judge(request, finish, pictures=False, only_form=True)
        images = [
            BatchItem(
                index=index,
                name=one.name,
                result=one.result,
                problem=None if one.refusal is None else one.refusal.problem,
            )
            for index, one in enumerate(told)
        ]
        return BatchScores(images=images)


def _only(told: Sequence[Outcome[T]]) -> T:
    if told[0].refusal is not None:
        raise told[0].refusal
    assert told[0].result is not None
    return told[0].result


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    async def refuse(_: Request, refusal: RefusedError) -> Response:
        return answer_refusal(refusal)

    @app.exception_handler(HTTPException)
    async def refuse_route(_: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        message = {
            404: "There is nothing at this address.",
            405: "This address does not take that method.",
        }
        refusal = RefusedError(
            error.status_code, code, message.get(error.status_code, "The request does not hold.")
        )
        refusal.headers.update(error.headers or {})
        return answer_refusal(refusal)

    @app.exception_handler(RequestValidationError)
    async def refuse_parameter(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])[:200]
        return answer_refusal(RefusedError(422, "bad-parameter", f"{where}: {first['msg']}."))

    @app.exception_handler(ClientDisconnect)
    async def nobody_there(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def our_fault(
        _: Request, __: Exception
    ) -> Response:  # answered outside the guard; the log has the rest
        return answer_refusal(
            RefusedError(
                500,
                "our-fault",
                "Something went wrong that should not. The server's log says what.",
                {**SECURITY_HEADERS, "Connection": "close"},
            )
        )


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses
    }


_PROBLEMS = _problems(400, 401, 403, 408, 413, 415, 421, 422, 429, 500, 503)


def _body(field: str) -> dict[str, Any]:
    """The request body of a route that reads it itself: FastAPI knows no limits."""
    several = field == "images"
    value = {"type": "array", "items": _BINARY_SCHEMA, "minItems": 1} if several else _BINARY_SCHEMA
    form = {
        "schema": {
            "type": "object",
            "properties": {field: value},
            "required": [field],
            "additionalProperties": False,
        }
    }
    plain = (
        {}
        if several
        else {kind: {"schema": _BINARY_SCHEMA} for kind in ("image/png", "image/jpeg", BINARY)}
    )
    return {"requestBody": {"required": True, "content": {**plain, FORM: form}}}
