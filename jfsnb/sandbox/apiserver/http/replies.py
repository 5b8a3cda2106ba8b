"""Bytes, Status objects and warnings as HTTP answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from jfsnb.sandbox.apiserver.http.negotiation import View
from jfsnb.sandbox.apiserver.rules.status import Failure
from jfsnb.sandbox.apiserver.storage.views import encode

Obj = dict[str, Any]
MOST_WARNING_CHARACTERS = 4096


def reply(
    body: bytes, code: int = 200, view: View | None = None, content_type: str = "", warnings: Iterable[str] = ()
) -> web.Response:
    """An answer with a JSON body, in the media type of the view."""
    kind = content_type or (view.media_type if view else "application/json")
    if view is not None:
        body = encode(body, view)
    answer = web.Response(body=body, status=code, headers={"Content-Type": kind, "Cache-Control": "no-cache, private"})
    left = MOST_WARNING_CHARACTERS
    for text in warnings:
        quoted = json.dumps(text)
        left -= len(quoted)
        if left < 0:
            break
        answer.headers.add("Warning", f"299 - {quoted}")
    return answer


def reply_object(obj: Obj, code: int = 200, view: View | None = None) -> web.Response:
    """An object that is not stored, such as a review or a Status."""
    return reply(orjson.dumps(obj), code, view)


def reply_failure(failure: Failure) -> web.Response:
    """A failure as Status."""
    answer = reply(orjson.dumps(failure.status()), failure.code)
    seconds = (failure.details or {}).get("retryAfterSeconds")
    if seconds:
        answer.headers["Retry-After"] = str(seconds)
    return answer
