"""The proxy's settings that the documentation gives are such that the proxy takes them."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

pytestmark = pytest.mark.unit

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
HTTP2 = re.compile(r"    listen 443 ssl;\n    http2 on;.*\n")
"""As nginx says it since 1.25.1; Debian's is older."""


def write_certificate(folder: Path) -> None:
    """Write a certificate that signs itself, and its key, under the names that the settings have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "captions.example.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1)
    )
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*encoding))


def test_nginx_takes_its_settings(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        pytest.skip("make test installs nginx where it can")
    (settings,) = re.findall(r"```nginx\n(.*?)```", OPERATIONS, re.DOTALL)
    version = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < (1, 25, 1):
        settings, replaced = HTTP2.subn("    listen 443 ssl http2;\n", settings)
        assert replaced == 1
    write_certificate(tmp_path)
    file = tmp_path / "nginx.conf"
    inside = settings.replace("/etc/ssl/captions", str(tmp_path))
    file.write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{inside}}}\n")
    command = [nginx, "-t", "-q", "-p", str(tmp_path), "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
