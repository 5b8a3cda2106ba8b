"""The /etc/hosts that the kubelet writes for a Pod."""

from __future__ import annotations

from jfsnb.sandbox.apimachinery.client import Obj

HEAD = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
"""


def hosts_file(pod: Obj, hostname: str, ip: str) -> str:
    """localhost, the Pod's own name, and its hostAliases."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    names = hostname
    if spec.get("subdomain"):
        names = f"{hostname}.{spec['subdomain']}.{namespace}.svc.cluster.local\t{hostname}"
    aliases = spec.get("hostAliases") or ()
    lines = [f"{a['ip']}\t" + "\t".join(a.get("hostnames") or ()) for a in aliases]
    more = "\n# Entries added by HostAliases.\n" + "\n".join(lines) + "\n" if lines else ""
    return f"{HEAD}{ip}\t{names}\n{more}"
