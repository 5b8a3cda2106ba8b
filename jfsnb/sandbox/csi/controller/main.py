"""The CSI controller process: ``python -m jfsnb.sandbox.csi.controller.main``, in its StatefulSet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from jfsnb.driver.settings.host import Host
from jfsnb.sandbox.apimachinery.client import ApiClient
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.controller.controller_service import ControllerService
from jfsnb.sandbox.csi.controller.mount_controller import MountController
from jfsnb.sandbox.csi.controller.provisioner import Provisioner
from jfsnb.sandbox.csi.controller.resizer import Resizer
from jfsnb.sandbox.csi.controller.volumes import Volumes
from jfsnb.sandbox.csi.identity import VERSION, IdentityService
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node.config_file import ConfigFile
from jfsnb.sandbox.csi.server import listen, load_config, options, until_stopped
from jfsnb.sandbox.proto import messages as proto

log = Logger("main")


async def serve(endpoint: str, config: ConfigFile, provision: bool) -> None:
    """Run until SIGTERM.

    Args:
        provision: run the built-in provisioner (``--provisioner=true``, Helm's default).
    """
    async with ApiClient.in_cluster() as api:
        env = dict(os.environ)
        cluster = Cluster(api, env["JUICEFS_MOUNT_NAMESPACE"])
        pod = await cluster.pod(cluster.namespace, env["POD_NAME"]) or {}
        volumes = Volumes(cluster, config, Host("", cluster.namespace, pod, env))
        services: dict[str, object] = {
            "csi.v1.Identity": IdentityService(),
            "csi.v1.Controller": ControllerService(cluster, volumes),
        }
        server = await listen(endpoint, services)
        log.info("Listening for connection on address", address=endpoint, version=VERSION)
        async with proto.unix_channel(endpoint.removeprefix("unix:"), caller="csi-provisioner") as channel:
            work: list[Coroutine[Any, Any, None]] = [config.follow(), MountController(cluster).run()]
            if provision:
                stub = proto.stub(channel, "csi.v1.Controller")
                provisioner = Provisioner(cluster, stub, volumes)
                Resizer(cluster, provisioner.claims, stub)
                work.append(provisioner.run())
            await until_stopped(work, [server])


def main() -> None:
    given = options()
    asyncio.run(serve(given.endpoint, load_config(given.config), given.provisioner == "true"))


if __name__ == "__main__":
    main()
