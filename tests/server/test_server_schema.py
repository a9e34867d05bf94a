"""Every answer fits the published schema, whatever is asked: searched by schemathesis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from residua.server import Limits
from serving import asking, encoded
from training_wing import blobs

schemathesis = pytest.importorskip(
    "schemathesis", reason="the package schemathesis is not installed"
)
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402  after the skip

TOKEN = "a-token-of-some-length"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
PICTURES = [
    encoded(blobs(1, size, seed=1)[0], kind)
    for size in ((12, 12), (5, 31))
    for kind in ("PNG", "JPEG", "BMP")
]

# Random bytes are hardly ever an image: with real ones among them the answers that succeed are
# searched too.
for kind in ("image/png", "image/jpeg"):
    schemathesis.openapi.media_type(kind, st.sampled_from(PICTURES) | st.binary(max_size=200))


@pytest.fixture(scope="module")
def schema(model):
    with asking(model, limits=Limits(megabytes=0.05, images=3), token=TOKEN) as client:
        yield schemathesis.openapi.from_url(f"{client.base_url}/openapi.json", headers=AUTHORIZED)


OPERATIONS = [
    "GET /healthz",
    "GET /readyz",
    "GET /v1/model",
    "POST /v1/score",
    "POST /v1/map",
    "POST /v1/score-batch",
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_fits_the_schema(schema, operation):
    method, path = operation.split()
    answered = set()

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy())
    def search(case):
        # What the schema allows may still be no image, so that it is accepted is not asked for.
        answer = case.call_and_validate(
            headers=AUTHORIZED, excluded_checks=[positive_data_acceptance]
        )
        answered.add(answer.status_code)

    search()
    assert 200 in answered or operation == "POST /v1/score-batch"


def test_every_operation_is_searched(schema):
    assert {
        f"{one.ok().method.upper()} {one.ok().path}" for one in schema.get_all_operations()
    } == set(OPERATIONS)
