import hashlib
import json
import re
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from serving.settings import ServingSettings
from snap2caption.__main__ import build_app
from snap2caption.errors import UserError
from snap2caption.settings import read_settings

pytestmark = pytest.mark.unit

SERVICES = ("serve", "serve-feedback")
DIGEST = hashlib.sha256(b"secret").hexdigest()


def test_keys_are_given_by_their_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_SERVING_API_KEY_HASHES", json.dumps(["0" * 64, f" {DIGEST.upper()}"]))
    assert read_settings(ServingSettings).api_key_hashes == ("0" * 64, DIGEST)


@pytest.mark.parametrize(
    ("name", "value"), [("API_KEY_HASHES", '["hunter2"]'), ("API_KEY_HASHES", "hunter2"), ("MAX_BATCH", "0")]
)
def test_a_wrong_variable_is_one_sentence_that_repeats_no_key(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SNAP2CAPTION_SERVING_{name}", value)
    with pytest.raises(UserError, match="SNAP2CAPTION_SERVING_") as caught:
        read_settings(ServingSettings)
    assert "hunter2" not in str(caught.value)


def test_origins_and_hosts_are_whole_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "SNAP2CAPTION_SERVING_CORS_ORIGINS",
        '["HTTPS://App.example.com:443", "http://[::1]:80", "capacitor://localhost"]',
    )
    monkeypatch.setenv("SNAP2CAPTION_SERVING_ALLOWED_HOSTS", '["Captions.example.com", "[::2]:8000"]')
    found = read_settings(ServingSettings)
    assert found.cors_origins == ("https://app.example.com", "http://[::1]", "capacitor://localhost")
    assert found.allowed_hosts == ("captions.example.com", "[::2]:8000")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("CORS_ORIGINS", origin)
            for origin in ("*", "null", "app.example.com", "https://app.example.com/", "https://*.example.com")
        ),
        *(
            ("ALLOWED_HOSTS", host)
            for host in ("*", "*.example.com", ".example.com", "https://example.com", "example.com:http", "::1")
        ),
    ],
)
def test_without_keys_no_wildcard_lets_pages_in(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SNAP2CAPTION_SERVING_{name}", json.dumps([value]))
    with pytest.raises(UserError, match=f"SNAP2CAPTION_SERVING_{name} is wrong"):
        read_settings(ServingSettings)


@pytest.mark.parametrize(
    "path",
    ["captions", "/captions/", "/", "//captions", "/a b", "/a?b", "/v1", "/docs/x", "/feedback", "/store_feedback",
     "/generate-caption", "/generate_caption/x", "/healthz", "/readyz", "/metrics", "/openapi.json", "/assets/x", "/static"],
)  # fmt: skip
def test_a_prefix_is_a_path_unlike_the_services_own(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_SERVING_ROOT_PATH", path)
    with pytest.raises(UserError, match="SNAP2CAPTION_SERVING_ROOT_PATH is wrong"):
        read_settings(ServingSettings)
    assert read_settings(ServingSettings, root_path="/team/captions").root_path == "/team/captions"


def test_an_idle_connection_outlives_a_proxys() -> None:
    assert read_settings(ServingSettings).keep_alive_seconds > 60


def test_with_keys_all_pages_may_be_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_SERVING_API_KEY_HASHES", json.dumps([DIGEST]))
    monkeypatch.setenv("SNAP2CAPTION_SERVING_CORS_ORIGINS", '["*"]')
    assert read_settings(ServingSettings).cors_origins == ("*",)


@pytest.mark.parametrize("command", SERVICES)
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_without_keys_only_this_machine_is_served(command: str, host: str) -> None:
    result = CliRunner().invoke(build_app(), [command, "--host", host, "--port", "18099"])
    assert isinstance(result.exception, UserError)
    assert "API_KEY_HASHES" in str(result.exception)


@pytest.mark.parametrize(
    ("option", "page"), [((), True), (("--no-page",), False), (("--page",), True)], ids=["default", "no", "yes"]
)
def test_the_page_can_be_left_out(option: tuple[str, ...], page: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[ServingSettings] = []
    monkeypatch.setattr("serving.server.run", lambda *given: served.append(given[-1]))
    monkeypatch.setattr("serving.observability.logs.log_as_json", lambda: None)
    result = CliRunner().invoke(build_app(), ["serve", "--port", str(free_port()), *option])
    assert result.exit_code == 0, result.output
    assert [settings.page for settings in served] == [page]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("command", SERVICES)
def test_a_port_in_use_is_told_before_anything_is_loaded(command: str) -> None:
    code = (
        f"import sys\nfrom snap2caption.__main__ import main\nsys.argv = ['snap2caption', '{command}', '--port', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert 'torch' not in sys.modules\n    raise"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = subprocess.run([sys.executable, "-c", code, str(port)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.fullmatch(rf"error: Can't listen on 127\.0\.0\.1:{port} \(.*\); stop .*\.\n", result.stderr)


def test_variables_that_do_not_go_together_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_SERVING_MAX_BODY_BYTES", "2000000")
    monkeypatch.setenv("SNAP2CAPTION_SERVING_BODY_BYTES_AT_ONCE", "1000000")
    with pytest.raises(UserError, match=r"^SNAP2CAPTION_SERVING_\* is wrong \(.*\); correct it\.$"):
        read_settings(ServingSettings)


@pytest.mark.parametrize(
    ("model", "engine", "accepted"),
    [
        ("HuggingFaceTB/SmolVLM-500M-Instruct", None, True),
        ("demo-base", None, True),
        ("../demo-base", None, False),
        ("gemma3:4b", None, False),
        ("gemma3:4b", "http://127.0.0.1:11434", True),
        ("/models/llava.gguf", "http://127.0.0.1:8080", True),
        ("two\nlines", "http://127.0.0.1:8080", False),
        (" ", "http://127.0.0.1:8080", False),
        ("", None, False),
        ("x" * 300, "http://127.0.0.1:8080", False),
    ],
)
def test_a_model_is_named_as_its_place_allows(model: str, engine: str | None, accepted: bool) -> None:
    if accepted:
        assert read_settings(ServingSettings, model=model, engine_url=engine).model == model
        return
    with pytest.raises(UserError, match="MODEL"):
        read_settings(ServingSettings, model=model, engine_url=engine)


def test_a_model_s_name_may_end_as_shells_complete_a_folder() -> None:
    assert read_settings(ServingSettings, model="HuggingFaceTB/SmolVLM-500M-Instruct/ ").model == (
        "HuggingFaceTB/SmolVLM-500M-Instruct"
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("localhost:11434", "it should start with http:// or https:// and a host, such as"),
        ("ftp://localhost", "it should start with http"),
        ("http://", "it should start with http"),
        ("http://:11434", "it should start with http"),
        ("http://[::1", "it should start with http"),
        ("http://localhost:99999", "it should start with http"),
        ("http://local host", "it should start with http"),
        ("http://localhost/v1?key=s3cret", "it should end with its path"),
    ],
)
def test_an_engine_s_address_is_checked(address: str, reason: str) -> None:
    with pytest.raises(UserError, match=rf"ENGINE_URL is wrong \({reason}") as refused:
        read_settings(ServingSettings, engine_url=address)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "used"),
    [
        (" HTTP://localhost:11434/\n", "http://localhost:11434"),
        ("https://user:pass@[::1]:8000/v1/", "https://user:pass@[::1]:8000/v1"),
        ("http://localhost:11434/v1/chat/completions", "http://localhost:11434/v1"),
        ("http://localhost:11434/v1/models", "http://localhost:11434/v1"),
    ],
)
def test_an_engine_s_address_may_be_that_of_an_endpoint(address: str, used: str) -> None:
    assert read_settings(ServingSettings, engine_url=address).engine_url == used


def test_an_engine_s_key_may_end_with_a_line_break() -> None:
    assert read_settings(ServingSettings, engine_key="secret\n").engine_key.get_secret_value() == "secret"
    for wrong in ("sécret", "sec\nret"):
        with pytest.raises(UserError, match="ENGINE_KEY is wrong") as refused:
            read_settings(ServingSettings, engine_key=wrong)
        assert wrong not in str(refused.value)
