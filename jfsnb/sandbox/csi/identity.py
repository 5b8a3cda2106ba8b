"""The CSI Identity service and the kubelet's plugin registration (reference §4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jfsnb.driver import names
from jfsnb.sandbox.csi.klog import Logger
from jfsnb.sandbox.proto import messages as proto

log = Logger("driver")
VERSION = "v0.32.4"


class IdentityService:
    """Who this driver is, and whether it is ready."""

    def __init__(self, ready: Callable[[], bool] = lambda: True) -> None:
        self.ready = ready

    async def GetPluginInfo(self, _request: Any) -> Any:
        return proto.GetPluginInfoResponse(name=names.DRIVER, vendor_version=VERSION)

    async def GetPluginCapabilities(self, _request: Any) -> Any:
        kind = proto.PluginCapability.Service.CONTROLLER_SERVICE
        return proto.GetPluginCapabilitiesResponse(capabilities=[{"service": {"type": kind}}])

    async def Probe(self, _request: Any) -> Any:
        return proto.ProbeResponse(ready={"value": self.ready()})


class RegistrationService:
    """What the kubelet asks a socket in its plugins_registry directory.

    Args:
        endpoint: path of the CSI socket as the kubelet sees it.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    async def GetInfo(self, _request: Any) -> Any:
        return proto.registration.PluginInfo(
            type="CSIPlugin", name=names.DRIVER, endpoint=self.endpoint, supported_versions=["1.0.0"]
        )

    async def NotifyRegistrationStatus(self, request: Any) -> Any:
        if request.plugin_registered:
            log.info("registered at the kubelet", endpoint=self.endpoint)
        else:
            log.error(request.error, "kubelet refused the registration", endpoint=self.endpoint)
        return proto.registration.RegistrationStatusResponse()
