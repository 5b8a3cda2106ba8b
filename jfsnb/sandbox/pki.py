"""The sandbox's certificates: a CA, the API server's, its client certificate for kubelets, a key for tokens."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)


def make_pki(state: Path) -> None:
    """Write ``pki/`` below the state directory: ca, apiserver, kubelet-client (.crt and .key), sa.key and sa.pub."""
    pki = state / "pki"
    pki.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jfsnb sandbox CA")])
    ca = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(pki / "ca", ca, key)
    issue(state, "apiserver", "kube-apiserver", ["localhost", "kubernetes", "kubernetes.default.svc"], ["127.0.0.1"])
    issue(state, "kubelet-client", "kube-apiserver-kubelet-client")
    account = ec.generate_private_key(ec.SECP256R1())
    _private(pki / "sa.key", account)
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (pki / "sa.pub").write_bytes(account.public_key().public_bytes(serialization.Encoding.PEM, public))


def issue(
    state: Path, file: str, common_name: str, dns: list[str] | None = None, ips: list[str] | None = None
) -> tuple[Path, Path]:
    """A certificate signed by the sandbox's CA, for servers and clients alike.

    Returns:
        The paths of certificate and key: ``pki/<file>.crt`` and ``pki/<file>.key``.
    """
    pki = state / "pki"
    ca = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(n) for n in dns or ()]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips or ()]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(subject, ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _write(pki / file, builder.sign(ca_key, hashes.SHA256()), key)
    return pki / f"{file}.crt", pki / f"{file}.key"


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(stem: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    stem.with_name(stem.name + ".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _private(stem.with_name(stem.name + ".key"), key)


def _private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
