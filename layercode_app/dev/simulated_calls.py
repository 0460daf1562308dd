"""Calls of simulated callers for the dev page: start, watch, stop, and tell how they ended."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from ..agent.models import MissingKeyError, named_model
from ..emulator.emulator import Emulator
from ..emulator.feed import Feed
from ..emulator.playground.simulated import SimulationRequest
from ..exceptions import ConfigurationError, PlatformAPIError
from ..journal.record import Json
from ..server.app import LayerCode
from ..testing.evals.live.call_watch import CallWatch, watch_for
from ..testing.evals.live.in_thread import in_thread
from ..testing.evals.live.line import Line
from ..testing.evals.live.live_call import LiveCall, LiveCaller
from ..testing.evals.scenario import Scenario
from ..testing.evals.simulated.caller_spec import CallerSpec
from ..testing.evals.simulated.mind import Mind
from ..testing.evals.simulated.persona import Persona
from ..testing.evals.simulated.script import scripted_mind
from .callers import CallersFound

PREFIX = "simulated-"
"""The prefix of the conversation ids of simulated calls. The caller's name follows, so a restart does not lose it."""
OWN_PERSONA = "a persona"
"""The name of a caller who was described without a persona."""
MOST_LETTERS = 40
"""The maximum length of a name that is made from a persona."""
KEPT_CALLS = 200
"""The number of calls whose results are kept."""
MOST_RUNNING = 8
"""The maximum number of simulated calls at the same time."""
_ID = re.compile(re.escape(PREFIX) + r"(.+)-[0-9a-f]{8}")


@dataclass
class Held:
    """A simulated call, together with the request that started it."""

    asked: SimulationRequest
    conversation_id: str
    call: LiveCall
    started_at: float

    def to_json(self) -> Json:
        """Return the call for the page."""
        call, spec = self.call, self.call.caller.spec
        return {
            "conversation_id": self.conversation_id,
            "name": call.caller.scenario.name,
            "asked": self.asked.model_dump(exclude={"metadata"}),
            "persona": spec.persona,
            "goal": spec.goal,
            "started_at": self.started_at,
            "running": call.ending is None,
            "over": call.over,
            "ending": asdict(call.ending) if call.ending else None,
            "checks": None if call.checks is None else [asdict(check) for check in call.checks],
            "judges": list(call.caller.scenario.end.judges) if call.caller.scenario.end else [],
            "behaviours": [one for one in call.account.behaviours if one["behaviours"]],
        }


class SimulatedCalls:
    """The simulated calls of a development server.

    `watches` maps the conversation id of each running call to its `CallWatch`; this class adds and removes the entries.
    `find` reads the scenario files again, so that a change in them needs no restart.
    """

    def __init__(
        self,
        app: LayerCode,
        emulator: Emulator,
        *,
        find: Callable[[], CallersFound],
        watches: dict[str, CallWatch],
    ) -> None:
        self._app, self._emulator, self._find, self._watches = app, emulator, find, watches
        self._held: dict[str, Held] = {}

    async def callers(self) -> Json:
        """Return the callers of the scenario files, and the files that cannot be read."""
        return (await asyncio.to_thread(self._find)).to_json()

    async def start(self, asked: SimulationRequest) -> Json:
        """Start a call, and return it as JSON. Raises DeveloperError or PlatformAPIError, worded for the page."""
        if asked.agent not in self._app.agents:
            known = ", ".join(self._app.agents)
            raise ConfigurationError(f"There is no agent {asked.agent!r} here; expected one of {known}.")
        if sum(one.call.ending is None for one in self._held.values()) >= MOST_RUNNING:
            raise ConfigurationError(f"{MOST_RUNNING} simulated calls are running. Stop one of them first.")
        caller = await self._caller(asked)
        agents = self._app.agents
        watch = watch_for(agents[asked.agent], caller.scenario.mock, agents.values())
        held = self._open(asked, caller, watch)
        self._emulator.spawn(self._hold(held))
        return held.to_json()

    def calls(self) -> list[Json]:
        """Return the latest calls as JSON, oldest first."""
        return [one.to_json() for one in self._held.values()]

    def stop(self, conversation_id: str) -> Json:
        """Stop a call, and return it. Raises PlatformAPIError (404) if there is no such call."""
        held = self._known(conversation_id)
        held.call.stop()
        return held.to_json()

    def listen(self, conversation_id: str) -> tuple[Feed, list[Json], bool]:
        """Let the dev page listen to a call.

        Return three values: a feed of the call's next messages; a list of the messages in the current turn so far; and
        whether the call is over.

        Raises PlatformAPIError (404) if there is no such call.
        """
        call = self._known(conversation_id).call
        return call.line.messages, call.line.current, call.ending is not None

    def name_of(self, conversation_id: str) -> str:
        """Return the name of the simulated caller in a conversation; empty if a person called."""
        if conversation_id in self._held:
            return self._held[conversation_id].call.caller.scenario.name
        found = _ID.fullmatch(conversation_id)
        return found[1].replace("-", " ") if found else ""

    def _known(self, conversation_id: str) -> Held:
        if conversation_id not in self._held:
            raise PlatformAPIError(f"There is no simulated call {conversation_id!r}.", status=404)
        return self._held[conversation_id]

    async def _caller(self, asked: SimulationRequest) -> LiveCaller:
        if asked.file:
            scenario = (await asyncio.to_thread(self._find)).get(asked.agent, asked.file, asked.scenario).scenario
        else:
            own = CallerSpec(persona=asked.persona.strip(), goal=asked.goal.strip())
            scenario = Scenario(name=_short(own.persona) or OWN_PERSONA, caller=own)
        spec = scenario.caller
        assert spec is not None
        return LiveCaller(scenario, spec, _mind(spec, asked.model.strip()), asked.seed)

    def _open(self, asked: SimulationRequest, caller: LiveCaller, watch: CallWatch) -> Held:
        scenario = caller.scenario
        phones = {"from_phone_number": scenario.from_phone_number, "to_phone_number": scenario.to_phone_number}
        grant = self._emulator.authorize(
            asked.agent,
            conversation_id=conversation_id_of(scenario.name),
            metadata={**(asked.metadata or {}), **scenario.metadata} or None,
            phones={name: number for name, number in phones.items() if number is not None},
        )
        conversation_id = grant.conversation_id
        self._watches[conversation_id] = watch
        line = Line(self._emulator, grant, watch)

        def changed() -> None:
            self._changed(held)

        call = LiveCall(caller, line, watch=watch, store=self._app.store, changed=changed)
        held = self._held[conversation_id] = Held(asked, conversation_id, call, time.time())
        return held

    async def _hold(self, held: Held) -> None:
        self._forget_old()
        self._publish(held)
        try:
            await held.call.hold(held.conversation_id)
        finally:
            del self._watches[held.conversation_id]

    def _changed(self, held: Held) -> None:
        self._publish(held)
        if held.call.ending is not None:
            # This message tells the listening pages to close their connection.
            held.call.line.messages.publish({"type": "closed", "reason": ""})

    def _publish(self, held: Held) -> None:
        item = {"kind": "simulated", "conversation_id": held.conversation_id, "call": held.to_json()}
        self._emulator.feed.publish(item)

    def _forget_old(self) -> None:
        over = [name for name, one in self._held.items() if one.call.over]
        for name in over[: max(0, len(self._held) - KEPT_CALLS)]:
            del self._held[name]


def conversation_id_of(name: str) -> str:
    """Return a new conversation id that contains the caller's name in plain letters."""
    words = "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:60].strip("-") or "caller"
    return f"{PREFIX}{words}-{secrets.token_hex(4)}"


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS].rsplit(' ', 1)[0]}…"


def _mind(spec: CallerSpec, model: str) -> Mind:
    """Return the object that chooses a caller's words. It uses the caller's script, or the model if there is no script.

    Raises DeveloperError if the script's function or the model cannot be used.
    """
    if spec.script is not None:
        return scripted_mind(spec, invoke=in_thread)
    if not model:
        raise ConfigurationError("A model plays this caller. Choose the model, such as openai:gpt-5-mini.")
    try:
        return Persona(spec, named_model(model, "The caller's model"))
    except MissingKeyError as error:
        raise ConfigurationError(f"{error.reason} Put it into .env, which is read as soon as it is saved.") from error


def names_of(app: LayerCode, chosen: str) -> Mapping[str, str]:
    """Return the agent's name for each value that `agent` may have in a scenario file.

    If `chosen` is an address, such as `package.module:attribute`, this address also stands for the first agent.
    """
    names = {name: name for name in app.agents}
    return names | ({chosen: next(iter(app.agents))} if ":" in chosen else {})
