"""What Hydra, OmegaConf and YAML say of a user's mistake, in words of ours."""

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from lctrain.composition.choices import CONFIG, config_folder, suggest_choice
from lctrain.composition.overrides import FORCED, leave_keys_to_validation
from lctrain.composition.user_files import open_config_folder
from lctrain.errors import UserError, suggest_near

NOT_DELETED = re.compile(r"Could not delete from config\. '(.+?)' does not exist")
OF_OTHER_VALUE = re.compile(r"Could not delete '([^'=]+)=|Could not delete from config\. The value of '(.+?)'")
NOT_MERGED = re.compile(r"Error merging override (.+)")
LIST_FOR_MAPPING = "Cannot merge DictConfig with ListConfig"


@contextmanager
def hydra_errors(arguments: Sequence[str]) -> Iterator[None]:
    """What Hydra, OmegaConf and YAML say of a user's mistake, in one or a few lines of ours."""
    try:
        yield
    except MissingConfigException as error:
        raise UserError(_format_missing_choice(error, arguments)) from error
    except MarkedYAMLError as error:
        raise UserError(_format_yaml_error(error)) from error
    except OmegaConfBaseException as error:
        where = f"`{error.full_key}`: " if error.full_key else ""
        raise UserError(f"{where}{str(error).splitlines()[0]}.") from error
    except (UserError, MemoryError, BrokenPipeError):
        raise
    except OSError as error:
        if error.filename is None:  # what Hydra prints can't be written
            raise
        message = f"the job's folder can't be made: {str(error.filename)!r} ({error.strerror}) in {str(Path.cwd())!r}"
        fix = "Start it in a folder that can be written (cd), or write elsewhere: hydra.run.dir=DIR tracking.folder=DIR"
        raise UserError(f"{message}. {fix}") from error
    except Exception as error:  # jobs keep theirs to themselves, so this is what Hydra could not make sense of
        raise UserError(_format_composition_error(error, arguments)) from error


def _format_missing_choice(error: MissingConfigException, arguments: Sequence[str]) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    if not error.options:
        fix = f"Leave it out, or write {choice}.yaml in the folder of --config-dir."
        return f"`--config-name` must name a file of configurations; got {choice!r}. {fix}"
    parsed, _ = get_args_parser().parse_known_args(list(arguments))
    path = Path(parsed.config_dir or "", group, f"{choice}.yaml")
    if path.is_symlink():
        return f"`{group}`: {path} can't be read; it links to {path.readlink()}, which is not there."
    if path.with_suffix(".yml").is_file():
        return f"`{group}`: {path.with_suffix('.yml')} must end in .yaml. Rename it to {path.name}"
    here = sorted(Path().glob(f"*/{glob.escape(group)}/{glob.escape(choice)}.yaml"))
    if here:
        message = f"has no choice {choice!r} of lctrain's; {here[0]} is yours"
        return f"`{group}` {message}. Add --config-dir {here[0].parents[1]}"
    return f"`{group}` has no choice {choice!r}.{suggest_choice(group, choice, error.options)}"


def _format_composition_error(error: Exception, arguments: Sequence[str]) -> str:
    if isinstance(error.__cause__, MarkedYAMLError):
        return _format_yaml_error(error.__cause__)
    missing = NOT_DELETED.search(str(error))
    if missing:
        hint = _suggest_key(missing[1], arguments) or " The keys: python -m lctrain --cfg job"
        return f"`~{missing[1]}`: there is no such key to delete.{hint}"
    other = OF_OTHER_VALUE.match(str(error))
    if other:
        key = other[1] or other[2]
        return f"`~{key}=...`: what is there has another value. To delete whatever it has, type ~{key}"
    text = str(error).replace(FORCED, "")
    unmerged = NOT_MERGED.match(text)
    if unmerged and error.__cause__ is not None:
        reason = str(error.__cause__).splitlines()[0].replace(LIST_FOR_MAPPING, "a mapping can't become a list")
        return f"`{unmerged[1]}` does not fit what is there: {reason}. Set or delete its keys one by one."
    lines = [line for line in text.splitlines()[:4] if line.strip() and "append" not in line]
    if not lines:
        reason = f"the files can't be composed ({type(error).__name__})"
        return f"{reason}. Keys must be text, and every `${{` must have its `}}`."
    return "\n".join(lines)


def _suggest_key(key: str, arguments: Sequence[str]) -> str:
    """The nearest key of the configuration as it is without the deletions; sweeps aside, which change values alone."""
    parsed, _ = get_args_parser().parse_known_args(list(map(leave_keys_to_validation, arguments)))
    overrides = [
        override.input_line or ""
        for override in OverridesParser.create().parse_overrides(parsed.overrides)
        if not override.is_delete()
        and not override.is_sweep_override()
        and not override.key_or_group.startswith("hydra")
    ]
    overrides += open_config_folder(parsed.config_dir)
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        node = OmegaConf.to_container(hydra.compose(CONFIG, overrides), resolve=False)
    *parents, last = key.split(".")
    above = ""
    for parent in [*parents, last]:
        if not isinstance(node, dict):
            return ""
        if parent not in node:
            return suggest_near(parent, node, above)
        node, above = node[parent], f"{above}{parent}."
    return ""


def _format_yaml_error(error: MarkedYAMLError) -> str:
    mark = error.problem_mark
    where = f"{mark.name}, line {mark.line + 1}" if mark is not None else "a configuration file"
    return f"{where}: {error.problem}. Mend the YAML there."
