"""Write the agent file: a VoiceAgent that wraps an existing agent, and functions that the user must fill in."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..agent.outputs import speaks_text
from .dependencies import Parameter, is_made, models_of_turn, parameters
from .find import Existing
from .outputs import example_of, only_text_field, output_tool, spoken_kinds
from .type_source import ANY, Imports, literal

OWN = {"agent", "dependencies", "spoken", "script", "turn", "output", "scene"}
"""The names that the generated file defines."""
LIBRARY = "layercode_app"


@dataclass
class AgentFile:
    """Builds the text of an agent file."""

    existing: Existing
    name: str
    path: str
    fill_in: list[str] = field(default_factory=list)
    """The functions that the user must fill in before the agent can answer. Each entry also says what to write."""
    imports: Imports = field(default_factory=lambda: Imports(set(OWN)))
    _parts: list[str] = field(default_factory=list)
    _arguments: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the text of the file. Also set `fill_in` to the functions that the user must fill in."""
        self.fill_in, self._parts, self._arguments = [], [], []
        voice = self.imports.use(LIBRARY, "VoiceAgent")
        wrapped = self.imports.use(self.existing.module, self.existing.attribute)
        self._dependencies()
        self._speech()
        arguments = ", ".join([literal(self.name), wrapped, *self._arguments])
        self._parts.append(f"agent = {voice}({arguments})")
        self._parts.append(self._script())
        head = f'"""{self.name.replace("_", " ").capitalize()}: the agent of {self.existing.module}, on a call."""'
        groups = [self.imports.lines(library=True), self.imports.lines(library=False)]
        lines = ["from __future__ import annotations", *("\n".join(group) for group in groups if group)]
        return "\n\n".join([head, *lines]) + "\n\n\n" + "\n\n\n".join(self._parts) + "\n"

    def _dependencies(self) -> None:
        kind = self.existing.agent.deps_type
        for name, model in models_of_turn(kind).items():
            self._arguments.append(f"{name}={self.imports.source_of(model)}")
        if not is_made(kind):
            return
        made, needed = self.imports.source_of(kind), parameters(kind)
        ready = needed is not None and not any(one.required for one in needed)
        call = _call(made, needed or [])
        body = f"return {made}()" if ready else self._to_do("dependencies", f"return {call}")
        hint = f"    # {call}\n" if needed and ready else ""
        turn = self.imports.use(LIBRARY, "Turn")
        self._arguments.append("deps=dependencies")
        self._parts.append(
            f"def dependencies(turn: {turn}) -> {made}:\n"
            '    """Create what the agent\'s tools need. `turn.metadata` holds your server\'s data on the caller."""\n'
            f"{hint}    {body}"
        )

    def _speech(self) -> None:
        kinds = spoken_kinds(self.existing.agent.output_type)
        others = [kind for kind in kinds if kind is not str]
        if not others and speaks_text(self.existing.agent):
            return
        sources = list(dict.fromkeys(map(self.imports.source_of, kinds)))
        lines = ["    if isinstance(output, str):\n        return output\n"] if str in kinds and others else []
        text = only_text_field(others[0]) if len(others) == 1 else ""
        named = " or ".join(self.imports.source_of(kind) for kind in others)
        # Use `str()` if a type cannot be named in the file: a type checker does not know that the field is a string.
        spoken = f"str(output.{text})" if ANY in sources else f"output.{text}"
        spoken = spoken if others else "output"
        body = f"return {spoken}" if text or not others else self._to_do("spoken", f"return a sentence about {named}")
        lines.append(f"    {body}")
        self._arguments.append("speak=spoken")
        self._parts.append(
            f"def spoken(output: {' | '.join(sources)}) -> str:\n"
            '    """Return the words to say for an output."""\n' + "".join(lines)
        )

    def _to_do(self, function: str, what: str) -> str:
        self.fill_in.append(f"{function}() in {self.path}: {what}")
        return f"raise NotImplementedError({literal(f'Fill in {self.fill_in[-1]}')})"

    def _script(self) -> str:
        scene, call = self.imports.use(LIBRARY, "Scene"), self.imports.use(LIBRARY, "Call")
        iterator = self.imports.use("collections.abc", "AsyncIterator")
        return (
            "@agent.offline\n"
            f"async def script(scene: {scene}) -> {iterator}[str | {call}]:\n"
            '    """Answer without a model: in tests, and in `dev` and `chat` without a key."""\n'
            f"    {self._scripted(scene, call)}"
        )

    def _scripted(self, scene: str, call: str) -> str:
        """Return the body of the offline script.

        It yields an answer that the agent's output type accepts. If no such answer is found, it raises an error that
        tells the user to fill in the script.
        """
        if speaks_text(self.existing.agent):
            return 'yield f"You said: {scene.text}"'
        example = example_of(self.existing.agent.output_type)
        if isinstance(example, str):
            return f"yield {literal(example)}"
        if example is not None:
            return f"yield {call}({literal(example[0])}, {literal(example[1])})"
        tool = output_tool(self.existing.agent.output_type)
        answer = f'{call}("{tool}", ...) with arguments' if tool else "JSON text"
        what = f"yield {answer} that the output type of the agent accepts"
        return f'{self._to_do("script", what)}\n    yield ""  # delete this line too'


def _call(made: str, needed: list[Parameter]) -> str:
    """Return a hint that shows how to create the dependencies: `Deps(user: str, limit: int = ...)`."""
    shown = [f"{one.name}: {one.kind}" if one.kind else one.name for one in needed]
    return f"{made}({', '.join(part + ('' if one.required else ' = ...') for part, one in zip(shown, needed, strict=True))})"
