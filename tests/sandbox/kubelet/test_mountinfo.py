from jfsnb.sandbox.runtime.mountinfo import parse


def test_all_fields_and_escapes():
    text = (
        "49 63 0:40 / /var/lib/juicefs/volume/a\\040b rw,relatime shared:3 master:4 - "
        "fuse.juicefs JuiceFS:my\\134fs rw,allow_other\n"
        "22 27 0:21 / /proc rw - proc proc rw\n"
    )
    fuse, proc = parse(text)
    assert (fuse.mount_id, fuse.parent_id, fuse.root) == (49, 63, "/")
    assert fuse.mount_point == "/var/lib/juicefs/volume/a b"
    assert fuse.propagation == ("shared:3", "master:4")
    assert (fuse.fstype, fuse.source, fuse.super_options) == ("fuse.juicefs", "JuiceFS:my\\fs", ("rw", "allow_other"))
    assert proc.options == ("rw",) and proc.propagation == ()
