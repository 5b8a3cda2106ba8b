"""What each namespace gets by itself: the service account ``default`` and the cluster's CA certificate."""

from __future__ import annotations

from jfsnb.sandbox.apimachinery.client import ApiError
from jfsnb.sandbox.controllers.cluster import Cluster
from jfsnb.sandbox.controllers.controller import Controller
from jfsnb.sandbox.controllers.objects import Key, Obj, deleting

ROOT_CA = "kube-root-ca.crt"
ABOUT_ROOT_CA = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints."


class NamespaceDefaults(Controller):
    component = "serviceaccount-controller"

    def __init__(self, cluster: Cluster, ca_certificate: str) -> None:
        super().__init__(cluster)
        self._ca = ca_certificate
        self.watch("namespaces")
        self.watch("serviceaccounts", self._of_default)
        self.watch("configmaps", self._of_root_ca)

    def _of_default(self, account: Obj) -> Key | None:
        return ("", account["metadata"]["namespace"]) if account["metadata"]["name"] == "default" else None

    def _of_root_ca(self, config_map: Obj) -> Key | None:
        return ("", config_map["metadata"]["namespace"]) if config_map["metadata"]["name"] == ROOT_CA else None

    async def sync(self, key: Key) -> None:
        namespace, name = self.cluster.get("namespaces", key), key[1]
        if namespace is None or deleting(namespace) or (namespace.get("status") or {}).get("phase") == "Terminating":
            return
        if self.cluster.get("serviceaccounts", (name, "default")) is None:
            await self._create("serviceaccounts", {"metadata": {"name": "default", "namespace": name}})
        found, data = self.cluster.get("configmaps", (name, ROOT_CA)), {"ca.crt": self._ca}
        if found is None:
            notes = {"kubernetes.io/description": ABOUT_ROOT_CA}
            meta = {"name": ROOT_CA, "namespace": name, "annotations": notes}
            await self._create("configmaps", {"metadata": meta, "data": data})
        elif found.get("data") != data:
            await self.cluster.update("configmaps", {**found, "data": data})

    async def _create(self, plural: str, obj: Obj) -> None:
        try:
            await self.cluster.create(plural, obj)
        except ApiError as error:
            terminating = error.status in (403, 404)
            if error.status != 409 and not terminating:
                raise
