"""No secret reaches an output."""

import pytest
import yaml

from jfsnb.cluster.redact import redact_object, redact_text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("redis://:S3cret@host:6379/1", "host:6379/1"),
        ("mysql://user:S3cret@tcp(host)/db", "mysql://user:"),
        ("Authorization: Bearer S3cretS3cret", "Authorization"),
        ("token eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJrd.S3cret", "token"),
        ("juicefs format --secret-key=S3cret --bucket=b", "--bucket=b"),
        ('{"SecretKey": "S3cret", "Bucket": "b"}', '"Bucket": "b"'),
        ("env:\n- name: REDIS_PASSWORD\n  value: S3cret\n- name: B", "- name: B"),
        (r"env:\n- name: REDIS_PASSWORD\n  value: S3cret\n- name: B", "- name: B"),
    ],
)
def test_values_go_and_the_rest_stays(text, kept):
    shown = redact_text(text)
    assert "S3cret" not in shown
    assert kept in shown


def test_a_redacted_config_yaml_can_still_be_read():
    text = (
        "env:\n- name: REDIS_PASSWORD\n  value: S3cret\n- {name: URL, value: redis://:S3cret@h/1}\npassword: S3cret\n"
    )
    shown = yaml.safe_load(redact_text(text))
    assert shown["env"][0]["value"] == shown["password"] == "***" and "S3cret" not in str(shown)


@pytest.mark.parametrize(
    "text",
    [
        "exec /bin/mount.juicefs ${metaurl} /jfs/pv -o metrics=0.0.0.0:9567",
        "--secret-key=${secretkey}",
        "sqlite3:///var/lib/meta/my.db",
        "ceMountImage: registry.example:5000/juicedata/mount:ce-v1.3.0",
        "http://:9567/metrics",
    ],
)
def test_what_is_no_secret_is_left_alone(text):
    assert redact_text(text) == text


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


def test_items_of_a_list_of_secrets_carry_no_kind():
    assert redact_object({"metadata": {}, "data": {"a": "S3cret"}}, "Secret")["data"] == {"a": "<6 characters>"}
