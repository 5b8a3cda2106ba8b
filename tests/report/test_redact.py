"""Secrets that a program printed do not reach a file."""

import pytest

from jfsnb.report.redact import redact, redact_text


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-value-1234",
        "redis://:s3cr3t-value-1234@10.0.0.1:6379/1",
        "mysql://root:s3cr3t-value-1234@(host)/db",
        "--secret-key=s3cr3t-value-1234 x",
        '{"secret-key": "s3cr3t-value-1234"}',
        '"{\\"secretKey\\": \\"s3cr3t-value-1234\\"}"',
        "password: s3cr3t-value-1234",
        "client-key-data: s3cr3t-value-1234",
        "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t-value-1234\n-----END RSA PRIVATE KEY-----",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzM2NyM3QifQ.s3cr3t-value-1234",
    ],
)
def test_what_looks_like_a_credential_is_replaced(text):
    assert "s3cr3t" not in redact_text(text)
    assert "***" in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "juicefs format --secret-key=${secretkey} ${metaurl} myfs",
        "https://juicefs.com/docs/csi/introduction/",
        "image: juicedata/mount:ce-v1.3.0@sha256:abc",
        "sqlite3:///var/lib/store/meta/myjfs.db",
    ],
)
def test_what_is_no_credential_stays(text):
    assert redact_text(text) == text


def test_nested_data_is_redacted_and_pictures_are_left_alone():
    data = {"data": {"text/html": ["<b>Bearer abcdefghijk</b>"], "image/png": "token=abcdefghijkl"}, "n": 1}
    assert redact(data) == {
        "data": {"text/html": ["<b>Bearer ***</b>"], "image/png": "token=abcdefghijkl"},
        "n": 1,
    }
