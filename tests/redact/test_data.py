"""Data: by the names beside the values; Secrets: their values are known from then on."""

import base64
import gzip
import html
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from jfsnb.redact import learn_secret, redact, redact_object, redact_text

VECTORS = Path(__file__).parents[1] / "vectors" / "data" / "values.jsonl.gz"


def cases(function):
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        return [v for v in map(json.loads, lines) if v["in"].get("function") == function and "out" in v]


SECRET = "p@ss \"w'ör<d>&9"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"token": "x", "a": 1}, {"token": "***", "a": 1}),
        ({"env": [{"value": "v", "name": "API_TOKEN"}]}, {"env": [{"value": "***", "name": "API_TOKEN"}]}),
        ({"secrets": {"a": "b", "n": {"c": "d"}}}, {"secrets": {"a": "***", "n": {"c": "***"}}}),
        ({"command": ["x", "--access-key", "k", "y"]}, {"command": ["x", "--access-key", "***", "y"]}),
        ({"field": "spec.env.DB_PASSWORD", "value": "v"}, {"field": "spec.env.DB_PASSWORD", "value": "***"}),
        ({"auths": {"r": {"auth": "dTpw"}}}, {"auths": {"r": {"auth": "***"}}}),
        ({"password": 1234}, {"password": "***"}),
        ({"secretName": "a", "secretRef": {"name": "b"}}, {"secretName": "a", "secretRef": {"name": "b"}}),
        ({"imagePullSecrets": [{"name": "a"}]}, {"imagePullSecrets": [{"name": "a"}]}),
        ({"automountServiceAccountToken": False}, {"automountServiceAccountToken": False}),
        ({"data": {"text/html": ["<b>Bearer abcdefghijk</b>"], "image/png": "token=abcdefghijkl"}, "n": 1},) * 2,
    ],
)
def test_names_tell(data, shown):
    if "data" in data:
        shown = {"data": {"text/html": ["<b>Bearer ***</b>"], "image/png": "token=abcdefghijkl"}, "n": 1}
    assert redact(data) == shown


def test_a_secret_shows_sizes_only():
    secret = {
        "kind": "Secret",
        "metadata": {
            "name": "s",
            "managedFields": [{}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "S3cret", "other": "kept"},
        },
        "data": {"metaurl": "UzNjcmV0"},
        "stringData": {"token": "S3cret"},
    }
    shown = redact_object(secret)
    assert shown["data"] == {"metaurl": "<8 characters>"}
    assert "S3cret" not in str(shown) and "UzNjcmV0" not in str(shown)
    assert shown["metadata"]["annotations"] == {"other": "kept"}
    assert redact_object({"metadata": {}, "data": {"a": "S3cret"}}, "Secret")["data"] == {"a": "<6 characters>"}


def test_a_secret_that_was_read_is_known_in_every_form():
    learn_secret({"whatever": base64.b64encode(SECRET.encode()).decode()})
    raw = SECRET.encode()
    for form in (
        SECRET,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        quote(SECRET, safe=""),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps({"a": json.dumps({"b": SECRET})}),
        html.escape(SECRET),
        SECRET.replace("'", "''"),
    ):
        shown = redact_text(f"so {form} it is")
        assert "w" not in shown.replace("w\\", "") and "***" in shown, (form, shown)
    inside = base64.b64encode(b"user:" + raw + b"\n!").decode()
    assert base64.b64encode(raw).decode()[4:16] not in redact_text(f"x {inside}") and "***" in redact_text(
        f"x {inside}"
    )


def test_what_a_secret_holds_besides_secrets_is_not_hidden():
    settings = {"secret-key": "k3y-k3y-k3y", "bucket": "http://minio:9000/data", "name": "myjfs"}
    plain = {
        "name": "myjfs",
        "storage": "s3",
        "bucket": "http://minio:9000/data",
        "metaurl": "redis://:Pw-1234@redis:6379/1",
        "jfsSettings": json.dumps(settings),
        "envs": '{"API_TOKEN": "t0k3n-t0k3n", "CACHE": "/var/cache"}',
    }
    learn_secret(plain, encoded=False)
    kept = "myjfs on s3 at http://minio:9000/data, redis:6379, /var/cache"
    assert redact_text(kept) == kept
    assert redact_text("Pw-1234 k3y-k3y-k3y t0k3n-t0k3n") == "*** *** ***"


@pytest.mark.parametrize("case", cases("stripuri"), ids=lambda c: c["id"])
def test_it_hides_what_the_driver_hides_in_addresses(case):
    text, theirs = case["in"]["text"], case.get("out", "")
    if "****" not in theirs:
        return
    begin = theirs.index("****")
    hidden = text[begin : len(text) - (len(theirs) - begin - 4)]
    ours = redact_text(text)
    assert ours.startswith(text[:begin] + "***") and f"{hidden}@" not in ours


@pytest.mark.parametrize("case", cases("stripsecret"), ids=lambda c: c["id"])
def test_it_hides_what_the_driver_hides_in_secrets(case):
    ours = redact(case["in"]["map"])
    for key, theirs in case["out"].items():
        if theirs == "***" and case["in"]["map"][key]:
            assert ours[key] == "***"
