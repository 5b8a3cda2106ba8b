"""What scheduler, kubelet, runtime and registry say about a Pod that does not come up."""

from __future__ import annotations

from dataclasses import replace

from jfsnb.checks.diagnosis.symptoms.table import table

PULL = table(
    (
        r"toomanyrequests|rate limit|429",
        "the registry limits how often it is asked",
        "Use a mirror, or pull with credentials that may pull more.",
    ),
    (
        r"unauthorized|authentication required|denied|no basic auth|403|insufficient_scope|401",
        "the registry refuses the node's credentials, or has no such repository",
        "Give it imagePullSecrets (Mount Pods inherit those of the CSI node DaemonSet); check the image's name.",
    ),
    (
        r"no match for platform|no matching manifest|exec format",
        "there is no image for this node's architecture",
        "Push a multi-architecture image.",
    ),
    (
        r"x509|certificate|tls:|http: server gave HTTP response to HTTPS client",
        "the node does not trust the registry's certificate, or it has none",
        "Install the registry's CA on the node, or allow it as an insecure registry.",
    ),
    (r"no space left on device|disk quota", "the node's disk is full", "Make room on the node."),
    (
        r"timeout|i/o timeout|deadline exceeded|connection refused|no route|no such host|dial tcp|connection reset|EOF",
        "the node cannot reach the registry",
        "Check DNS, proxy and firewall of the node.",
    ),
    (
        r"invalid reference|couldn't parse image|InvalidImageName|must be lowercase",
        "the image reference is malformed",
        "Correct it: a Mount Pod's is ceMountImage.",
    ),
    (
        r"ErrImageNeverPull|Never pull",
        "the node does not have the image, and imagePullPolicy: Never forbids to pull it",
        "Load the image on the node, or set another imagePullPolicy.",
    ),
    (
        r"not found|manifest unknown|does not exist|NotFound",
        "there is no such image or tag",
        "Correct name and tag (a Mount Pod's: ceMountImage), or push the image.",
    ),
)
SCHEDULE = table(
    (
        r"persistentvolumeclaims? .* not found",
        "a claim that it names does not exist",
        "Make the claim in the Pod's namespace, or correct its name.",
    ),
    (
        r"unbound immediate PersistentVolumeClaims?|unbound PersistentVolumeClaims?",
        "a claim of it is not bound",
        "Look at the claim: the reason stands there.",
    ),
    (
        r"volume node affinity conflict",
        "its volume may only be used on other nodes",
        "Look at the PV's nodeAffinity, and at other volumes of the Pod.",
    ),
    (
        r"Insufficient ([\w./-]+)",
        "the nodes have not enough left of what it asks for",
        "Ask for less, or make room; of a Mount Pod: resources in config.yaml.",
    ),
    (r"Too many pods", "the node is full: it takes no more Pods", "Move Pods away, or raise maxPods."),
    (
        r"untolerated taint|had taint",
        "the node has a taint that the Pod does not tolerate",
        "Add the toleration (for Mount Pods: tolerations of the CSI node DaemonSet, which they inherit).",
    ),
    (r"were unschedulable", "the node is cordoned", "kubectl uncordon it when its maintenance is over."),
    (
        r"didn't have free ports",
        "another Pod of the node has its host port",
        "Use another port, or do without hostNetwork.",
    ),
    (
        r"didn't match Pod's node affinity|node selector|didn't match pod affinity|anti-affinity|topology spread",
        "no node matches the Pod's nodeSelector or affinity",
        "Correct the selector, or label the node.",
    ),
    (r"SchedulingGated", "a scheduling gate holds it back", "Look who set spec.schedulingGates, and who removes it."),
)
_NO_ROOM = table(
    (
        r"OutOf(cpu|memory|pods)|Insufficient|to reclaim resources|resource rejection",
        "the node has no room for it",
        "Ask for less in config.yaml (resources), or make room on the node.",
    ),
    code="JFS-MNT-111",
)
ADMIT = _NO_ROOM + table(
    (
        r"The node was low on resource: ([\w-]+)|Evicted|The node had condition",
        "the kubelet evicted it: the node ran short of a resource",
        "Make room on the node; give the Mount Pod requests and a priority.",
    ),
    (
        r"Preempt",
        "it made room for a Pod of higher priority",
        "Give it a priority class, or the node more room.",
    ),
    (
        r"NodeAffinity|TopologyAffinity|UnexpectedAdmissionError|NodeLost|Shutdown|imminent node shutdown",
        "the kubelet did not admit it, or the node went down",
        "Look at the node.",
    ),
    (r"DeadlineExceeded", "its activeDeadlineSeconds are over", "Look at what it waited for."),
)
VOLUMES = table(
    (
        r"updatedb.*read-only file system|/etc/updatedb\.conf",
        "the node's /etc cannot be written (immutable system), and the driver mounts updatedb.conf from there",
        "Set env JUICEFS_IMMUTABLE=true on the CSI node DaemonSet.",
    ),
    (
        r"Multi-Attach error",
        "a volume of it can be attached to one node or Pod only, and another has it",
        "Use an emptyDir, an Ephemeral cache or a claim for each node instead of one ReadWriteOnce claim.",
    ),
    (
        r"persistentvolumeclaims? \"?\S+\"? not found|unbound|claim .* (not found|is not bound)",
        "a claim that it mounts does not exist or is not bound",
        "Correct cacheDirs or volumes in config.yaml, or make the claim in the driver's namespace.",
    ),
    (
        r"secrets? \"?\S+\"? not found|references non-existent secret",
        "a Secret that it mounts does not exist",
        "Make the Secret in its namespace, or correct the name.",
    ),
    (
        r"configmaps? \"?\S+\"? not found|references non-existent config",
        "a ConfigMap that it mounts does not exist",
        "Make the ConfigMap in its namespace, or correct the name.",
    ),
    (
        r"hostPath type check failed|is not a (directory|file)",
        "a path on the node is not what the volume says",
        "Correct the hostPath or its type.",
    ),
    (
        r"failed to sync (configmap|secret) cache",
        "the kubelet has not got the object yet",
        "Wait; look at the kubelet when it stays.",
    ),
)
CREATE = table(
    (
        r"no IP addresses available|no available IP|failed to allocate (for range|address)|IP pool.*exhausted",
        "the node has no addresses left for Pods",
        "Enlarge the Pod network's range, or remove what leaks addresses.",
    ),
    (
        r"cni (config|plugin)|network plugin|NetworkPlugin|NetworkNotReady|failed to setup network|plugin type=",
        "the node's Pod network does not work",
        "Look at the CNI plugin's Pod on this node.",
    ),
    (
        r"couldn't find key (\S+) in (Secret|ConfigMap) (\S+)",
        "a key that its environment names is not in the Secret or ConfigMap",
        "Add the key, or correct env in config.yaml; a Mount Pod's Secret is made anew at the next mount.",
    ),
    (
        r"(secret|configmap) \"[^\"]+\" not found",
        "a Secret or ConfigMap that its environment names does not exist",
        "Make it in the Pod's namespace, or correct env in config.yaml.",
    ),
    (
        r"runAsNonRoot|non-root",
        "the image runs as root, and its security context forbids that",
        "A Mount Pod must run as root: correct the security context or the policy that sets it.",
    ),
    (
        r"is mounted on .* but it is not a shared|not a shared mount",
        "the node's mounts are not shared, so that mountPropagation: Bidirectional is refused",
        "mount --make-rshared / on the node.",
    ),
    (
        r"failed to reserve container name|name .* is reserved|is already in use",
        "the runtime still holds an earlier try of this container",
        "Wait; restart containerd on the node when it stays.",
    ),
    (
        r"transport endpoint is not connected|stale file handle|stale NFS",
        "a mount on the node is dead: its client has gone",
        "Re-create the Pod; umount -l the path on the node when it stays.",
    ),
    (
        r"failed to (prepare|create) subPath|subPath",
        "the subPath cannot be made or opened in the volume",
        "Look at the volume's permissions, and whether its mount is alive.",
    ),
    (
        r"no such file or directory|executable file not found|not found in \$PATH|: not found",
        "the image lacks the program that it is to run",
        "Use an image with the program (a Mount Pod: /usr/local/bin/juicefs, /bin/mount.juicefs and sh).",
    ),
    (r"permission denied|operation not permitted", "the runtime may not start it", "Look at its security context."),
    (r"no space left on device", "the node's disk is full", "Make room on the node."),
    (r"too many open files|inotify", "a limit of the node is reached: open files", "Raise fs.inotify and file limits."),
    (r"cgroup|create shim|OCI runtime|sandbox", "the node's runtime fails", "Look at containerd's log there."),
    (r"PostStartHook", "its postStart command fails", "Look at lifecycle in config.yaml or in the Pod."),
)
#: What is known of a Mount Pod that is not there yet, each under the code that it belongs to.
NOT_STARTED = (*(replace(row, code="JFS-MNT-112") for row in VOLUMES), *_NO_ROOM, *CREATE)
#: Of one that is not scheduled: what is said about its own volumes comes first.
NOT_SCHEDULED = (*(replace(row, code="JFS-MNT-112") for row in SCHEDULE[:3]), *SCHEDULE[3:])
