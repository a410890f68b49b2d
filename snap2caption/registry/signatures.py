"""Signatures of registered adapters: OpenSSF model signing, with a private key of the installation.

The signature covers the adapter's files and the registry's entry of the version. So it holds for these weights in
this version alone: it can't be put on other weights, nor moved to another version.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from snap2caption.errors import UserError
from snap2caption.registry.versions import ModelVersion

SCRATCH = ".signed-"
"""The prefix of temporary folders next to the adapter, in which adapters are signed and verified. A killed process
leaves its folder.
"""

_STATEMENT = "registered-version.json"

_MISSING = "Signing adapters needs model-signing; install snap2caption with its extra `signing` (docs/installation.md)."


class SignatureError(UserError):
    """The adapter is not what was signed, or was not signed by the right key."""


def sign(adapter: Path, model: str, version: ModelVersion, key: Path) -> str:
    """Return the signature of an adapter as a version of a registered model: a Sigstore bundle, as JSON.

    Args:
        adapter: the folder of the adapter.
        model: the registered model's name.
        version: the version as the registry has it.
        key: the file of a private key on an elliptic curve (PEM, NIST P-256, P-384 or P-521).

    Raises:
        UserError: model-signing is not installed, or the key can't be read.
    """
    try:
        from model_signing.signing import Config
    except ImportError as error:
        raise UserError(_MISSING) from error
    with _signed_folder(adapter, model, version) as folder:
        bundle = folder.with_name("bundle.json")
        try:
            Config().use_elliptic_key_signer(private_key=key).sign(folder, bundle)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"The private key in {key} can't be used ({type(error).__name__}); name a PEM file of an "
                "unencrypted key on a NIST curve in SNAP2CAPTION_SIGNING_KEY_FILE."
            ) from error
        return bundle.read_text()


def verify(adapter: Path, model: str, version: ModelVersion, key: Path) -> None:
    """Check the signature of a version, which `sign` made. *key* is the file of the public key (PEM).

    Raises:
        SignatureError: there is no signature, the adapter or its registry entry was changed, or another key signed
            it.
        UserError: model-signing is not installed, or the key can't be read.
    """
    if version.signature is None:
        raise SignatureError("it is not signed")
    try:
        from model_signing.verifying import Config
    except ImportError as error:
        raise UserError(_MISSING) from error
    try:
        config = Config().use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"The public key in {key} can't be used ({type(error).__name__}); name a PEM file of a key "
            "on a NIST curve in SNAP2CAPTION_SERVING_SIGNATURE_KEY_FILE."
        ) from error
    with _signed_folder(adapter, model, version) as folder:
        bundle = folder.with_name("bundle.json")
        bundle.write_text(version.signature)
        try:
            config.verify(folder, bundle)
        # The signature is untrusted text, and the library passes on all errors of its parsers and cryptography.
        except Exception as error:
            raise SignatureError("its signature does not fit its adapter, its version and our key") from error


@contextmanager
def _signed_folder(adapter: Path, model: str, version: ModelVersion) -> Iterator[Path]:
    """Provide a folder with the signed content: links to the adapter's files, and the registry entry."""
    with tempfile.TemporaryDirectory(dir=adapter.parent, prefix=SCRATCH) as scratch:
        # The folder's name is signed, too.
        folder = Path(scratch) / "adapter"
        shutil.copytree(adapter, folder, copy_function=os.link)
        entry = {name: value for name, value in asdict(version).items() if name != "signature"}
        (folder / _STATEMENT).write_text(json.dumps({"model": model, **entry}, sort_keys=True))
        yield folder
