"""Adapter signatures by OpenSSF model signing, with real keys."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from signing_keys import write_keys

from serving.models.trust import DistrustedError, DistrustReason, TrustPolicy
from serving.settings import ServingSettings
from snap2caption.errors import UserError
from snap2caption.registry.adapters import WEIGHTS, digest_of
from snap2caption.registry.signatures import SignatureError, sign, verify
from snap2caption.registry.versions import ModelVersion

pytestmark = pytest.mark.unit


class Signed:
    """An adapter that is signed as version 3 of a registered model, and the keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private, self.public = write_keys(folder, "ours")
        self.adapter = folder / "adapter"
        self.adapter.mkdir()
        (self.adapter / WEIGHTS).write_bytes(b"weights")
        (self.adapter / "adapter_config.json").write_bytes(b"{}")
        (folder / "models" / "demo-base").mkdir(parents=True)
        (folder / "models" / "demo-base" / "config.json").write_bytes(b"{}")
        plain = ModelVersion(3, "run", "demo-base", "abc", "data", "file:///d", adapter_sha256=digest_of(self.adapter))
        self.version = replace(plain, signature=sign(self.adapter, "snap2caption", plain, self.private))

    def tamper(self) -> ModelVersion:
        """Change the weights, and the digest in the registry with them."""
        (self.adapter / WEIGHTS).write_bytes(b"other weights")
        return replace(self.version, adapter_sha256=digest_of(self.adapter))

    def by_another_key(self) -> ModelVersion:
        private, _ = write_keys(self.folder, "theirs")
        return replace(self.version, signature=sign(self.adapter, "snap2caption", self.version, private))


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


def test_what_was_signed_is_verified_and_nothing_is_left_behind(signed: Signed) -> None:
    verify(signed.adapter, "snap2caption", signed.version, signed.public)
    assert digest_of(signed.adapter) == signed.version.adapter_sha256
    assert not list(signed.folder.glob(".signed-*"))


CHANGES: dict[str, Callable[[Signed], ModelVersion]] = {
    "tampered weights": Signed.tamper,
    "another key": Signed.by_another_key,
    "no signature": lambda signed: replace(signed.version, signature=None),
    "signature of another version": lambda signed: replace(signed.version, version=4),
    "signature of another run": lambda signed: replace(signed.version, run_id="another"),
    "signature over another base": lambda signed: replace(signed.version, base_revision="def"),
    "no text of a signature": lambda signed: replace(signed.version, signature=""),
    "another document": lambda signed: replace(signed.version, signature="{}"),
    "a list": lambda signed: replace(signed.version, signature="[]"),
    "cut off": lambda signed: replace(signed.version, signature=str(signed.version.signature)[:-40]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_not_signed_so_is_refused(signed: Signed, change: str) -> None:
    version = CHANGES[change](signed)
    with pytest.raises(SignatureError):
        verify(signed.adapter, "snap2caption", version, signed.public)
    with pytest.raises(DistrustedError) as refused:
        TrustPolicy(signed.folder / "models", key=signed.public, signed=True).check(
            "snap2caption", version, signed.adapter
        )
    assert refused.value.reason is DistrustReason.SIGNATURE
    assert "\n" not in str(refused.value)


def test_a_signature_of_another_registered_model_is_refused(signed: Signed) -> None:
    with pytest.raises(SignatureError):
        verify(signed.adapter, "another", signed.version, signed.public)


def test_unsigned_passes_by_default_and_a_wrong_signature_not(signed: Signed) -> None:
    trust = TrustPolicy(signed.folder / "models", key=signed.public)
    trust.check("snap2caption", signed.version, signed.adapter)
    trust.check("snap2caption", replace(signed.version, signature=None), signed.adapter)
    with pytest.raises(DistrustedError):
        trust.check("snap2caption", replace(signed.version, version=4), signed.adapter)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_one_sentence(signed: Signed, content: str) -> None:
    file = signed.folder / "no-key.pem"
    for path in (file, signed.folder / "gone.pem"):
        file.write_text(content)
        with pytest.raises(UserError, match=r"private key in .* can't be used .*SNAP2CAPTION_SIGNING_KEY_FILE"):
            sign(signed.adapter, "snap2caption", signed.version, path)
        with pytest.raises(UserError, match=r"public key in .* can't be used .*SIGNATURE_KEY_FILE") as refused:
            verify(signed.adapter, "snap2caption", signed.version, path)
        assert not isinstance(refused.value, SignatureError)


def test_signatures_can_be_asked_for_only_with_a_key() -> None:
    with pytest.raises(ValidationError, match="require_signatures needs a public key"):
        ServingSettings(require_signatures=True)
