"""What the controller does to a volume itself: remove its directory, limit its size (reference §4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jfsnb.driver.config.merging import merge
from jfsnb.driver.settings.attr import volume_context
from jfsnb.driver.settings.driver_secret import secret_data
from jfsnb.driver.settings.host import Host
from jfsnb.driver.settings.publication import Json, Volume, settings_of
from jfsnb.sandbox.apimachinery.client import Obj
from jfsnb.sandbox.csi.cluster import Cluster
from jfsnb.sandbox.csi.controller import quota
from jfsnb.sandbox.csi.controller.job_runner import JobFailed, JobRunner
from jfsnb.sandbox.csi.node.config_file import ConfigFile
from jfsnb.sandbox.csi.rules import job


class Volumes:
    """Volumes by their PV.

    Args:
        cluster: the API server. config: the configuration in force.
        host: the CSI Pod that this is; its Jobs inherit from it.
    """

    def __init__(self, cluster: Cluster, config: ConfigFile, host: Host) -> None:
        self.cluster, self.config, self.host = cluster, config, host
        self.runner = JobRunner(cluster)

    @property
    def sets_quota(self) -> bool:
        """Switch ``enableSetQuota``."""
        return self.config.current.switches.get("enableSetQuota", True)

    @property
    def sets_quota_early(self) -> bool:
        """Switches that let the controller set a quota before the first mount."""
        return self.sets_quota and self.config.current.switches.get("enableControllerSetQuota", True)

    async def remove(self, volume_id: str, secrets: Mapping[str, str]) -> None:
        """Remove a volume's directory with a Job.

        Raises:
            JobFailed: no such PV, or the Job did not complete.
            SettingsError, ApiError.
        """
        pv = await self.cluster.pv(volume_id)
        if pv is None:
            raise JobFailed(f'persistentvolumes "{volume_id}" not found')
        settings, patch = await self._settings(volume_id, pv, secrets)
        settings["SubPath"] = settings.get("SubPath") or volume_id
        body = job.delete_volume(settings, patch, self.host)
        made = await self.runner.ensure(body)
        await self.cluster.write_secret(settings["SecretName"], secret_data(settings, self.host.share_mode), made)
        name = body["metadata"]["name"]
        try:
            await self.runner.wait(name)
        except JobFailed:
            await self.runner.delete(name)
            raise

    async def limit(self, volume_id: str, secrets: Mapping[str, str], capacity: int, pv: Obj | None = None) -> None:
        """Set the quota of a volume.

        Args:
            capacity: bytes. pv: the PV that is about to be created, when there is none yet.

        Raises:
            ClientError, SettingsError.
        """
        pv = pv or await self.cluster.pv(volume_id)
        if not secrets.get("metaurl") or pv is None:
            return
        settings, _ = await self._settings(volume_id, pv, secrets)
        await quota.set_quota(settings["metaurl"], job.volume_directory(settings), capacity)

    async def _settings(self, volume_id: str, pv: Obj, secrets: Mapping[str, str]) -> tuple[Json, Mapping[str, Any]]:
        pv, pvc = await self.cluster.claim_of(volume_id, pv, None)  # type: ignore[assignment]
        spec, annotations = pv["spec"], ((pvc or {}).get("metadata") or {}).get("annotations") or {}
        patch = merge(self.config.current, pvc, None).fields
        context = volume_context(spec["csi"].get("volumeAttributes") or {}, annotations, self.host.unsafe_annotations)
        options = tuple(spec.get("mountOptions") or ())
        return settings_of(Volume(volume_id, volume_id, secrets, context, options), self.host, patch), patch
