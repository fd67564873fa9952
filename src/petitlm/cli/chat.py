"""`petit chat`: a conversation in the terminal."""

from __future__ import annotations

import contextlib
import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from petitlm.cli import answer
from petitlm.cli.conversation import Conversation
from petitlm.cli.models import guesser, load_model
from petitlm.cli.options import (
    SAMPLING,
    SHAPES,
    Setting,
    context_options,
    json_option,
    model_options,
    prompt_options,
    sampling_options,
    speed_options,
)
from petitlm.cli.output import note, print_json_line
from petitlm.errors import PetitError, UsageError
from petitlm.prompts import PromptShape, shape_named

if TYPE_CHECKING:
    from petitlm.engine.cache import CacheKind
    from petitlm.front import Model

QUOTES = '"""'

SETTINGS = {
    **SAMPLING,
    "shape": Setting("shape", click.Choice(SHAPES), None, "How turns are laid out."),
    "system": Setting("system", click.STRING, None, "A first paragraph that stays in front; none removes it."),
    "stop": Setting("stop", click.STRING, (), "Also stop before this text; none forgets them all."),
}


@click.command()
@model_options
@context_options
@prompt_options
@sampling_options
@speed_options
@json_option
def command(model: str | None, bits: int | None, threads: int | None, context: int | None,
            rope_scaling: str | None, cache: CacheKind | None, shape: str | None, system: str | None,
            stop: tuple[str, ...], as_json: bool,
            speculate: str, draft: str | None, prefix_cache: str | None, prefix_cache_gib: float,
            **sampling: Any) -> None:
    """Talk with the model; /help inside lists what can be said to petit instead.

    In a pipe, every line of standard input is one turn. With --json, each answer is one JSON object on a line.
    """
    loaded = load_model(model, bits, threads, context, rope_scaling, prefix_cache, prefix_cache_gib, cache)
    settings = {**sampling, "shape": shape or loaded.prompt, "stop": stop}
    chat = Chat(loaded, settings, Conversation(system=system), as_json, guesser(speculate, draft, threads))
    if sys.stdin.isatty():
        note(f"{loaded.name}, {loaded.bits} bits, context of {loaded.context} tokens. /help helps, /bye ends.")
    chat.talk(line_reader())


def line_reader() -> Callable[[bool], str | None]:
    """Return what reads the next line (None at the end); on a terminal with a mark, history and editing."""
    if not sys.stdin.isatty():
        lines = iter(sys.stdin.buffer)
        return lambda _continued: answer.decode(line, "a line") if (line := next(lines, None)) is not None else None
    with contextlib.suppress(ImportError):  # not on every system; input() then has no history
        import readline  # noqa: F401

    def read(continued: bool) -> str | None:
        try:
            return input("... " if continued else ">>> ")
        except EOFError:
            sys.stdout.write("\n")
            return None

    return read


@dataclass
class Chat:
    """A conversation with a model, and what a person can say to petit between the turns."""

    model: Model
    settings: dict[str, Any]
    """The value of every name in SETTINGS but `system`."""
    conversation: Conversation = field(default_factory=Conversation)
    as_json: bool = False
    speculate: Any = "auto"
    """Who guesses the next tokens; see `Model.stream`."""
    left_out: int = 0
    """Oldest turns that the model no longer sees, as last said to the person."""

    def talk(self, read: Callable[[bool], str | None]) -> None:
        """Answer what `read` gives until it ends or /bye is said; a user's mistake is said and forgotten."""
        while True:
            try:
                text = read_turn(read)
                if text is None or text.split()[:1] == ["/bye"]:
                    return
                if text.startswith("/"):
                    self.obey(text)
                elif text:
                    self.reply(text)
            except PetitError as error:
                click.echo(f"petit: {error}", err=True)
            except KeyboardInterrupt:
                note("\n(/bye or Ctrl-D ends the conversation)")

    def reply(self, text: str) -> None:
        """Answer one turn of the user; Ctrl-C ends the answer where it is, and the conversation goes on."""
        shape = shape_named(self.settings["shape"])
        answer.warn_of_turns(shape, text)
        prompt = self._fit(shape, text)
        options = {name: self.settings[name] for name in SAMPLING} | {
            "stop": (*shape.stops, *self.settings["stop"]), "speculate": self.speculate}
        reply = self._say_json(prompt, options) if self.as_json else self._say(prompt, options, shape.has_turns)
        self.conversation.add(text, reply.strip() if shape.has_turns else reply)

    def _fit(self, shape: PromptShape, text: str) -> str:
        """Return the prompt; say so when turns had to be left out."""
        n_ctx = self.model.context
        # Without a number from the person, an answer is promised a quarter of the context, up to 256 tokens.
        for_answer = self.settings["max_tokens"] or min(256, n_ctx // 4)
        prompt, left_out = self.conversation.prompt(shape, text, lambda prompt: len(self.model.encode(prompt)),
                                                    n_ctx - for_answer)
        if left_out > self.left_out:
            note(f"(the conversation outgrew the context of {n_ctx} tokens: the model no longer sees the oldest "
                 f"{left_out} of {len(self.conversation.turns)} turns; /clear starts afresh)")
        self.left_out = left_out
        return prompt

    def _say(self, prompt: str, options: dict[str, Any], trim: bool) -> str:
        parts, display = list[str](), answer.Display(sys.stdout, trim)
        stream = self.model.stream(prompt, **options)
        try:
            for piece in stream:
                parts.append(piece)
                display.write(piece)
        except KeyboardInterrupt:
            if not parts:
                raise  # nothing was said: the turn is as if it had not been
            stream.close()
            sys.stdout.write("\n")
            note("(stopped; what was said so far stays in the conversation)")
            return "".join(parts)
        sys.stdout.write("\n")
        sys.stdout.flush()
        note(answer.summary(stream.result, self.settings["max_tokens"]))
        return "".join(parts)

    def _say_json(self, prompt: str, options: dict[str, Any]) -> str:
        result = self.model.generate(prompt, **options)
        print_json_line({"text": result.text, "finish": result.finish, "turns_left_out": self.left_out,
                         **answer.figures(result)})
        return result.text

    def obey(self, line: str) -> None:
        """Do what a line that begins with / says.

        Raises: UsageError for an unknown command, with the nearest.
        """
        name, _, rest = line[1:].partition(" ")
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, [*COMMANDS, "bye"], 1)
            hint = f"did you mean /{near[0]}?" if near else "/help lists them"
            raise UsageError(f"no command /{name}; {hint} (a space before the / makes it text for the model)")
        COMMANDS[name][0](self, rest.strip())

    def set(self, rest: str) -> None:
        name, _, text = rest.partition(" ")
        if not name:
            for key in SETTINGS:
                note(f"  {key:<20} {self._value(key)!s:<10} {SETTINGS[key].help}")
            return
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, 1)
            raise UsageError(f"no setting {name!r}; {f'did you mean {near[0]}?' if near else '/set lists them'}")
        setting, text = SETTINGS[name], text.strip()
        if name == "system":
            self.conversation.system = text or None
        elif name == "stop":
            # Typed on one line, a line's end is written \n.
            self.settings["stop"] = (*self.settings["stop"], text.replace("\\n", "\n")) if text else ()
        else:
            default = self.model.prompt if name == "shape" else setting.default
            self.settings[name] = setting.parse(text) if text else default
        note(f"({name} is {self._value(name)})")

    def _value(self, name: str) -> Any:
        value = self.conversation.system if name == "system" else self.settings[name]
        return "not set" if value is None or value == () else value

    def save(self, rest: str) -> None:
        if not rest:
            raise UsageError("/save needs a file, such as /save talk.json")
        self.conversation.save(Path(rest), {"model": self.model.name, **self.settings})
        note(f"(saved {len(self.conversation.turns)} turns in {rest})")

    def load(self, rest: str) -> None:
        if not rest:
            raise UsageError("/load needs a file, such as /load talk.json")
        conversation, saved = Conversation.load(Path(rest))
        settings = dict(self.settings)
        for name in settings.keys() & saved.keys():
            value = saved[name]
            if name == "stop":
                settings[name] = tuple(str(text) for text in value or ())
            else:
                settings[name] = None if value is None else SETTINGS[name].parse(str(value))
        self.conversation, self.settings, self.left_out = conversation, settings, 0
        note(f"(loaded {len(conversation.turns)} turns from {rest}, with their settings)")

    def clear(self, rest: str) -> None:
        self.conversation.turns.clear()
        self.left_out = 0
        note("(the conversation is empty again; the settings stay)")

    def help(self, rest: str) -> None:
        for name, (_, usage, text) in COMMANDS.items():
            note(f"  /{name + ' ' + usage:<20} {text}")
        note(f"  {'/bye':<21} End the conversation (Ctrl-D too).")
        note(f"  {QUOTES:<21} Begins and ends a text of several lines.")
        note(f"  {'Ctrl-C':<21} Stops the answer, not the conversation.")


COMMANDS: dict[str, tuple[Callable[[Chat, str], None], str, str]] = {
    "set": (Chat.set, "[NAME [VALUE]]", "Show or change how answers are made."),
    "save": (Chat.save, "FILE", "Write the conversation to a file."),
    "load": (Chat.load, "FILE", "Go on with a saved conversation."),
    "clear": (Chat.clear, "", "Forget the conversation."),
    "help": (Chat.help, "", "Say this."),
}


def read_turn(read: Callable[[bool], str | None]) -> str | None:
    '''Return the next turn: one line, or everything between """ and """; None at the end.'''
    line = read(False)
    if line is None:
        return None
    line = line.rstrip("\r\n")
    if not line.lstrip().startswith(QUOTES):
        return line.rstrip()
    lines = [line.lstrip().removeprefix(QUOTES)]
    while not lines[-1].rstrip().endswith(QUOTES):
        line = read(True)
        if line is None:
            raise UsageError(f'the text that began with {QUOTES} has no end; write {QUOTES} after its last line')
        lines.append(line.rstrip("\r\n"))
    lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
    return "\n".join(lines).strip("\n")
