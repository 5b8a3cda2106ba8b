"""Commands in a Mount Pod's container, through the API server as the driver runs them.

The official client does it, in a thread and only when it is needed: the driver's own client has no websockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

SECONDS = 60


class ExecFailed(Exception):
    """A command ended with another status than 0, or could not be started."""


async def run(namespace: str, pod: str, container: str, command: Sequence[str]) -> str:
    """Output of a command, both streams.

    Raises:
        ExecFailed: with the output and the status.
    """
    return await asyncio.to_thread(_run, namespace, pod, container, list(command))


def _run(namespace: str, pod: str, container: str, command: list[str]) -> str:
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import stream

    settings = client.Configuration()
    config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    core = client.CoreV1Api(client.ApiClient(settings))
    try:
        running = stream(
            core.connect_get_namespaced_pod_exec,
            pod,
            namespace,
            container=container,
            command=command,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        running.run_forever(timeout=SECONDS)
        status = running.returncode  # to be asked first: read_all would take it away
        output = str(running.read_all())
        if status:
            raise ExecFailed(f"command terminated with exit code {status}: {output.strip()}")
    except ApiException as error:
        raise ExecFailed(str(error.reason)) from error
    return output
