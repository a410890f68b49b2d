"""Settings of the test process itself, and the model and dataset that unit and integration tests share."""

import gc
import logging
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from patience import LONGEST

import snap2caption as snap2caption  # it switches the usage reporting of libraries off
from snap2caption.runtime.garbage_collection import collect_less
from snap2caption.runtime.openmp import OPENMP

# As the command line does (snap2caption/__main__.py), before anything loads torch.
for name, value in OPENMP.items():
    os.environ.setdefault(name, value)

collect_less()

# What a service gives up after, in tests that do not say: a machine that is busy must not change their outcome.
for name in ("DEADLINE", "ENGINE", "ENGINE_LOAD", "FEEDBACK_STORE", "STUCK", "VOICE"):
    os.environ.setdefault(f"SNAP2CAPTION_SERVING_{name}_SECONDS", str(LONGEST))

# Whoever works on this may have keys of their own.
os.environ["SNAP2CAPTION_SERVING_KEY_FILE"] = str(Path(tempfile.gettempdir(), f"no-keys-{os.getpid()}.sqlite"))

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Leave the modules that are loaded by now out of garbage collections: with all of them, one takes half a second,
    and each training does some.
    """
    gc.collect()
    gc.freeze()


OURS = ("snap2caption", "etl", "training", "serving", "plugins", "demo")


@pytest.fixture(autouse=True)
def _warnings_are_logged() -> None:
    """Undo what a library may have done to logging in an earlier test: a test that reads the log must not depend on it."""
    logging.disable(logging.NOTSET)
    root = logging.getLogger()
    root.setLevel(min(root.level, logging.WARNING))
    for name, logger in root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in OURS:
            logger.disabled = False


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny base model."""
    from tiny import write_models

    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(scope="session")
def dataset_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset version of 69 samples."""
    from tiny import write_dataset

    folder = tmp_path_factory.mktemp("datasets") / "v1"
    write_dataset(folder, {"train": 48, "validation": 9, "test": 12})
    return folder
