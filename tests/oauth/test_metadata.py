"""What is published for everybody: the keys and the metadata, with caching, and readable by scripts of any origin."""

import json

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.keys import jwks
from tests.oauth import minting


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


def get(app: Flask, path: str, method: str = "GET", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().open(path, method=method, headers=named)


def test_the_keys_are_published_with_a_tag(app: Flask) -> None:
    answer = get(app, "/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.content_type == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == jwks.CACHE_CONTROL
    assert {key["alg"] for key in json.loads(answer.text)["keys"]} == {"ES256"}
    again = get(app, "/.well-known/jwks.json", If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.text) == (304, "")
    assert again.headers["Cache-Control"] == jwks.CACHE_CONTROL
