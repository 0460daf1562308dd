"""Check the arguments of `VoiceAgent` when it is created: types, dependencies, greeting and guard."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, RootModel, SecretBytes, SecretStr, ValidationError
from typing_extensions import is_protocol

from ..conversation.state_json import needs_round_trip
from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from ..nearest import nearest
from .hooks import check_hook, check_parameters

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent


def check_name(name: object) -> None:
    """Raise DeveloperError unless the name can be part of a URL."""
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum() or not name.isascii():
        raise DeveloperError(f"VoiceAgent name {name!r}: expected ASCII letters, digits, - and _, such as 'bakery'.")


def check_output(name: str, agent: AbstractAgent[Any, Any] | None, speak: object) -> None:
    """Raise DeveloperError unless `agent` is None or a PydanticAI agent whose output can be spoken."""
    from .outputs import speaks_text

    if agent is not None and not hasattr(agent, "iter"):
        raise DeveloperError(f"VoiceAgent({name!r}): {agent!r} is not a PydanticAI agent.")
    if agent is not None and speak is None and not speaks_text(agent):
        raise DeveloperError(
            f"VoiceAgent({name!r}): the agent's output {agent.output_type!r} is not text. "
            "Pass a function that turns it into text: speak=lambda output: ..."
        )


def check_model_class(what: str, kind: object) -> None:
    """Raise DeveloperError unless `kind` is a Pydantic model class or None. `what` is the argument's name."""
    if kind is not None and not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        raise DeveloperError(
            f"VoiceAgent {what}={kind!r}: expected a Pydantic model class, such as class Basket(BaseModel)."
        )


def check_saved_fields(kind: Any) -> None:
    """Raise DeveloperError if a field of the state model hides its value when it is saved, as `SecretStr` does."""
    for name, info in (kind.model_fields if kind is not None else {}).items():
        types = {info.annotation, *get_args(info.annotation)}
        secret = next((one for one in (SecretStr("probe"), SecretBytes(b"probe")) if type(one) in types), None)
        if secret is None:
            continue
        if _is_hidden(kind, name, secret):
            raise DeveloperError(
                f"VoiceAgent state={kind.__name__}: the field {name!r} would be saved as '**********', because it is a "
                f"{type(secret).__name__}. Declare it as str, add a @field_serializer that returns the secret, or write "
                "Field(exclude=True) if it need not be saved."
            )


def _is_hidden(kind: Any, name: str, secret: SecretStr | SecretBytes) -> bool:
    """Return whether the saved JSON of this field shows asterisks instead of a secret.

    Save the field with three values: the secret itself, a list that contains it, and a dictionary that contains it.
    `secret` holds the text "probe". If any of the saved texts contains "probe", the result is False.
    """
    saved = []
    for value in (secret, [secret], {"key": secret}):
        try:
            model = kind.model_construct(**{name: value})
            dumped = model.model_dump(mode="json", include={name}, warnings=False)
            saved.append(str([*dumped.values()]))
        except Exception:  # noqa: BLE001, S112 - a serializer may raise anything for a value that does not fit the field
            continue
    return any("*****" in text for text in saved) and not any("probe" in text for text in saved)


def check_state(state: Any) -> None:
    """Raise DeveloperError unless the state has fields, and can be created without values for a new conversation.

    Also prepare the dumping of such states, so that the first turn does not wait for it.
    """
    if state is None:
        return
    if issubclass(state, RootModel):
        raise DeveloperError(
            f"VoiceAgent state={state.__name__}: it is a RootModel, which has no fields; each field of a state is saved "
            "on its own. Declare a BaseModel with a field, such as `items: dict[str, int] = {}`."
        )
    try:
        state.model_validate({})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DeveloperError(
            f"VoiceAgent state={state.__name__}: a new conversation begins without values, but "
            f"{'.'.join(map(str, first['loc'])) or 'the model'}: {first['msg']}. Give every field a default, such as "
            "`paid: bool = False`."
        ) from None
    except Exception:  # noqa: BLE001 - only a call can tell, for example if a default is made by code that needs the call
        return
    needs_round_trip(state)  # the answer is cached


def check_seconds(**given: object) -> None:
    """Raise DeveloperError unless each argument is a number of seconds (zero or more) or None."""
    for name, value in given.items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:  # type: ignore[operator,arg-type]
            raise DeveloperError(f"VoiceAgent {name}={value!r}: expected a number of seconds, such as {name}=1.5.")


def check_texts(**given: object) -> None:
    """Raise DeveloperError unless each argument is a text or None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise DeveloperError(f"VoiceAgent {name}={value!r}: expected a text to say, or None for the default.")


def check_switches(**given: object) -> None:
    """Raise DeveloperError unless each argument is True, False or None."""
    for name, value in given.items():
        if value is not None and not isinstance(value, bool):
            raise DeveloperError(f"VoiceAgent {name}={value!r}: expected True or False.")


def check_mappings(**given: tuple[object, str]) -> None:
    """Raise DeveloperError unless each given value is a dictionary or None.

    Each argument is a pair: the value to check, and a correct value, which the error message shows as an example.
    """
    for name, (value, example) in given.items():
        if value is not None and not isinstance(value, Mapping):
            raise DeveloperError(f"VoiceAgent {name}={value!r}: expected a dictionary, such as {name}={example}.")


def check_speak(speak: object) -> None:
    """Raise DeveloperError unless `speak` is None or a plain function (not async).

    Raises HookError if the function takes other arguments than the output.
    """
    _check_plain_function("speak", speak, "output", "the text to say", "output.reply")


def check_unknown(name: str, given: Mapping[str, object], known: Iterable[str]) -> None:
    """Raise DeveloperError unless `given` is empty. `given` contains the arguments that VoiceAgent does not have."""
    if not given:
        return
    wrong, names = next(iter(given)), sorted(known)
    meant = nearest(wrong, names)
    hint = f" Did you mean {meant}=?" if meant else ""
    raise DeveloperError(f"VoiceAgent({name!r}) has no argument {wrong}=.{hint} It has: {', '.join(names)}.")


def check_guard(guard: object) -> None:
    """Raise HookError unless `guard` is an async function of the turn, a list or tuple of such functions, or None."""
    if guard is None:
        return
    if isinstance(guard, list | tuple):
        for one in guard:
            check_guard(one)
        return
    call = getattr(guard, "__call__", None)  # noqa: B004 - the method itself is checked, because it may be async
    check_hook("guard", guard if inspect.isroutine(guard) or not inspect.iscoroutinefunction(call) else call, ("turn",))


def check_greeting(option: str, greeting: object) -> None:
    """Raise DeveloperError unless the greeting is a text, None, or a function of the turn that returns a text.

    `option` is the name of the argument, for the error. Raises HookError if the function takes other arguments.
    """
    if greeting is None or isinstance(greeting, str):
        return
    if not callable(greeting):
        raise DeveloperError(f"VoiceAgent {option}={greeting!r}: expected a text, or a function of the turn.")
    check_parameters(option, greeting, ("turn",))
    answer = _returned(greeting)
    if isinstance(answer, type) and issubclass(answer, int | float | bytes | Mapping | list | tuple | set | BaseModel):
        raise DeveloperError(
            f"{option}: {_shown(greeting)} returns {answer.__name__}; expected str, or an async iterator of str."
        )


def check_remember(remember: object) -> None:
    """Raise DeveloperError unless `remember` is None or a plain function (not async) of the turn.

    Raises HookError if the function takes other arguments.
    """
    _check_plain_function("remember", remember, "turn", "the caller's id", 'turn.metadata["user_id"]')


def _check_plain_function(what: str, given: object, of: str, returns: str, example: str) -> None:
    if given is None:
        return
    if not callable(given) or inspect.iscoroutinefunction(given):
        raise DeveloperError(
            f"VoiceAgent {what}={_shown(given)}: expected a plain function of the {of} that returns {returns}, such as "
            f"{what}=lambda {of}: {example}."
        )
    check_parameters(what, given, (of,))


def check_dependencies(name: str, agent: Any, deps: object, *, state: Any, metadata: Any) -> None:
    """Raise DeveloperError if the agent would get dependencies that do not fit its `deps_type`, or if `deps` is async.

    The dependencies are the result of `deps`. Without `deps`, they are the Turn, whose state and metadata must fit too.

    Raises HookError if `deps` takes other arguments than the turn.
    """
    wanted = getattr(agent, "deps_type", object)
    if deps is not None:
        _check_deps(name, wanted, deps)
    elif get_origin(wanted) is Turn:
        for what, given, expected in zip(("state", "metadata"), (state, metadata), get_args(wanted), strict=False):
            _check_turn(name, what, given, expected)
    elif _is_plain_class(wanted) and not issubclass(Turn, wanted) and wanted is not type(None):
        raise DeveloperError(
            f"VoiceAgent({name!r}): the agent's deps_type is {wanted.__name__}, but without deps= the agent gets the "
            f"Turn. Pass a function: deps=lambda turn: {wanted.__name__}(...). Or create the agent with deps_type=Turn."
        )


def _check_deps(name: str, wanted: Any, deps: object) -> None:
    if not callable(deps):
        raise DeveloperError(
            f"VoiceAgent({name!r}) deps={deps!r}: expected a function of the turn, such as deps=lambda turn: ..."
        )
    check_parameters("deps", deps, ("turn",))
    if inspect.iscoroutinefunction(deps):
        raise DeveloperError(
            f"VoiceAgent({name!r}): deps is an async function, {_shown(deps)}; expected a plain one. Await in an "
            "on_session_start hook or in the tools instead."
        )
    made = deps if isinstance(deps, type) else _returned(deps)
    if _is_plain_class(wanted) and isinstance(made, type) and not issubclass(made, wanted):
        raise DeveloperError(
            f"VoiceAgent({name!r}): deps returns {made.__name__}, but the agent's deps_type is {wanted.__name__}. "
            f"Return a {wanted.__name__}, or create the agent with deps_type={made.__name__}."
        )


def _check_turn(name: str, what: str, given: Any, expected: Any) -> None:
    """Raise DeveloperError unless `given` is the model class that the agent expects for its `state` or `metadata`.

    `what` is "state" or "metadata". `expected` is the class from the agent's `Turn[State, Metadata]`.
    """
    if not (isinstance(expected, type) and issubclass(expected, BaseModel)):
        return
    if given is None:
        raise DeveloperError(
            f"VoiceAgent({name!r}): the agent's deps_type has the {what} {expected.__name__}, but {what}= is missing. "
            f"Add {what}={expected.__name__}."
        )
    if not issubclass(given, expected):
        raise DeveloperError(
            f"VoiceAgent({name!r}) {what}={given.__name__}: the agent's deps_type has the {what} {expected.__name__}. "
            "Use the same class in both places."
        )


def _is_plain_class(kind: Any) -> bool:
    return isinstance(kind, type) and not is_protocol(kind)


def _returned(function: Any) -> object:
    """Return the annotated return type of a function, or None if it has none or the annotation cannot be resolved."""
    try:
        return get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - the annotation may have a name that exists only for type checkers
        return None


def _shown(function: Any) -> str:
    return str(getattr(function, "__qualname__", repr(function)))
