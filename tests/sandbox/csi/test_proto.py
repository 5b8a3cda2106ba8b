"""CSI messages and services: the wire format against bytes written down by hand, calls over a real unix socket."""

import asyncio

import grpc
import pytest

from jfsnb.sandbox.proto import messages as proto


def test_fields_have_the_numbers_of_the_specification():
    request = proto.NodePublishVolumeRequest(
        volume_id="v", target_path="t", readonly=True, secrets={"k": "x"}, volume_context={"c": "y"}
    )
    wire = b"\x0a\x01v" + b"\x22\x01t" + b"\x30\x01" + b"\x3a\x06\x0a\x01k\x12\x01x" + b"\x42\x06\x0a\x01c\x12\x01y"
    assert request.SerializeToString(deterministic=True) == wire


def test_one_of_access_type_keeps_the_last():
    capability = proto.VolumeCapability(block={}, access_mode={"mode": "MULTI_NODE_MULTI_WRITER"})
    capability.mount.fs_type = "juicefs"
    assert capability.WhichOneof("access_type") == "mount"
    assert capability.SerializeToString() == b"\x12\x09\x0a\x07juicefs\x1a\x02\x08\x05"


def test_every_method_has_its_messages():
    assert sum(len(methods) for methods in proto.SERVICES.values()) == 3 + 15 + 8 + 2


def test_logs_do_not_show_secrets():
    request = proto.CreateVolumeRequest(name="n", secrets={"metaurl": "redis://:pw@h"})
    assert "pw" not in str(proto.secret_free(request))


class Half:
    async def NodeGetInfo(self, _request):
        return proto.NodeGetInfoResponse(node_id="node-1")

    async def NodePublishVolume(self, _request):
        raise proto.CsiError(grpc.StatusCode.ABORTED, "busy")

    async def NodeUnpublishVolume(self, _request):
        raise ValueError("broken")


@pytest.mark.parametrize(
    ("method", "code"),
    [("NodePublishVolume", "ABORTED"), ("NodeUnpublishVolume", "INTERNAL"), ("NodeStageVolume", "UNIMPLEMENTED")],
)
def test_errors_reach_the_caller_as_status_codes(tmp_path, method, code):
    async def scenario():
        server = grpc.aio.server()
        proto.add_service(server, "csi.v1.Node", Half())
        server.add_insecure_port(f"unix:{tmp_path}/s")
        await server.start()
        async with proto.unix_channel(f"{tmp_path}/s") as channel:
            node = proto.stub(channel, "csi.v1.Node")
            assert (await node.NodeGetInfo(proto.NodeGetInfoRequest())).node_id == "node-1"
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await getattr(node, method)(proto.SERVICES["csi.v1.Node"][method][0]())
        await server.stop(0)
        return refused.value.code().name

    assert asyncio.run(scenario()) == code
