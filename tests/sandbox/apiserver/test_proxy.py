"""Logs, exec and port-forward reach the node of a Pod: a pretended kubelet answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading

import pytest
from aiohttp import ClientSession, WSMsgType, web
from api_harness import need_kubectl

from jfsnb.sandbox.pki import issue
from jfsnb.sandbox.streams.spdy_forward import PROTOCOL, SpdyForward


class PretendKubelet:
    """Answers as a kubelet does, in a thread; wants the API server's certificate."""

    def __init__(self, state):
        certificate, key = issue(state, "node", "system:node:n", ips=["127.0.0.1"])
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(state / "pki/ca.crt"))
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.load_cert_chain(certificate, key)
        self.seen = []
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self._run(),))

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)

    async def _run(self):
        self.stop = asyncio.Event()
        app = web.Application()
        app.router.add_get("/containerLogs/{ns}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{ns}/{pod}/{container}", self._exec)
        app.router.add_get("/portForward/{ns}/{pod}", self._forward)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = runner.addresses[0][1]
        self.started.set()
        await self.stop.wait()
        await runner.cleanup()

    async def _logs(self, request):
        self.seen.append((request.match_info["container"], dict(request.query)))
        if request.match_info["container"] == "waiting":
            return web.Response(
                status=400, text='container "waiting" in pod "p" is waiting to start: ContainerCreating'
            )
        return web.Response(text="one\ntwo\n")

    async def _exec(self, request):
        client = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await client.prepare(request)
        self.seen.append(request.query.getall("command"))
        async for message in client:
            if message.type == WSMsgType.BINARY:
                await client.send_bytes(b"\x01" + message.data[1:].upper())
                await client.send_bytes(b"\x03" + b'{"status":"Success"}')
                await client.close()
        return client

    async def _forward(self, request):
        """As the kubelet does it; the Pod's address is this machine."""
        client = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=0)
        await client.prepare(request)
        await SpdyForward(client, ["127.0.0.1"]).run()
        return client


class Capitals(socketserver.BaseRequestHandler):
    """A program in the Pod: sends back what it gets, in capitals."""

    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data.upper())


@pytest.fixture
def program():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Capitals) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def kubelet(api):
    with PretendKubelet(api.state) as running:
        yield running


@pytest.fixture
def pods(http, ns, kubelet):
    """The path of Pods whose node is the pretended one; there is a Pod p."""
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
    }
    http.post("/api/v1/nodes", {"metadata": {"name": "n"}, "status": status})
    path = f"/api/v1/namespaces/{ns}/pods"
    containers = [{"name": "c", "image": "x"}]
    http.post(path, {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": containers}})
    http.patch("merge", path + "/p/status", {"status": {"phase": "Running"}})
    return path


def test_logs(http, pods, kubelet):
    answer = http.get(pods + "/p/log", tailLines="2", follow="true")
    assert answer.text == "one\ntwo\n" and answer.headers["content-type"].startswith("text/plain")
    assert kubelet.seen[-1] == ("c", {"tailLines": "2", "follow": "true"})
    assert http.get(pods + "/p/log", tailLines="x").status_code == 400


def test_log_refusals(http, pods):
    body = http.get(pods + "/p/log", container="nope").json()
    assert (body["reason"], body["message"]) == ("BadRequest", "container nope is not valid for pod p")
    two = [{"name": "waiting", "image": "x"}, {"name": "b", "image": "x"}]
    http.post(pods, {"metadata": {"name": "q"}, "spec": {"nodeName": "n", "containers": two}})
    body = http.get(pods + "/q/log").json()
    assert body["message"] == "a container name must be specified for pod q, choose one of: [waiting b]"
    body = http.get(pods + "/q/log", container="waiting").json()
    assert body["code"] == 400 and body["message"].endswith("is waiting to start: ContainerCreating")
    http.post(pods, {"metadata": {"name": "r"}, "spec": {"containers": two[:1]}})
    answer = http.get(pods + "/r/log")
    assert (answer.status_code, answer.text) == (204, "")  # not scheduled


def test_a_node_that_does_not_answer(http, pods):
    spec = {"nodeName": "gone", "containers": [{"name": "c", "image": "x"}]}
    http.post(pods, {"metadata": {"name": "lost"}, "spec": spec})
    body = http.get(pods + "/lost/log").json()
    assert body["code"] == 503 and "connection refused" in body["message"]


def test_exec_carries_frames_both_ways(api, pods, kubelet):
    async def run():
        tls = ssl.create_default_context(cafile=str(api.state / "pki/ca.crt"))
        url = api.server.replace("https", "wss") + pods + "/p/exec?command=echo&command=a%20b&stdin=true"
        headers = {"Authorization": "Bearer admin-token"}
        offered = ("v5.channel.k8s.io", "v4.channel.k8s.io")
        async with ClientSession(headers=headers) as session:
            async with session.ws_connect(url, ssl=tls, protocols=offered) as socket:
                assert socket.protocol == "v4.channel.k8s.io"
                await socket.send_bytes(b"\x00hello")
                return [message.data async for message in socket]

    assert asyncio.run(run()) == [b"\x01HELLO", b'\x03{"status":"Success"}']
    assert kubelet.seen[-1] == ["echo", "a b"]


def test_exec_without_upgrade(http, pods):
    assert http.get(pods + "/p/exec", command="x").status_code == 400


@contextlib.contextmanager
def forwarding(http, pods, port):
    need_kubectl()
    namespace = pods.split("/")[4]
    command = ["kubectl", "--kubeconfig", str(http.api.kubeconfig), "-n", namespace, "port-forward", "p", f":{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        yield int(line.split(":")[1].split()[0]), process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_kubectl_port_forward(http, pods, program):
    with forwarding(http, pods, program) as (port, _):
        connections = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(3)]
        for number, connection in enumerate(connections):
            connection.settimeout(10)
            connection.sendall(f"hello {number}".encode())
        assert [c.recv(100) for c in connections] == [b"HELLO 0", b"HELLO 1", b"HELLO 2"]
        large = b"x" * 300_000
        connections[0].sendall(large)
        received = b""
        while len(received) < len(large):
            received += connections[0].recv(65536)
        assert received == large.upper()
        for connection in connections:
            connection.close()


def test_kubectl_port_forward_to_a_closed_port(http, pods):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
    with forwarding(http, pods, nobody) as (port, process):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.settimeout(10)
            connection.sendall(b"x")
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(10) == b""
        assert f"error forwarding port {nobody}" in process.stderr.readline()
