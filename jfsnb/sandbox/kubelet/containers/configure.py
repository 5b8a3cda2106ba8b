"""From a container's entry in a Pod to what the runtime starts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from jfsnb.driver.settings import quantity
from jfsnb.sandbox.kubelet.containers import env
from jfsnb.sandbox.kubelet.containers.security import identity
from jfsnb.sandbox.runtime.runtime import ContainerSpec

if TYPE_CHECKING:
    from jfsnb.sandbox.images.image import Image
    from jfsnb.sandbox.kubelet.containers.containers import Container


async def container_spec(container: Container, image: Image) -> ContainerSpec:
    """What to run for the next start of a container; notes its environment and identity for later commands.

    Raises:
        ConfigError, VolumeError: something that it names is missing; shown as CreateContainerConfigError.
    """
    pod, spec = container.pod, container.spec
    facts = pod.facts()
    container.identity = identity(facts, spec)
    container.env = {**image.env, **await _variables(container)}
    mounts = await pod.volumes.bind_mounts(spec, container.env)
    security = spec.get("securityContext") or {}
    limits = (spec.get("resources") or {}).get("limits") or {}
    return ContainerSpec(
        id=secrets.token_hex(32),
        hostname=pod.hostname,
        image=image,
        argv=env.command_line(spec, container.env, image.entrypoint, image.command),
        env=container.env,
        working_dir=spec.get("workingDir") or image.working_dir,
        uid=container.identity.uid,
        gid=container.identity.gid,
        groups=container.identity.groups,
        privileged=bool(security.get("privileged")),
        mounts=(*mounts, *pod.own_mounts(container)),
        share_pid_with=pod.shared_pid(container),
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        stdin=bool(spec.get("stdin")),
        tty=bool(spec.get("tty")),
        memory=int(quantity.parse(str(limits.get("memory", 0)))),  # of processor time everybody has as much as there is
    )


async def _variables(container: Container) -> dict[str, str]:
    """The container's environment; the ConfigMaps and Secrets that it names are read anew for each start."""
    node, facts = container.pod.node, container.pod.facts()
    namespace = facts["metadata"]["namespace"]
    maps, names = env.references(container.spec)
    sources = env.Sources(
        await node.objects.config_maps(namespace, maps),
        await node.objects.secrets(namespace, names),
        node.allocatable,
    )
    base = {"HOSTNAME": container.pod.hostname, **node.service_env}
    return env.environment(facts, container.spec, sources, base)
