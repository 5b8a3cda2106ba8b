"""No secret is left in a text, in whatever form it stands there; and what is no secret stays.

forms.txt and harmless.txt hold one text a line, ``\\n`` for a line break.
"""

import re
import string
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jfsnb.redact import Clean, redact_lines, redact_text

SECRET = "S3cr3t9"
FORMS, HARMLESS = (
    (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines() for name in ("forms.txt", "harmless.txt")
)
IN_A_LOG, IN_A_TEXT = "I1129 10:00:00.1 7 node.go:12] got {}", "{}\nmore: 1"


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_goes(form):
    lines = form.replace("\\n", "\n")
    for text in (form, lines, IN_A_LOG.format(lines), IN_A_TEXT.format(lines)):
        shown = redact_text(text)
        assert SECRET not in shown, text
        assert "***" in shown, text
        assert redact_text(shown) == shown, "what was hidden is hidden once"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text):
    lines = text.replace("\\n", "\n")
    assert [redact_text(t) for t in (lines, f"{lines}\nmore: 1")] == [lines, f"{lines}\nmore: 1"]


#: A password: anything on one line without white space, but for what closes a string or an element.
PASSWORDS = st.text(
    string.ascii_letters + string.digits + "@'\"!#$%&()*+,-./:;<=>?[]^_`{|}~", min_size=6, max_size=20
).filter(lambda text: not re.search("[\"'>]+[,;:)}\\]]|</", text))


@settings(deadline=None)
@given(PASSWORDS)
def test_the_password_of_a_metadata_address_ends_at_the_last_at(password):
    shown = redact_text(f"mysql://user:x{password}z@(db.example:3306)/jfs")
    assert shown == "mysql://user:***@(db.example:3306)/jfs"


@settings(deadline=None)
@given(st.text(string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", ""), min_size=4, max_size=30))
def test_yaml_hides_whatever_stands_there_and_stays_yaml(value):
    value = f"z{value}z9"
    source = yaml.safe_dump({"env": [{"value": value, "name": "API_TOKEN"}], "n": 1}, sort_keys=False, width=1000)
    shown = redact_text(source)
    assert yaml.safe_load(shown) == {"env": [{"value": "***", "name": "API_TOKEN"}], "n": 1}


HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@settings(deadline=None)
@given(HEX, st.uuids(), st.from_regex(r"[a-z][a-z0-9]{0,10}(-[a-z0-9]{1,10}){0,3}", fullmatch=True))
def test_digests_uids_hashes_and_names_stay(digest, uid, name):
    text = (
        f"image: registry.example:5000/juicedata/mount:ce-v1.3.0@sha256:{digest}\nuid: {uid}\n"
        f"juicefs-hash: {digest[:63]}\nrun: 20261129-{name}\nnotebook: quay.io/jupyter/{name}@sha256:{digest}\n"
    )
    assert redact_text(text) == text
    row = {"image": f"mount@sha256:{digest}", "uid": str(uid), "hash": digest[:63], "run_id": name, "image_id": digest}
    assert {key: redact_text(value) for key, value in row.items()} == row


def test_a_private_key_over_many_lines_goes_line_by_line_too():
    lines = ["before", "-----BEGIN RSA PRIVATE KEY-----", SECRET, SECRET, "-----END RSA PRIVATE KEY-----", "after"]
    assert list(redact_lines(lines)) == ["before", "*** private key ***", "after"]


def test_a_redacted_config_yaml_keeps_every_other_byte():
    text = (
        "# who? me\npatch:\n  -  ceMountImage:  'a:b'   # why\n     env:\n     - {value: S3cr3t9, name: PW}\nx:   1\n"
    )
    assert redact_text(text) == text.replace("S3cr3t9", "'***'")


def test_the_lines_of_a_log_stay_lines():
    """A driver's log that names a Secret's keys: to YAML all of it is one plain scalar."""
    lines = [
        'I1129 10:58:29 7 node.go:226] "mounting juicefs" logger="driver" secret="[bucket metaurl name]" options=[]',
        'I1129 10:58:30 7 juicefs.go:342] "Format/Auth command" cmd="juicefs format redis://:****@h:6379/1 fs"',
    ]
    log = "".join(f"2026-11-29T10:58:29.722538717Z {line}\n" for line in lines)
    assert [line[:80] for line in redact_text(log).splitlines()] == [line[:80] for line in log.splitlines()]


def test_what_has_passed_once_is_not_read_again():
    text = Clean("password: kept")
    assert redact_text(text) is text


def test_the_time_grows_with_the_length_only():
    """Twice the text takes about twice the time, also where patterns could try and try again."""

    def seconds(text):
        begun = time.process_time()
        redact_text(text)
        return time.process_time() - begun

    for piece in ("password: \"'", "redis://:@", "name: value: ", "token\\", "# a token ", "token" * 40, "a@b:token="):
        short, long = (min(seconds(f"{n}{piece * n}") for _ in range(3)) for n in (1000, 4000))
        assert long < 14 * short + 0.05, piece
