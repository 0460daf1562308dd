"""The base of all collectors: a PydanticAI toolset that understands, reads back, corrects and confirms one value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from pydantic_ai import FunctionToolset, RunContext
from pydantic_ai.messages import InstructionPart

from ..conversation.turn import Turn
from ..exceptions import DeveloperError
from ..journal.record import Json
from ..spoken.extra import need
from .state import Answer, Collecting
from .understood import Incomplete, Result, Understood

ValueT = TypeVar("ValueT")


class Collector(FunctionToolset[Any], Generic[ValueT]):
    """A toolset that gets one value from the caller: `Agent(toolsets=[Email("email"), Phone("number")])`.

    Its tools are `save_FIELD`, which takes the caller's words, and `confirm_FIELD`, unless `confirm` is False. Some
    kinds of values also have `fix_FIELD`, which replaces a wrong part, and `spell_FIELD`, which spells the value. The
    agent says what a tool returns. The state of the VoiceAgent must be a `Collecting`.

    Args:
        field: The name of the value in the state, and in the names of the tools.
        label: The name of the value in instructions, such as "e-mail address".
        question: The question that asks for the value.
        reply: What the agent says when it has understood a value. `{value}` is replaced by the words of the value.
        confirm: Whether the caller must confirm the value. Set it to False if the agent confirms all values together.
        then: A function of the turn that returns what the agent says next, such as the next question.
        turn: A function that returns the Turn from the agent's dependencies, for an agent whose dependencies are not
            the Turn itself.

    """

    label: ClassVar[str] = "value"
    needs: ClassVar[tuple[tuple[str, str], ...]] = ()
    """The modules of optional libraries that the collector needs, each with the library's name."""
    spells: ClassVar[bool] = False
    """Whether the value has letters to spell."""
    fixes: ClassVar[bool] = False
    """Whether a part of the value can be replaced."""

    def __init__(
        self,
        field: str,
        *,
        label: str = "",
        question: str = "",
        reply: str = "I have {value}.",
        confirm: bool = True,
        then: Callable[[Any], str] | None = None,
        turn: Callable[[Any], Turn[Any, Any]] | None = None,
    ) -> None:
        if not field.isidentifier():
            raise DeveloperError(f"{type(self).__name__} field={field!r}: expected a Python name, such as 'email'.")
        for module, library in (("num2words", "num2words"), *self.needs):
            need(module, library, "collect", type(self).__name__)
        super().__init__(id=f"collect-{field}")
        self.field = field
        self.name = label or self.label
        self.question = question or f"What is your {self.name}?"
        self._reply, self._confirms, self._then, self._turn = reply, confirm, then, turn
        self._add_tools()

    def _add_tools(self) -> None:
        name = self.name
        self.add_function(
            self._save,
            name=f"save_{self.field}",
            description=f"Write down the caller's {name}, in their words as they were heard, also if it is only a part.",
        )
        if self._confirms:
            description = f"Call this once the caller has said that the {name} is right."
            self.add_function(self._confirm, name=f"confirm_{self.field}", description=description)
        if self.fixes:
            description = f"Replace a wrong part of the {name} by the right one, both in the caller's words."
            self.add_function(self._fix, name=f"fix_{self.field}", description=description)
        if self.spells:
            description = f"Spell the {name} letter by letter, if the caller asks for it."
            self.add_function(self._spell, name=f"spell_{self.field}", description=description)

    # --- what each kind of value defines

    @abstractmethod
    def understand(self, heard: str, turn: Turn[Any, Any]) -> Result[ValueT]:
        """Return the value that was heard, or a question for the caller."""

    @abstractmethod
    def say(self, value: ValueT) -> str:
        """Return the words with which the agent repeats the value."""

    def spell(self, value: ValueT) -> str:
        """Return the words that spell the value."""
        return self.say(value)

    def say_part(self, heard: str) -> str:
        """Return the words with which the agent repeats an incomplete value."""
        return heard.strip(" .,")

    def part(self, heard: str) -> str:
        """Return a part of a value as it is written within the value, such as "AB4" for "a b four"."""
        return heard.strip(" .,")

    def to_json(self, value: ValueT) -> Json:
        """Return the value as JSON for the journal."""
        return str(value)

    @abstractmethod
    def from_json(self, kept: Any) -> ValueT:
        """Return the value from its JSON in the journal."""

    # --- tools

    async def _save(self, ctx: RunContext[Any], heard: str) -> str:
        turn = self._turn_of(ctx)
        answer = self._answer(turn)
        whole, result = self._with_part(answer.partial, heard, turn)
        return self._taken(turn, whole, result)

    async def _confirm(self, ctx: RunContext[Any]) -> str:
        turn = self._turn_of(ctx)
        answer = self._answer(turn)
        if answer.value is None:
            return f"I have no {self.name} yet. {self.question}"
        # Drop a new value that the caller has only begun to say. Otherwise the next words would continue it.
        self._put(turn, answer.model_copy(update={"confirmed": True, "partial": ""}))
        return self._joined("Thank you.", turn)

    async def _fix(self, ctx: RunContext[Any], wrong: str, right: str) -> str:
        turn = self._turn_of(ctx)
        written = str(self._answer(turn).value or "")
        old, new = self.part(wrong), self.part(right)
        at = written.lower().find(old.lower()) if old else -1
        if at < 0 or not new or written.lower().count(old.lower()) > 1:
            return f"I did not get what to change. Please say the whole {self.name} once more."
        changed = written[:at] + new + written[at + len(old) :]
        return self._taken(turn, changed, self.understand(changed, turn))

    async def _spell(self, ctx: RunContext[Any]) -> str:
        value = self.value(self._turn_of(ctx))
        return (
            f"I have no {self.name} yet. {self.question}" if value is None else f"{self.spell(value)}. Is that right?"
        )

    # --- the value

    def value(self, turn: Turn[Any, Any]) -> ValueT | None:
        """Return the value that was understood in this conversation, confirmed or not; None if there is none."""
        kept = self._answer(turn).value
        return None if kept is None else self.from_json(kept)

    def _with_part(self, partial: str, heard: str, turn: Turn[Any, Any]) -> tuple[str, Result[ValueT]]:
        """Understand the words, alone or as the continuation of the incomplete value `partial`.

        Return the words that were used, which may begin with `partial`, and the result.
        """
        alone = self.understand(heard, turn)
        if not partial or restated(partial, heard):
            return heard, alone
        both = f"{partial} {heard}"
        joined = self.understand(both, turn)
        if isinstance(joined, Understood) and (open_ended(partial) or not isinstance(alone, Understood)):
            return both, joined
        if isinstance(alone, Understood) or not isinstance(joined, Incomplete):
            return heard, alone
        return both, joined

    def _taken(self, turn: Turn[Any, Any], heard: str, result: Result[ValueT]) -> str:
        """Store the value that was understood, or the beginning of a value. Return the agent's next words."""
        if isinstance(result, Understood):
            kept, spoken = self.to_json(result.value), self.say(result.value)
            before = self._answer(turn)
            confirmed = not self._confirms or (before.confirmed and before.value == kept)
            self._put(turn, Answer(heard=heard, value=kept, spoken=spoken, confirmed=confirmed))
            reply = self._reply.format(value=spoken)
            return self._joined(reply, turn) if confirmed else f"{reply} Is that right?"
        if isinstance(result, Incomplete):
            self._put(turn, self._answer(turn).model_copy(update={"partial": heard}))
            return result.ask.format(so_far=self.say_part(heard))
        return result.ask

    def _joined(self, said: str, turn: Turn[Any, Any]) -> str:
        return f"{said} {self._then(turn)}".strip() if self._then else said

    def _put(self, turn: Turn[Any, Any], answer: Answer) -> None:
        state = turn.state
        state.collected[self.field] = answer
        known = answer.confirmed and answer.value is not None
        if known and self.field in type(state).model_fields:
            setattr(state, self.field, self.from_json(answer.value))

    def _answer(self, turn: Turn[Any, Any]) -> Answer:
        if not isinstance(turn.state, Collecting):
            raise DeveloperError(
                f"{type(self).__name__}({self.field!r}): the state of agent {turn.agent!r} is {type(turn.state).__name__}; "
                "expected a model with the base layercode_app.collect.Collecting. Pass it as VoiceAgent(state=...)."
            )
        return turn.state.answer(self.field)

    def _turn_of(self, ctx: RunContext[Any]) -> Turn[Any, Any]:
        turn = self._turn(ctx.deps) if self._turn else ctx.deps
        if not isinstance(turn, Turn):
            raise DeveloperError(
                f"{type(self).__name__}({self.field!r}): the agent's dependencies are {type(turn).__name__}; expected the "
                "Turn. Pass a function that returns it: turn=lambda deps: deps.turn"
            )
        return turn

    async def get_instructions(self, ctx: RunContext[Any]) -> list[InstructionPart] | None:
        """Return the instructions: how to collect the value, and what is known of it so far."""
        return [InstructionPart(content=self._guidance(self._answer(self._turn_of(ctx))), dynamic=True)]

    def _guidance(self, answer: Answer) -> str:
        use = f"Pass the caller's own words to save_{self.field}, and say what it returns word for word."
        if answer.partial:
            return f'{self.name}: incomplete, heard so far: "{answer.partial}". {use}'
        if answer.value is None:
            return f'{self.name}: not known. Ask: "{self.question}" {use}'
        if answer.confirmed:
            return f'{self.name}: known, "{answer.value}". To change it: {use}'
        right = f"Once the caller says it is right, call confirm_{self.field}."
        return f'{self.name}: heard as "{answer.value}", not confirmed. Ask: "{answer.spoken}, is that right?" {right} Else: {use}'


OPEN = {"dot", "at", "dash", "hyphen", "underscore", "plus", "point", "period", ".", "@", "-", "_", "+"}
"""Words that cannot end a value."""


def open_ended(partial: str) -> bool:
    """Return whether an incomplete value ends with a word that cannot end a value."""
    return partial.lower().strip(" ,").rsplit(" ", 1)[-1] in OPEN


def restated(partial: str, heard: str) -> bool:
    """Return whether the caller has started over: the new words begin like those of the incomplete value."""
    old, new = partial.lower().replace(",", "").split(), heard.lower().replace(",", "").split()
    size = min(2, len(old))
    return old[:size] == new[:size]
