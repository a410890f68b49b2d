"""Self-signed TLS certificate for mutual TLS between the parts of one server."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo.stack.ports import HOST
from demo.stack.secret_files import write_secret

_LIFE = dt.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of a certificate and its private key, in PEM. The certificate is its own authority."""

    certificate: Path
    key: Path


def self_signed(folder: Path, name: str) -> Certificate:
    """Return the certificate called *name* in *folder*, for the loopback address.

    It is made once, readable by its owner only.
    """
    found = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    if not found.certificate.exists():
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # Valid from yesterday: the clock may be set back.
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + _LIFE)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        write_secret(found.key, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        # The certificate last: if it exists, so does its key.
        write_secret(found.certificate, certificate.public_bytes(pem))
    return found
