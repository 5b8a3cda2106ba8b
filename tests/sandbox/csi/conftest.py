"""The sandbox for all end-to-end tests of the driver; each test leaves it as it found it."""

import pytest

from .world import NAMESPACE, World


@pytest.fixture(scope="session")
def running_world(sandbox):
    world = World(sandbox.kubeconfig)
    world.running("juicefs-csi-controller-0")  # its init container formats the file system
    return world


@pytest.fixture
def world(running_world):
    before = running_world.config()
    yield running_world
    for pod in running_world.core.list_namespaced_pod(NAMESPACE).items:
        if pod.metadata.name.startswith("app-"):
            running_world.delete(pod.metadata.name, wait=False)
    for pod in running_world.core.list_namespaced_pod(NAMESPACE).items:
        if pod.metadata.name.startswith("app-"):
            running_world.gone(pod.metadata.name)
    for mount_pod in running_world.mount_pods():
        running_world.gone(mount_pod.name)
    if running_world.config() != before:
        running_world.configure(before)
