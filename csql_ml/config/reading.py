"""YAML -> `Config`, with one clear line for everything that is wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import ValidationError

from csql_ml.config.section import Section
from csql_ml.config.settings import Config
from csql_ml.errors import ConfigError

#: Far more than any configuration has.
_MOST_VALUES = 100_000
_HALF = re.compile("[\ud800-\udfff]")
#: ``${NAME}`` in a value stands for an environment variable.
VARIABLE = re.compile(r"\$\{(\w+)\}")


def _expand(value: Any, where: str) -> Any:
    """Replace ``${NAME}`` by the environment's value, so that secrets stay out of the file."""
    if isinstance(value, dict):
        return {k: _expand(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, where) for v in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(f"{where} uses ${{{name}}}, but the environment variable {name} is not set")
        return os.environ[name]

    return VARIABLE.sub(replace, value)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice instead of keeping the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _check_size(content: Any, path: Path) -> None:
    """Refuse what grows without end where YAML's references (``*name``) are followed, and texts that are none."""
    waiting, values = [content], 0
    while waiting:
        one = waiting.pop()
        values += 1
        if values > _MOST_VALUES:
            raise ConfigError(f"{path} has more than {_MOST_VALUES:,} values, or refers to itself; write it out")
        if isinstance(one, str) and _HALF.search(one):
            raise ConfigError(
                f"{path} holds half of a character (\\ud800 to \\udfff), which is no text; write it whole"
            )
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()


def _one_line(error: ValidationError, path: Path) -> str:
    first, *others = error.errors(include_url=False, include_input=False)
    where = ".".join(str(p) for p in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"unknown key; {_keys_beside(first['loc'])}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{path}: {where}: {message}{more}" if where else f"{path}: {message}{more}"


def _keys_beside(location: tuple[int | str, ...]) -> str:
    """The keys allowed where an unknown one was found."""
    section: Any = Config
    for part in location[:-1]:
        section = _inside(section, part)
    if not (isinstance(section, type) and issubclass(section, Section)):
        return "see configs/default.yaml for the allowed keys"
    return f"allowed here: {', '.join(k for k in section.model_fields if k != 'home')}"


def _inside(section: Any, part: int | str) -> Any:
    """The type of one entry of a section, or of a mapping from names to sections."""
    if get_origin(section) is Annotated:
        section = get_args(section)[0]
    if get_origin(section) is dict:
        return get_args(section)[1]
    field = getattr(section, "model_fields", {}).get(part)
    return field.annotation if field is not None else None


def load(path: str | Path) -> Config:
    """Read a configuration file.

    Parameters
    ----------
    path
        A YAML file. Its folder is what relative paths inside it start from.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, or has unknown, missing or contradictory keys.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"configuration file {path} does not exist; configs/default.yaml is a start") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from error
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader subclass
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is not a configuration: it is nested too deeply") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, found {type(content).__name__}")
    _check_size(content, path)
    if "home" in content:
        raise ConfigError(f"{path}: home: unknown key")
    try:
        return Config(**_expand(content, str(path)), home=path.parent)
    except ValidationError as error:
        raise ConfigError(_one_line(error, path)) from error


def json_schema() -> dict[str, Any]:
    """JSON Schema of the configuration, for editors."""
    schema = Config.model_json_schema()
    schema["properties"].pop("home", None)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "csql_ml configuration"
    return schema
