"""What every CSI call leaves in the log: the real driver's line on an error, and one JSON line for notebook 01."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import grpc
import orjson
from google.protobuf.message import Message

from jfsnb.driver.trace.csi_trace import TRACE_KEY
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.proto.messages import CsiError, Method, code_name, secret_free

log = Logger("driver")
QUIET = ("/csi.v1.Identity/Probe",)


async def traced(method: str, request: Message, context: grpc.aio.ServicerContext, call: Method) -> Message:
    """Serve one call and write it down; to be passed to ``proto.add_service`` as ``around``."""
    started, begin = datetime.now(UTC), time.perf_counter()
    response, failure = None, None
    try:
        response = await call(request)
        return response
    except Exception as error:
        failure = error if isinstance(error, CsiError) else CsiError(grpc.StatusCode.INTERNAL, str(error))
        log.error(f"rpc error: code = {code_name(failure.code)} desc = {failure.message}", "GRPC error")
        raise
    finally:
        if method not in QUIET:
            line = {
                TRACE_KEY: method,
                "time": started.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "caller": caller(context),
                "request": secret_free(request),
                "response": None if response is None else secret_free(response),
                "error": None if failure is None else {"code": code_name(failure.code), "message": failure.message},
                "seconds": round(time.perf_counter() - begin, 6),
            }
            print(orjson.dumps(line).decode(), file=sys.stderr, flush=True)


def caller(context: grpc.aio.ServicerContext) -> str:
    """Who called: the first word of the client's user agent, for example ``kubelet`` or ``grpc-go/1.72.0``."""
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata.get("user-agent", "")).partition(" ")[0]
