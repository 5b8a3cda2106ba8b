"""CSI v1 and the kubelet's plugin registration over gRPC: message classes, servers and client stubs.

Own code, because no installable package carries CSI's messages: they are built here from the tables in fields.py.

    from jfsnb.sandbox.proto import messages as proto
    request = proto.NodePublishVolumeRequest(volume_id="pv-1", target_path="/...")   # any message of csi.v1
    info = proto.registration.PluginInfo(type="CSIPlugin", name="csi.juicefs.com")
    node = proto.stub(channel, "csi.v1.Node")
    await node.NodePublishVolume(request, timeout=120)                               # raises grpc.aio.AioRpcError
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    timestamp_pb2,  # noqa: F401  registers google.protobuf.Timestamp
    wrappers_pb2,  # noqa: F401  registers google.protobuf.BoolValue
)
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from jfsnb.sandbox.proto import fields

STRIPPED, TOKENS = "***stripped***", "csi.storage.k8s.io/serviceAccount.tokens"
Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {"string": Field.TYPE_STRING, "bool": Field.TYPE_BOOL, "int32": Field.TYPE_INT32, "int64": Field.TYPE_INT64}


class CsiError(Exception):
    """What a service method raises to answer with a gRPC status.

    Args:
        code: gRPC status code.
        message: the status text, as the caller reads it after ``desc =``.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


# ---------------------------------------------------------------- messages


def _table(text: str) -> list[tuple[str, list[str]]]:
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    return [(words[0], words[1:]) for words in lines]


def _build(package: str, messages: str, enums: str = "") -> dict[str, type[Message]]:
    """The message classes of one package, by name (nested ones are attributes of their parents)."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"jfsnb/{package}.proto",
        package=package,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto", "google/protobuf/timestamp.proto"],
    )
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    rows, enum_rows = _table(messages), _table(enums)
    enum_names = {name for name, _ in enum_rows}
    for name, _ in sorted(rows, key=lambda row: row[0].count(".")):
        parent, _, own = name.rpartition(".")
        made[name] = (made[parent].nested_type if parent else file.message_type).add(name=own)
    for name, values in enum_rows:
        parent, _, own = name.rpartition(".")
        enum = made[parent].enum_type.add(name=own)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, columns in rows:
        for column in columns:
            _add_field(made[name], f".{package}.{name}", package, column, enum_names)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name, _ in rows
        if "." not in name
    }


def _add_field(
    message: descriptor_pb2.DescriptorProto, full_name: str, package: str, column: str, enums: set[str]
) -> None:
    name, _, rest = column.partition(":")
    kind, _, rest = rest.partition("=")
    number, _, oneof = rest.partition("|")
    field = message.field.add(name=name, number=int(number))
    repeated, kind = kind.startswith("*") or kind == "map", kind.removeprefix("*")
    field.label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
    if kind in SCALARS:
        field.type = SCALARS[kind]
    elif kind == "map":
        field.type, field.type_name = Field.TYPE_MESSAGE, f"{full_name}.{_add_map_entry(message, name)}"
    else:
        field.type = Field.TYPE_ENUM if kind in enums else Field.TYPE_MESSAGE
        field.type_name = f".{kind}" if kind.startswith("google.") else f".{package}.{kind}"
    if oneof:
        if not any(o.name == oneof for o in message.oneof_decl):
            message.oneof_decl.add(name=oneof)
        field.oneof_index = [o.name for o in message.oneof_decl].index(oneof)


def _add_map_entry(message: descriptor_pb2.DescriptorProto, field: str) -> str:
    """A map is a repeated nested message with key 1 and value 2, named after the field."""
    name = "".join(part.capitalize() for part in field.split("_")) + "Entry"
    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    for number, part in enumerate(("key", "value"), start=1):
        entry.field.add(name=part, number=number, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    return name


_CSI = _build(fields.CSI_PACKAGE, fields.CSI_MESSAGES, fields.CSI_ENUMS)
registration: Any = SimpleNamespace(**_build(fields.REGISTRATION_PACKAGE, fields.REGISTRATION_MESSAGES))


def __getattr__(name: str) -> Any:
    """``proto.<Message>``: the message classes of csi.v1."""
    try:
        return _CSI[name]
    except KeyError:
        raise AttributeError(f"csi.v1 has no message {name}") from None


# ---------------------------------------------------------------- services

SERVICES: Mapping[str, Mapping[str, tuple[type[Message], type[Message]]]] = {
    **{
        service: {m: (_CSI[f"{m}Request"], _CSI[f"{m}Response"]) for m in methods.split()}
        for service, methods in fields.METHODS.items()
    },
    f"{fields.REGISTRATION_PACKAGE}.Registration": {
        m: (getattr(registration, request), getattr(registration, response))
        for m, (request, response) in fields.REGISTRATION_METHODS.items()
    },
}

Method = Callable[[Any], Awaitable[Message]]
Around = Callable[[str, Message, "grpc.aio.ServicerContext", Method], Awaitable[Message]]


async def _plain(method: str, request: Message, context: grpc.aio.ServicerContext, call: Method) -> Message:
    return await call(request)


def add_service(server: grpc.aio.Server, service: str, implementation: object, around: Around = _plain) -> None:
    """Serve ``implementation``'s methods as ``service``; methods that it does not have answer UNIMPLEMENTED.

    Args:
        server: a ``grpc.aio.server()``.
        service: a key of SERVICES, for example ``csi.v1.Node``.
        implementation: has ``async def <Method>(self, request) -> response`` for what it offers; may raise CsiError.
        around: called as ``around("/csi.v1.Node/NodePublishVolume", request, context, method)`` for every call; traces.
    """
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _handler(f"/{service}/{name}", getattr(implementation, name, None) or _unimplemented(name), around),
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for name, (request, _) in SERVICES[service].items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


def _unimplemented(name: str) -> Method:
    async def refuse(_request: Message) -> Message:
        raise CsiError(grpc.StatusCode.UNIMPLEMENTED, f"method {name} not implemented")

    return refuse


def _handler(path: str, call: Method, around: Around) -> Callable[[Message, Any], Awaitable[Message]]:
    async def serve(request: Message, context: grpc.aio.ServicerContext) -> Message:
        try:
            return await around(path, request, context, call)
        except CsiError as error:
            await context.abort(error.code, error.message)
        except asyncio.CancelledError:
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
        raise AssertionError("abort raises")

    return serve


def stub(channel: grpc.aio.Channel, service: str) -> Any:
    """A client: one coroutine function a method, ``await stub.<Method>(request, timeout=seconds)``."""
    return SimpleNamespace(
        **{
            name: channel.unary_unary(
                f"/{service}/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            for name, (_, response) in SERVICES[service].items()
        }
    )


def unix_channel(path: str, caller: str = "") -> grpc.aio.Channel:
    """A channel to a unix socket; HTTP proxies of the environment do not apply.

    Args:
        path: at most 107 bytes.
        caller: who calls, for the driver's trace: the first word of the user agent, for example ``kubelet``.
    """
    options: list[tuple[str, Any]] = [("grpc.enable_http_proxy", 0), ("grpc.default_authority", "localhost")]
    if caller:
        options.append(("grpc.primary_user_agent", caller))
    return grpc.aio.insecure_channel(f"unix:{path}", options=options)


def code_name(code: grpc.StatusCode) -> str:
    """A status code as Go prints it: ``InvalidArgument``."""
    return "".join(word.capitalize() for word in code.name.split("_"))


def secret_free(message: Message) -> dict[str, Any]:
    """A message as a plain dict for logs, with secrets and service account tokens struck out."""
    plain: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    if "secrets" in plain:
        plain["secrets"] = STRIPPED
    if TOKENS in plain.get("volume_context", {}):
        plain["volume_context"][TOKENS] = STRIPPED
    return plain
