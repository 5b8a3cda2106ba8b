"""The three CSI services over a unix socket, without a cluster: arguments, status codes, idempotency."""

import asyncio

import grpc
import pytest

from jfsnb.sandbox.csi.controller.controller_service import ControllerService
from jfsnb.sandbox.csi.identity import IdentityService, RegistrationService
from jfsnb.sandbox.csi.node.node_service import NodeService
from jfsnb.sandbox.csi.server import listen
from jfsnb.sandbox.proto import messages as proto

MOUNT = {"mount": {"fs_type": "juicefs"}, "access_mode": {"mode": "MULTI_NODE_MULTI_WRITER"}}
BLOCK = {"block": {}, "access_mode": {"mode": "SINGLE_NODE_WRITER"}}
READER = {"mount": {}, "access_mode": {"mode": "MULTI_NODE_READER_ONLY"}}
SINGLE_READER = {"mount": {}, "access_mode": {"mode": "SINGLE_NODE_READER_ONLY"}}
GIB = 1 << 30


class Nothing:
    """Stands for the mounter and the releaser: nothing is mounted in these tests."""

    async def unpublish(self, _volume_id, _target):
        return None


def call(tmp_path, *calls):
    """Make calls one after the other; returns for each its response, or the name of its status code."""

    async def one(channel, service, method, fields):
        request = proto.SERVICES[service][method][0](**fields)
        try:
            return await getattr(proto.stub(channel, service), method)(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code().name

    async def scenario():
        services = {
            "csi.v1.Identity": IdentityService(),
            "csi.v1.Controller": ControllerService(None),
            "csi.v1.Node": NodeService("node-1", Nothing(), Nothing(), "/var/lib/kubelet"),
            "pluginregistration.Registration": RegistrationService("/there/csi.sock"),
        }
        server = await listen(f"unix:{tmp_path}/s", services)
        async with proto.unix_channel(f"{tmp_path}/s", caller="tests") as channel:
            answers = [await one(channel, *c) for c in calls]
        await server.stop(0)
        return answers

    return asyncio.run(scenario())


def identity(method, **fields):
    return "csi.v1.Identity", method, fields


def controller(method, **fields):
    return "csi.v1.Controller", method, fields


def node(method, **fields):
    return "csi.v1.Node", method, fields


def test_who_it_is(tmp_path):
    info, capabilities, probe, registration = call(
        tmp_path,
        identity("GetPluginInfo"),
        identity("GetPluginCapabilities"),
        identity("Probe"),
        ("pluginregistration.Registration", "GetInfo", {}),
    )
    assert (info.name, info.vendor_version) == ("csi.juicefs.com", "v0.32.4")
    assert [c.service.type for c in capabilities.capabilities] == [1]
    assert probe.ready.value is True
    assert (registration.type, registration.endpoint) == ("CSIPlugin", "/there/csi.sock")


def test_what_it_can(tmp_path):
    of_controller, of_node, info = call(
        tmp_path, controller("ControllerGetCapabilities"), node("NodeGetCapabilities"), node("NodeGetInfo")
    )
    assert [c.rpc.type for c in of_controller.capabilities] == [1, 9, 5]
    assert [c.rpc.type for c in of_node.capabilities] == [2]
    assert info.node_id == "node-1"


@pytest.mark.parametrize(
    "wrong",
    [
        controller("CreateVolume", volume_capabilities=[MOUNT]),
        controller("CreateVolume", name="v"),
        controller("CreateVolume", name="v", volume_capabilities=[BLOCK]),
        controller("CreateVolume", name="v", volume_capabilities=[MOUNT, SINGLE_READER]),
        controller("CreateVolume", name="v", volume_capabilities=[READER]),
        controller("DeleteVolume"),
        controller("ValidateVolumeCapabilities", volume_capabilities=[MOUNT]),
        controller("ValidateVolumeCapabilities", volume_id="v"),
        controller("ControllerExpandVolume", capacity_range={"required_bytes": 1}),
        controller("ControllerExpandVolume", volume_id="v"),
        controller("CreateSnapshot", name="s"),
        controller("CreateSnapshot", source_volume_id="v"),
        controller("DeleteSnapshot"),
        node("NodePublishVolume", target_path="/t", volume_capability=MOUNT),
        node("NodePublishVolume", volume_id="v", volume_capability=MOUNT),
        node("NodePublishVolume", volume_id="v", target_path="/t"),
        node("NodePublishVolume", volume_id="v", target_path="/t", volume_capability=BLOCK),
        node("NodeUnpublishVolume", volume_id="v"),
        node("NodeUnpublishVolume", target_path="/t"),
        node("NodeGetVolumeStats", volume_path="/t"),
        node("NodeGetVolumeStats", volume_id="v"),
    ],
    ids=lambda c: f"{c[1]}-{'-'.join(c[2]) or 'empty'}",
)
def test_missing_and_unusable_arguments(tmp_path, wrong):
    assert call(tmp_path, wrong) == ["INVALID_ARGUMENT"]


@pytest.mark.parametrize(
    ("service", "method"),
    [
        ("csi.v1.Controller", "ControllerPublishVolume"),
        ("csi.v1.Controller", "ControllerUnpublishVolume"),
        ("csi.v1.Controller", "ListVolumes"),
        ("csi.v1.Controller", "GetCapacity"),
        ("csi.v1.Controller", "ListSnapshots"),
        ("csi.v1.Controller", "ControllerGetVolume"),
        ("csi.v1.Controller", "ControllerModifyVolume"),
        ("csi.v1.Node", "NodeStageVolume"),
        ("csi.v1.Node", "NodeUnstageVolume"),
        ("csi.v1.Node", "NodeExpandVolume"),
    ],
)
def test_what_the_driver_does_not_offer(tmp_path, service, method):
    assert call(tmp_path, (service, method, {})) == ["UNIMPLEMENTED"]


def test_creating_a_volume_again_gives_the_same_volume(tmp_path):
    wish = {"name": "pvc-1", "volume_capabilities": [MOUNT], "capacity_range": {"required_bytes": GIB}}
    bigger = {**wish, "capacity_range": {"required_bytes": 2 * GIB}}
    first, again, conflict = call(
        tmp_path,
        controller("CreateVolume", **wish),
        controller("CreateVolume", **wish),
        controller("CreateVolume", **bigger),
    )
    assert first.volume == again.volume
    assert first.volume.volume_id == "pvc-1"
    assert first.volume.volume_context["subPath"] == "pvc-1"
    assert conflict == "ALREADY_EXISTS"


def test_capabilities_are_confirmed_for_known_volumes_only(tmp_path):
    make = controller("CreateVolume", name="pvc-1", volume_capabilities=[MOUNT])
    ask = {"volume_id": "pvc-1", "volume_capabilities": [MOUNT]}
    unknown, _, known, block = call(
        tmp_path,
        controller("ValidateVolumeCapabilities", **ask),
        make,
        controller("ValidateVolumeCapabilities", **ask),
        controller("ValidateVolumeCapabilities", volume_id="pvc-1", volume_capabilities=[BLOCK]),
    )
    assert unknown == "NOT_FOUND"
    assert len(known.confirmed.volume_capabilities) == 1
    assert not block.HasField("confirmed")


def test_deleting_what_is_not_there_succeeds(tmp_path):
    answers = call(
        tmp_path,
        controller("DeleteVolume", volume_id="never-made"),
        controller("DeleteSnapshot", snapshot_id="never-made"),
        node("NodeUnpublishVolume", volume_id="v", target_path=str(tmp_path / "no-such-target")),
    )
    assert not any(isinstance(a, str) for a in answers)


def test_a_volume_from_an_unknown_snapshot(tmp_path):
    source = {"snapshot": {"snapshot_id": "s"}}
    wish = controller("CreateVolume", name="v", volume_capabilities=[MOUNT], volume_content_source=source)
    assert call(tmp_path, wish) == ["NOT_FOUND"]


def test_a_snapshot_belongs_to_one_volume(tmp_path):
    def make(name):
        return controller("CreateVolume", name=name, volume_capabilities=[MOUNT])

    def snapshot(source):
        return controller("CreateSnapshot", name="s", source_volume_id=source)

    _, _, unknown, first, again, other, restored, _, gone = call(
        tmp_path,
        make("a"),
        make("b"),
        snapshot("c"),
        snapshot("a"),
        snapshot("a"),
        snapshot("b"),
        controller(
            "CreateVolume",
            name="d",
            volume_capabilities=[MOUNT],
            volume_content_source={"snapshot": {"snapshot_id": "s|a"}},
        ),
        controller("DeleteSnapshot", snapshot_id="s|a"),
        snapshot("b"),
    )
    assert (unknown, other) == ("NOT_FOUND", "ALREADY_EXISTS")
    assert first.snapshot == again.snapshot
    assert (first.snapshot.snapshot_id, first.snapshot.ready_to_use) == ("s|a", True)
    assert restored.volume.content_source.snapshot.snapshot_id == "s|a"
    assert gone.snapshot.source_volume_id == "b"


def test_statistics_of_a_path_that_is_not_there(tmp_path):
    ask = node("NodeGetVolumeStats", volume_id="v", volume_path=str(tmp_path / "nothing"))
    assert call(tmp_path, ask) == ["NOT_FOUND"]


def test_a_target_under_another_kubelet_directory(tmp_path):
    target = "/other/pods/u/volumes/kubernetes.io~csi/v/mount"
    ask = node("NodePublishVolume", volume_id="v", target_path=target, volume_capability=MOUNT)
    assert call(tmp_path, ask) == ["INTERNAL"]


def test_every_call_leaves_a_trace_without_secrets(tmp_path, capfd):
    from jfsnb.driver.trace.csi_trace import parse_trace

    wish = {"name": "v", "volume_capabilities": [MOUNT], "secrets": {"metaurl": "redis://:pw@h"}}
    call(tmp_path, controller("CreateVolume", **wish), controller("DeleteVolume"), identity("Probe"))
    log = capfd.readouterr().err
    made, refused = parse_trace(log.splitlines())
    assert (made.service, made.name, made.caller, made.volume_id) == ("Controller", "CreateVolume", "tests", "v")
    assert made.response["volume"]["volume_id"] == "v"
    assert (refused.error_code, refused.error) == ("InvalidArgument", "Volume ID not provided")
    assert refused.response is None
    assert "pw" not in log
    assert '"GRPC error" err="rpc error: code = InvalidArgument desc = Volume ID not provided" logger="driver"' in log


def test_two_calls_for_one_target_do_not_meet(tmp_path):
    class Slow(Nothing):
        async def unpublish(self, _volume_id, _target):
            self.busy.set()
            await self.done.wait()

    async def scenario():
        slow = Slow()
        slow.busy, slow.done = asyncio.Event(), asyncio.Event()
        service = NodeService("node-1", Nothing(), slow, "/var/lib/kubelet")
        request = proto.NodeUnpublishVolumeRequest(volume_id="v", target_path="/t")
        first = asyncio.ensure_future(service.NodeUnpublishVolume(request))
        await slow.busy.wait()
        with pytest.raises(proto.CsiError) as refused:
            await service.NodeUnpublishVolume(request)
        slow.done.set()
        await first
        return refused.value

    error = asyncio.run(scenario())
    assert error.code is grpc.StatusCode.ABORTED
    assert error.message == "volume v target /t operation is already in progress, try again later"
