"""A ReaScript: a variation of the selected MIDI item, by the model of `seqvae app`.

In REAPER: Actions, New action, Load ReaScript. `seqvae app MODEL` has to run. The variation comes
in at the end of the item. `VERB` and `SETTINGS` may be changed: they are the labels and values that
the DAW tab of the page is made from.
"""

import json
import tempfile
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import reaper_python as reaper  # type: ignore[import-not-found]  # of REAPER itself

ADDRESS = "http://127.0.0.1:7860/"
VERB = "vary"
SETTINGS: dict[str, Any] = {"Distance": 0.3, "Seed": ""}
TICKS = 960  # per quarter


def selected_notes(take: Any, start: float) -> list[tuple[int, int, int, int, int]]:
    """Start and end in ticks from the start of the item, channel, pitch and velocity."""
    notes = []
    count = reaper.RPR_MIDI_CountEvts(take, 0, 0, 0)[2]
    for index in range(count):
        found = reaper.RPR_MIDI_GetNote(take, index, 0, 0, 0, 0, 0, 0, 0)
        muted, begin, end, channel, pitch, velocity = found[4:10]
        if muted:
            continue
        ticks = [
            round((reaper.RPR_MIDI_GetProjQNFromPPQPos(take, each) - start) * TICKS)
            for each in (begin, end)
        ]
        notes.append((max(ticks[0], 0), ticks[1], channel, pitch, velocity))
    return notes


def midi_file(notes: list[tuple[int, int, int, int, int]], qpm: float) -> bytes:
    """A MIDI file of one track."""
    events = [(0, 0, b"\xff\x51\x03" + round(60e6 / qpm).to_bytes(3, "big"))]
    for begin, end, channel, pitch, velocity in notes:
        events.append((begin, 2, bytes([0x90 | channel, pitch, velocity])))
        events.append((max(end, begin + 1), 1, bytes([0x80 | channel, pitch, 0])))
    track, now = b"", 0
    for tick, _, event in sorted(events):
        track += variable_length(tick - now) + event
        now = tick
    track += b"\0\xff\x2f\0"
    head = b"MThd" + (6).to_bytes(4, "big") + b"\0\0\0\1" + TICKS.to_bytes(2, "big")
    return head + b"MTrk" + len(track).to_bytes(4, "big") + track


def variable_length(number: int) -> bytes:
    """Seven bits a byte, the last without the eighth."""
    last = bytes([number & 0x7F])
    number >>= 7
    while number:
        last = bytes([number & 0x7F | 0x80]) + last
        number >>= 7
    return last


def ask(place: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
    """What the page answers."""
    request = urllib.request.Request(ADDRESS + "gradio_api/" + place, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=120) as answer:
        told: bytes = answer.read()
    return told


def call(endpoint: str, values: list[Any]) -> Any:
    """The answer of an endpoint, which comes as the last of several events."""
    number = json.loads(ask(f"call/{endpoint}", json.dumps({"data": values}).encode()))["event_id"]
    last = ask(f"call/{endpoint}/{number}").decode().strip().split("\n\n")[-1]
    event, data = (line.split(": ", 1)[1] for line in last.splitlines()[:2])
    if event != "complete":
        raise RuntimeError(f"seqvae: {data}")
    return json.loads(data)[0]


def upload(content: bytes) -> dict[str, Any]:
    """A file as an endpoint takes it."""
    edge = uuid.uuid4().hex
    head = 'Content-Disposition: form-data; name="files"; filename="item.mid"'
    body = f"--{edge}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{edge}--\r\n".encode()
    (path,) = json.loads(ask("upload", body, f"multipart/form-data; boundary={edge}"))
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def changed(content: bytes) -> bytes:
    """A MIDI file as the model changes it."""
    chosen = SETTINGS | {"Verb": VERB, "Clip": upload(content)}
    controls = call("controls", [])["inputs"]
    values = [chosen.get(control["label"], control.get("value")) for control in controls]
    return ask("file=" + call("process", values)["path"])


def main() -> None:
    """Put the variation behind the selected item."""
    item = reaper.RPR_GetSelectedMediaItem(0, 0)
    take = reaper.RPR_GetActiveTake(item)
    if not reaper.RPR_TakeIsMIDI(take):
        reaper.RPR_ShowMessageBox("Select a MIDI item first.", "seqvae", 0)
        return
    begin = reaper.RPR_GetMediaItemInfo_Value(item, "D_POSITION")
    end = begin + reaper.RPR_GetMediaItemInfo_Value(item, "D_LENGTH")
    notes = selected_notes(take, reaper.RPR_TimeMap2_timeToQN(0, begin))
    file = Path(tempfile.mkdtemp(prefix="seqvae_")) / f"{VERB}.mid"
    file.write_bytes(changed(midi_file(notes, reaper.RPR_Master_GetTempo())))
    reaper.RPR_SetEditCurPos(end, False, False)
    reaper.RPR_InsertMedia(str(file), 0)


main()
