"""Import paths as strings: what a table or a setting names is imported only when it is chosen."""

from importlib import import_module
from typing import Any

from ragstone.core.errors import InvalidSetting


def load_object(path: str) -> Any:
    """The object that `"package.module:name"` names. Raises InvalidSetting, saying what is wrong with the path or
    which package is not installed."""
    module_name, separator, name = path.partition(":")
    if not (module_name and separator and name):
        raise InvalidSetting(f"{path!r} is not an import path; expected package.module:name")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise InvalidSetting(f"{path!r} cannot be loaded: no module named {error.name!r}") from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise InvalidSetting(f"{path!r} cannot be loaded: {module_name} has no {name!r}") from error
