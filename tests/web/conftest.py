from pathlib import Path

import pytest
from tests.firmware.programs import Program, build, need

from crydistill.student.packaged import packaged_student
from crydistill.student.runtime import TfliteStudent
from crydistill.web.page import write_page


@pytest.fixture(scope="session")
def packaged() -> TfliteStudent:
    return TfliteStudent.load(packaged_student())


@pytest.fixture(scope="session")
def host(packaged: TfliteStudent, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The C library with the packaged student on this computer, its front end in integers."""
    need("make", "gcc")
    folder = tmp_path_factory.mktemp("host")
    return build("all", packaged.tflite, packaged.manifest, folder, CC="gcc", FIXED="1")


@pytest.fixture(scope="session")
def page_file(packaged: TfliteStudent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the packaged student."""
    folder = tmp_path_factory.mktemp("page")
    return write_page(packaged.tflite, packaged.manifest, folder / "listen.html")
