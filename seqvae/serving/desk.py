"""Requests of visitors: checked, run within limits, and refused without places of this machine.

A visitor names no files of the server: music comes as uploads, and no text is taken for a name.
"""

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from seqvae.errors import InputError, shortened
from seqvae.inference import options
from seqvae.inference.inputs import Opened, sentence
from seqvae.inference.trained import TrainedVAE
from seqvae.model.watching import Watcher, watched_by
from seqvae.serving.controls import ALWAYS, VERBS, controls_of, inputs_of, verbs_of
from seqvae.serving.waiting import Cancelled, Waiting


@dataclass(frozen=True)
class Limits:
    """What one request may take."""

    seconds: float = 60.0
    """Of decoding."""
    inputs: int = 16
    windows: int = 64
    """Of all clips together."""
    characters: int = 2000
    """Of a text."""


class Desk:
    """A model that answers several visitors at once."""

    def __init__(self, vae: TrainedVAE, limits: Limits | None = None) -> None:
        """The model is only read."""
        self.vae, self.limits = vae, limits or Limits()
        self.controls = {verb: controls_of(verb, vae) for verb in verbs_of(vae)}
        self.waiting = Waiting()

    @property
    def is_music(self) -> bool:
        """Whether clips go in and out, and not sentences."""
        return self.vae.tokenizer.modality == "music"

    @property
    def what(self) -> str:
        """What an input is called."""
        return "clip" if self.is_music else "sentence"

    def call(
        self,
        verb: str,
        inputs: Sequence[str | Path],
        values: Mapping[str, Any],
        *,
        visitor: str = "",
        watcher: Watcher | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> list[Any]:
        """What the verb of the model returns.

        Args:
            verb: One of `controls`.
            inputs: Paths of uploads, or sentences, for the inputs of the verb in their order.
            values: Settings by their names; those that miss have their defaults.
            visitor: Whose `cancel` ends it.
            watcher: Is told of each step of a decoding.
            tell: Takes the warnings, such as that a track is not heard.

        Raises:
            InputError: something is wrong with the request; no path is in the message.
            Cancelled: the visitor does not want it any more.
        """
        try:
            chosen = self._settings(verb, values) | ALWAYS.get(verb, {})
            with (
                self.waiting.request_of(visitor) as stop,
                watched_by(self._watcher(stop, watcher)),
                warnings_here() as warnings,
            ):
                placed = self._placed(verb, inputs, chosen)
                results = [*getattr(self.vae, verb)(**placed, **chosen)]
            if tell is not None:
                for warning in warnings:
                    tell(self._without_places(warning, inputs))
            return results
        except InputError as error:
            raise InputError(self._without_places(str(error), inputs)) from None

    def cancel(self, visitor: str) -> int:
        """End what a visitor waits for; returns how many requests that were."""
        return self.waiting.cancel(visitor)

    def _watcher(self, stop: threading.Event, watcher: Watcher | None) -> Watcher:
        deadline = time.monotonic() + self.limits.seconds

        def watch(step: int, num_steps: int) -> None:
            if stop.is_set():
                raise Cancelled
            if time.monotonic() > deadline:
                raise InputError(
                    f"not done after {self.limits.seconds:g} seconds; ask for fewer outputs, or "
                    "send a shorter clip"
                )
            if watcher is not None:
                watcher(step, num_steps)

        return watch

    def _settings(self, verb: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a verb."""
        return {
            control.name: control.taken(values.get(control.name)) for control in self.controls[verb]
        }

    def _placed(
        self, verb: str, inputs: Sequence[str | Path], chosen: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Inputs by the names of the fields that take them."""
        names = inputs_of(verb)
        given = [each for each in inputs if each is not None and str(each).strip()]
        if not names:
            return {}
        what, many = self.what, names == ["inputs"]
        low = 2 if verb == "blend" else 1 if many else len(names)
        high = 4 if verb == "blend" else self.limits.inputs if many else len(names)
        if not low <= len(given) <= high:
            number = f"{low}" if low == high else f"{low} to {high}"
            raise InputError(
                f"{verb} takes {number} {what}{'s' * (high > 1)}; there "
                f"{'is' if len(given) == 1 else 'are'} {len(given)}"
            )
        read = self._read(verb, given, chosen)
        return {"inputs": read} if many else dict(zip(names, read, strict=True))

    def _read(self, verb: str, given: Sequence[str | Path], chosen: Mapping[str, Any]) -> list[Any]:
        """Inputs that are read, where the verb does not want to read them itself."""
        tokenizer = self.vae.tokenizer
        if tokenizer.modality == "text":
            for text in map(str, given):
                if len(text) > self.limits.characters:
                    raise InputError(
                        f"a text of {len(text)} characters; here they have at most "
                        f"{self.limits.characters}"
                    )
            if verb == "complete":  # which reads what stands around a gap
                return [*given]
            return [Opened(text, [sentence(tokenizer, text)]) for text in map(str, given)]
        kind = VERBS[verb]
        if not issubclass(kind, options.Reading):
            return [*given]
        known = {field.name for field in fields(options.Reading)}
        how = options.Reading(**{name: chosen[name] for name in known & chosen.keys()})
        opened = self.vae.codec.opened(given, how)
        windows = sum(len(each.windows) for each in opened)
        if windows > self.limits.windows:
            raise InputError(
                f"{windows} windows; here they are at most {self.limits.windows}: choose one by "
                "bar, or send a shorter clip"
            )
        return opened

    def _without_places(self, message: str, inputs: Sequence[str | Path]) -> str:
        """A message in which files have names alone."""
        if self.is_music:
            for path in (Path(each) for each in inputs if each):
                message = message.replace(str(path), path.name)
        for folder in (self.vae.bundle, self.vae.run):
            if folder is not None:
                message = message.replace(f"{folder}: ", "").replace(str(folder), "the model")
        return without_flags(message)


def without_flags(message: str) -> str:
    """A message in which fields are no flags."""
    return shortened(re.sub(r"(?<!\S)--(?=\w)", "", message))


class _OfThread(logging.Handler):
    """Keeps the warnings that one thread logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread, self.messages = threading.get_ident(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.messages.append(record.getMessage())


@contextlib.contextmanager
def warnings_here() -> Iterator[list[str]]:
    """The warnings that are logged within the block by this thread; other visitors see theirs."""
    handler, logger = _OfThread(), logging.getLogger("seqvae")
    logger.addHandler(handler)
    try:
        yield handler.messages
    finally:
        logger.removeHandler(handler)
