"""The CSI node process: ``python -m jfsnb.sandbox.csi.node.main``, one in each Pod of DaemonSet juicefs-csi-node."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jfsnb.driver.names import DRIVER
from jfsnb.driver.settings.host import Host
from jfsnb.sandbox.apimachinery.client import ApiClient, Obj
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.controller.controller_service import ControllerService
from jfsnb.sandbox.csi.controller.volumes import Volumes
from jfsnb.sandbox.csi.identity import VERSION, IdentityService, RegistrationService
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.csi.node import mounts
from jfsnb.sandbox.csi.node.config_file import ConfigFile
from jfsnb.sandbox.csi.node.mounter import Mounter
from jfsnb.sandbox.csi.node.node_service import NodeService
from jfsnb.sandbox.csi.node.passfd import FuseDescriptors
from jfsnb.sandbox.csi.node.reconciler import Reconciler
from jfsnb.sandbox.csi.node.upgrade import SOCKET
from jfsnb.sandbox.csi.node.upgrader import Upgrader
from jfsnb.sandbox.csi.server import listen, load_config, options, socket_path, until_stopped

log = Logger("main")
FUSE_FD_DIRECTORY = Path("/tmp")
REGISTRATION_SOCKET = f"unix:/registration/{DRIVER}-reg.sock"


async def serve(endpoint: str, node: str, config: ConfigFile) -> None:
    """Run until SIGTERM.

    Args:
        endpoint: where the CSI socket goes, as this container sees it.
        node: name of the node.
    """
    env = dict(os.environ)
    namespace = env["JUICEFS_MOUNT_NAMESPACE"]
    async with ApiClient.in_cluster() as api:
        cluster = Cluster(api, namespace, node)
        pod = await cluster.pod(namespace, env["POD_NAME"]) or {}
        host = Host(node, namespace, pod, env)
        patience = float(env.get("JUICEFS_MOUNT_WAIT_SECONDS", 60))
        descriptors = FuseDescriptors(FUSE_FD_DIRECTORY)
        mounter = Mounter(cluster, config, host, mounts.MountWatch(), patience, descriptors)
        reconciler = Reconciler(cluster, mounter)
        identity = IdentityService(cluster.mount_pods.synced.is_set)
        services: dict[str, object] = {
            "csi.v1.Identity": identity,
            "csi.v1.Controller": ControllerService(cluster, Volumes(cluster, config, host)),
            "csi.v1.Node": NodeService(node, mounter, reconciler.releaser, kubelet_root(pod)),
        }
        servers = [await listen(endpoint, services)]
        reg_path = env.get("DRIVER_REG_SOCK_PATH", f"/var/lib/kubelet/csi-plugins/{DRIVER}/csi.sock")
        registration: dict[str, object] = {"pluginregistration.Registration": RegistrationService(reg_path)}
        servers.append(await listen(REGISTRATION_SOCKET, registration, trace=False))
        log.info("Listening for connection on address", address=endpoint, version=VERSION, node=node)
        try:
            work = [config.follow(), reconciler.run(), Upgrader(reconciler).serve(SOCKET)]
            await until_stopped(work, servers)
        finally:
            socket_path(REGISTRATION_SOCKET).unlink(missing_ok=True)  # tells the kubelet that the driver is gone


def kubelet_root(pod: Obj) -> str:
    """Host path of volume ``kubelet-dir`` of the CSI node Pod."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    found = [v["hostPath"]["path"] for v in volumes if v["name"] == "kubelet-dir" and "hostPath" in v]
    return found[0] if found else "/var/lib/kubelet"


def main() -> None:
    given = options()
    asyncio.run(serve(given.endpoint, given.nodeid, load_config(given.config)))


if __name__ == "__main__":
    main()
