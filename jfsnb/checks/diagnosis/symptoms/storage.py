"""What clients say about their metadata engine, object storage and options (reference §6)."""

from __future__ import annotations

from jfsnb.checks.diagnosis.symptoms.table import table

BACKEND = table(
    (r"exec format error", "the image is of another architecture than the node", "Build the image for this node."),
    (
        r"(mount\.juicefs|juicefs): (not found|No such file)|command not found|exec: \S*juicefs\S* not found",
        "the image lacks the client, or has the other edition's",
        "Use an image with /usr/local/bin/juicefs and /bin/mount.juicefs.",
    ),
    (
        r"Configuration file: .* (not exist|does not exist)",
        "without metaurl the driver takes the volume for one of the enterprise edition, and that was never authorised",
        "Give the volume's Secret its metaurl (community edition), or name and token (enterprise edition).",
    ),
    (
        r"NOAUTH|WRONGPASS|invalid password|invalid username-password|Access denied for user|"
        r"password authentication failed|SASL|ERR AUTH|authentication failed",
        "the metadata engine refuses user or password",
        "Correct metaurl in the volume's Secret.",
    ),
    (
        r'parse "[^"]*": invalid port|invalid (userinfo|URL escape)|first path segment in URL|invalid char.* in host',
        "metaurl cannot be read as an address",
        "Correct metaurl: MySQL's server stands in brackets, @(host:port)/; escape special characters of a password.",
    ),
    (
        r"Invalid meta driver|unknown meta|meta driver",
        "the client was built without this kind of metadata engine",
        "Use a client that has it, or another engine.",
    ),
    (
        r"cannot update (volume |file ?system )?\w+ from|existed? but different|can'?t be changed|cannot change",
        "the file system was formatted with other settings than the volume's Secret says",
        "Make name, storage and bucket in the Secret those of the file system.",
    ),
    (
        r"Storage .* is not empty|database .* is not empty",
        "the bucket holds files of another file system",
        "Give the file system a bucket or prefix of its own.",
    ),
    (
        r"database is not formatted|not formatted|please format it",
        "the file system was never formatted",
        "Look at the format line at the beginning of the Mount Pod's log.",
    ),
    (r"invalid name|name of .*volume.* should", "the name in the Secret is no valid file system name", "Correct name."),
    (
        r"passphrase|decrypt|private key",
        "the key of the encrypted file system or its passphrase is missing or wrong",
        "Correct encrypt_rsa_key and envs (JFS_RSA_PASSPHRASE) in the volume's Secret.",
    ),
    (
        r"AccessDenied|InvalidAccessKey|SignatureDoesNotMatch|403 Forbidden|AuthorizationHeaderMalformed",
        "the object storage refuses the credentials",
        "Correct the keys in the volume's Secret.",
    ),
    (r"NoSuchBucket|bucket .* (not|doesn't) exist", "the bucket does not exist", "Make it, or correct bucket."),
    (r"x509|certificate|tls:", "a certificate is not trusted or not valid", "Give the client the right CA."),
    (
        r"(client|version).* (too old|is not supported)|minimal version|MinClientVersion|upgrade to version",
        "the file system asks for a newer client",
        "Use a newer image, or lower the file system's min-client-version (juicefs config).",
    ),
    (
        r"invalid token|auth(orization)? failed|Authorize failed|volume .* not found in|is not authorized",
        "the console of the enterprise edition refuses the volume's token",
        "Correct name and token in the volume's Secret.",
    ),
    (
        r"Meta is not available|dial tcp|(?<!sock: connect: )connection refused|no such host|i/o timeout|"
        r"unable to open|network is unreachable|"
        r"no route to host|connection reset|broken pipe|EOF$|server misbehaving|juicefs status 16s timed out",
        "the metadata engine or the object storage cannot be reached",
        "Check the addresses in the volume's Secret from the node.",
    ),
    (
        r"flag provided but not defined|unknown option|invalid mount option|No help topic|invalid value .* for flag",
        "the client does not know a mount option, or not its value",
        "Correct mountOptions; old clients know fewer.",
    ),
    (
        r"/dev/fuse|fuse: device not found|modprobe fuse|fusermount: ",
        "the container cannot use FUSE",
        "Check that the node has the fuse module, and that the Mount Pod is privileged.",
    ),
    (
        r"no space left on device|disk quota exceeded",
        "a disk is full",
        "Make room on the node (cache directory, /var), or lower cache-size.",
    ),
    (
        r"cannot allocate memory|out of memory|OOM command not allowed|used memory > 'maxmemory'",
        "memory has run out, on the node or in the metadata engine",
        "Raise the limit, or give the metadata engine more memory.",
    ),
    (
        r"too many open files|resource temporarily unavailable|pids? limit",
        "a limit of the node is reached: files, processes or threads",
        "Raise it, or look for what uses so many.",
    ),
    (
        r"address already in use|bind: ",
        "the port of the metrics is taken, as with hostNetwork",
        "Give each Mount Pod of a node another metrics port, or do without hostNetwork.",
    ),
    (
        r"READONLY You can't write|read-only (transaction|replica)|MISCONF",
        "the metadata engine does not take writes",
        "Point metaurl to the primary; look at the engine's own log.",
    ),
    (
        r"transport endpoint is not connected",
        "a mount on the node is dead: its client has gone",
        "Re-create the app Pods that used it; look why the Mount Pod was restarted.",
    ),
    (
        r"shared mount|not a shared|mount propagation",
        "the node's mounts are not shared, so what a container mounts is not seen outside it",
        "Make them shared: mount --make-rshared / on the node (systemd does; some distributions do not).",
    ),
)
