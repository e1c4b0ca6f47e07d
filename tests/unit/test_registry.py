import pytest

from ragstone.core.errors import InvalidSetting
from ragstone.core.registry import load_object


def test_object_is_found_by_its_import_path() -> None:
    assert load_object("ragstone.core.registry:load_object") is load_object


@pytest.mark.parametrize("path", ["", "ragstone.core.registry", ":name", "module:", "ragstone core:x"])
def test_path_of_another_form_is_refused(path: str) -> None:
    with pytest.raises(InvalidSetting):
        load_object(path)


def test_message_names_the_package_that_is_missing() -> None:
    with pytest.raises(InvalidSetting, match="no module named 'not_installed'"):
        load_object("not_installed.parser:Parser")


def test_message_names_the_object_that_is_missing() -> None:
    with pytest.raises(InvalidSetting, match="has no 'Nobody'"):
        load_object("ragstone.core.registry:Nobody")
