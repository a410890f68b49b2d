import pytest

from snap2caption.command_line.extras import explain_missing_module

pytestmark = pytest.mark.unit


def missing(importer: str) -> ModuleNotFoundError:
    """What a module called *importer* raises, which imports what is not there."""
    with pytest.raises(ModuleNotFoundError) as raised:
        exec("import not_installed", {"__name__": importer})  # noqa: S102 - the line above, as that module
    return raised.value


@pytest.mark.parametrize(
    ("importer", "extra"),
    [
        ("etl.transform.cleaning.check", "etl"),
        ("etl.feedback.label_studio.webhook", "feedback"),
        ("serving", "serving"),
        ("training.gate.runner", "training"),
        ("training.launch.ray_cluster", "ray"),
        ("demo.run", "demo"),
    ],
)
def test_the_extra_of_the_importing_part_is_named(importer: str, extra: str) -> None:
    sentence = explain_missing_module(missing(importer))
    assert sentence == (
        f"not_installed is not installed; install snap2caption with its extra `{extra}` (docs/installation.md)."
    )


@pytest.mark.parametrize("importer", ["etlx", "another", "snap2caption.store.s3"])
def test_what_no_part_imports_has_no_extra(importer: str) -> None:
    assert explain_missing_module(missing(importer)) is None
