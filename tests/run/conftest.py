"""Runs against the sandbox."""

from dataclasses import replace

import pytest

from jfsnb.cluster.connect import connect
from jfsnb.run import background, deploy, patch, verify
from jfsnb.run.rollback import rollback
from jfsnb.run.state import open_run
from jfsnb.settings import Settings

NAMESPACE, CONFIG_MAP = "juicefs-system", "juicefs-csi-driver-config"
STORY = (
    *(background.preflight, background.baseline, background.csi_calls, background.served_by),
    *(patch.plan, patch.apply, patch.wait_in_force),
    *(deploy.prepare, deploy.smoke, deploy.side_by_side),
    *(verify.chain, verify.client, verify.data, verify.shutdown, verify.restore, verify.verdict),
)


@pytest.fixture(scope="session")
def cluster(sandbox):
    return connect(kubeconfig=str(sandbox.kubeconfig), context=sandbox.context)


class World:
    """What a run could leave behind, to be compared before and after."""

    def __init__(self, cluster, outputs):
        self.cluster, self.outputs = cluster, outputs
        self.before = self.look()

    def look(self):
        def names(plural, namespace="", **selector):
            return sorted(o["metadata"]["name"] for o in self.cluster.list(plural, namespace, **selector))

        def owners(pod):
            return {owner["kind"] for owner in pod["metadata"].get("ownerReferences") or ()}

        pods = self.cluster.list("pods", NAMESPACE)
        config_map = self.cluster.get("configmaps", NAMESPACE, CONFIG_MAP)
        csi = self.cluster.list("pods", NAMESPACE, labels="app=juicefs-csi-node")
        return {
            # the driver's Jobs stay for a few seconds after their work
            "pods": sorted(p["metadata"]["name"] for p in pods if "Job" not in owners(p)),
            "config": config_map["data"],
            "notes": config_map["metadata"].get("annotations"),
            "config maps": names("configmaps", NAMESPACE),
            "claims": names("persistentvolumeclaims", NAMESPACE),
            "volumes": names("persistentvolumes"),
            "csi annotations": {p["metadata"]["name"]: p["metadata"].get("annotations") for p in csi},
        }

    @property
    def config(self):
        return self.cluster.get("configmaps", NAMESPACE, CONFIG_MAP)["data"]["config.yaml"]

    @config.setter
    def config(self, text):
        """Somebody else's edit; returns once the driver has it, as an hour later."""
        (csi,) = [
            p["metadata"]["name"]
            for p in self.cluster.list("pods", NAMESPACE, labels="app=juicefs-csi-node")
            if "sandbox.jfsnb.io/recorded" not in (p["metadata"].get("annotations") or {})
        ]
        mark = self.cluster.log_mark(NAMESPACE, csi, "juicefs-plugin")
        self.cluster.patch("configmaps", NAMESPACE, CONFIG_MAP, {"data": {"config.yaml": text}})
        for value in ("now", None):
            self.cluster.patch("pods", NAMESPACE, csi, {"metadata": {"annotations": {"somebody/else": value}}})
        for line in self.cluster.follow(NAMESPACE, csi, "juicefs-plugin", seconds=20, after=mark):
            if "reload config" in line:
                return
        raise AssertionError("the driver never saw the edit")

    def run(self, **parameters):
        settings = Settings.from_mapping({"timeout": 40, **parameters})
        self.told = []
        return open_run(replace(settings, outputs=self.outputs), self.cluster, self.told.append)

    def tell(self, run, until=None):
        """The story from its beginning, up to (not including) a part; what each part found, by name."""
        found = {}
        for function in STORY:
            if function is until:
                break
            found[function.__name__] = function(run)
        return found


@pytest.fixture
def world(cluster, tmp_path):
    """The cluster; a test that leaves anything behind in it fails."""
    found = World(cluster, tmp_path)
    yield found
    for folder in tmp_path.iterdir():
        rollback(cluster, folder.name, tmp_path)
    for pod in cluster.list("pods", NAMESPACE, labels="app.kubernetes.io/name=juicefs-mount"):
        if "sandbox.jfsnb.io/recorded" not in pod["metadata"]["annotations"]:  # nobody uses it any more
            cluster.wait_gone("pods", NAMESPACE, pod["metadata"]["name"], 30)
    assert found.look() == found.before
