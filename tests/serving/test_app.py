"""The page over the loopback, as `gradio_client` and HARP use it."""

import gc
import json
import queue
import socket
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from trained import Trained

from seqvae import cli
from seqvae.errors import InputError
from seqvae.model.watching import Watcher
from seqvae.music.midi import read_midi
from seqvae.serving import app, forms, harp, workshop
from seqvae.serving.desk import Desk
from seqvae.serving.uploads import MAX_BYTES, private_folder
from seqvae.serving.workshop import Made, Order

gradio_client = pytest.importorskip("gradio_client", reason="the extra app is not installed")
AppError = gradio_client.exceptions.AppError
SCRIPT = Path(__file__).parents[2] / "scripts/reaper/seqvae_vary.py"
pytestmark = pytest.mark.filterwarnings("ignore")  # those of Gradio are not ours


@pytest.fixture(scope="module")
def address(melodies: Trained) -> Iterator[str]:
    """A page that other programs reach."""
    with private_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("default")
        page = app.build(Desk(melodies.vae), "tiny", folder)
        app.launch(page, host="127.0.0.1", port=None, browser=False)
        yield page.local_url
        page.close(verbose=False)
        del page
    with warnings.catch_warnings():  # Gradio leaves sockets and event loops to the collector
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("downloads")
    return gradio_client.Client(address, verbose=False, download_files=str(folder))


def bytes_of(clip: Any, folder: Path) -> bytes:
    clip.write(str(folder / "clip.mid"))
    return (folder / "clip.mid").read_bytes()


def test_a_verb_is_an_endpoint_with_its_options(
    client: Any, melodies: Trained, tmp_path: Path
) -> None:
    frame, files = client.predict(n=2, seed="1", temperature=0.8, api_name="/sample")
    expected = melodies.vae.sample(2, seed=1, temperature=0.8)
    assert [Path(file).name for file in files] == ["sample_00.mid", "sample_01.mid"]
    assert [Path(file).read_bytes() for file in files] == [
        bytes_of(clip, tmp_path) for clip in expected
    ]
    assert "sandbox" in frame
    tune = next(melodies.source.glob("*.mid"))
    table, where = client.predict(
        inputs=[gradio_client.handle_file(tune)], iw_samples=2, api_name="/score"
    )
    (score,) = melodies.vae.score(tune, iw_samples=2)
    assert table["data"] == [[tune.name, round(score.per_event, 4), round(score.per_step, 4)]]
    assert "bar 1, beat 1<rt>" in where


def test_harp_gets_what_python_gets(client: Any, melodies: Trained, tmp_path: Path) -> None:
    told = client.predict(api_name="/controls")
    assert told == json.loads(
        json.dumps(
            harp.description(Desk(melodies.vae), "tiny", app.about_model(melodies.vae.bundle))
        )
    )
    tune = next(melodies.source.glob("*.mid"))
    given = [gradio_client.handle_file(tune), None, None]
    given += [control["value"] for control in told["inputs"][3:]]
    names = [control["label"] for control in told["inputs"]]
    given[names.index("Seed")] = "4"
    file = client.predict(*given, api_name="/process")
    expected = melodies.vae.vary(tune, n=1, seed=4)[0]
    assert Path(file).read_bytes() == bytes_of(expected, tmp_path)
    assert client.predict(api_name="/cancel") in (None, ())


def test_harp_gets_the_clip_of_every_verb(client: Any, melodies: Trained, tmp_path: Path) -> None:
    told = client.predict(api_name="/controls")
    one, two, three = sorted(melodies.source.glob("*.mid"))[:3]
    names = [control["label"] for control in told["inputs"]]
    vae = melodies.vae
    expected = {
        "sample": vae.sample(1, seed=3, temperature=0.0)[0],
        "reconstruct": vae.reconstruct(one, bar=1)[0],
        "complete": vae.complete(one, n=1, seed=3, temperature=0.0)[0],
        "interpolate": vae.interpolate(one, two, num_steps=2, bar=1)[1],
        "blend": vae.blend([one, two, three], num_steps=2, bar=1)[1],
        "analogy": vae.analogy(one, two, three, bar=1)[0],
    }
    verbs = dict(told["inputs"][names.index("Verb")]["choices"])
    assert {*verbs} == {*expected} | {"vary"}
    for verb, clip in expected.items():
        chosen = {"Verb": verb, "Seed": "3", "Bar": "1", "Number of steps": 2}
        chosen["Step"] = 2 if verb in ("interpolate", "blend") else 1
        given = [gradio_client.handle_file(each) for each in (one, two, three)]
        given += [chosen.get(control["label"], control["value"]) for control in told["inputs"][3:]]
        file = client.predict(*given, api_name="/process")
        assert Path(file).read_bytes() == bytes_of(clip, tmp_path), verb


def test_a_model_of_ones_own_comes_as_an_archive(
    client: Any, melodies: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered: list[Order] = []

    def in_a_process(order: Order, stop: Any, watcher: Watcher, seconds: float) -> Made:
        ordered.append(order)
        assert len([*order.clips.rglob("*.mid")]) == 3
        watcher(0, 2)
        watcher(1, 2)
        archive, clip = (order.place / name for name in ("my_tiny.zip", "my_tiny_00.mid"))
        archive.write_bytes(b"PK")
        clip.write_bytes(tunes[0].read_bytes())
        return Made("| table |", "<iframe>", [clip], archive, ["few"])

    monkeypatch.setattr(workshop, "in_a_process", in_a_process)
    tunes = sorted(melodies.source.glob("*.mid"))[:3]
    given = [gradio_client.handle_file(tune) for tune in tunes]
    told, archive, frame, clips = client.predict(inputs=given, base="tiny", api_name="/personal")
    assert (told, frame) == ("| table |", "<iframe>")
    assert Path(archive).name == "my_tiny.zip"
    assert [Path(clip).read_bytes() for clip in clips] == [tunes[0].read_bytes()]
    assert ordered[0].base == "tiny"
    assert not ordered[0].clips.exists()
    with pytest.raises(AppError, match=r"other is not in the list of choices"):
        client.predict(inputs=given, base="other", api_name="/personal")


def test_how_long_a_model_takes_is_told_once_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    now = iter((100.0, 100.0, 110.0))
    monkeypatch.setattr(forms, "time", SimpleNamespace(monotonic=lambda: next(now)))
    tell = forms.time_told(lambda *step, **more: told.append((*step, more["desc"])))
    tell(0, 8)
    tell(3, 8)
    assert told == [((0, 8), "begins"), ((3, 8), "about 20 s left")]


def test_mistakes_are_one_line(client: Any) -> None:
    with pytest.raises(AppError, match=r"^n is 2.5; it must be a whole number$"):
        client.predict(n=2.5, api_name="/sample")
    with pytest.raises(AppError, match=r"^vary takes 1 clip; there are 0$"):
        client.predict(verb="vary", api_name="/process")


class Reaper(SimpleNamespace):
    """The part of REAPER that a script of ours sees: an item with four notes, one of them muted."""

    def __init__(self) -> None:
        notes = [(i * 480, i * 480 + 240, 0, 60 + i, 80) for i in range(4)]
        self.inserted: list[tuple[str, float]] = []
        self.cursor = 0.0
        super().__init__(
            RPR_GetSelectedMediaItem=lambda *_: "item", RPR_GetActiveTake=lambda _: "take",
            RPR_TakeIsMIDI=lambda _: True, RPR_Master_GetTempo=lambda: 100.0,
            RPR_GetMediaItemInfo_Value=lambda _, name: {"D_POSITION": 2.4, "D_LENGTH": 4.8}[name],
            RPR_TimeMap2_timeToQN=lambda _, time: time * 100 / 60,
            RPR_MIDI_CountEvts=lambda *_: (True, "take", len(notes), 0, 0),
            RPR_MIDI_GetNote=lambda _, i, *more: (True, "take", i, False, i == 3, *notes[i]),
            RPR_MIDI_GetProjQNFromPPQPos=lambda _, ppq: 4 + ppq / 480,
            RPR_SetEditCurPos=lambda time, *_: setattr(self, "cursor", time),
            RPR_InsertMedia=lambda file, _: self.inserted.append((file, self.cursor)),
        )  # fmt: skip


def test_a_script_of_reaper_gets_its_variation(
    address: str, melodies: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaper = Reaper()
    monkeypatch.setitem(sys.modules, "reaper_python", reaper)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = SCRIPT.read_text(encoding="utf-8").replace("http://127.0.0.1:7860/", address)
    script = ModuleType("script")
    exec(source.replace('"Seed": ""', '"Seed": "4"'), script.__dict__)
    ((file, cursor),) = reaper.inserted
    assert cursor == pytest.approx(7.2)
    sent = tmp_path / "sent.mid"
    notes = [(i * 960, i * 960 + 480, 0, 60 + i, 80) for i in range(3)]
    sent.write_bytes(script.__dict__["midi_file"](notes, 100.0))
    assert [note["pitch"] for note in read_midi(sent, 4).notes] == [60, 61, 62]
    expected = melodies.vae.vary(sent, n=1, seed=4)[0]
    assert Path(file).read_bytes() == bytes_of(expected, tmp_path)


def post(address: str, place: str, body: bytes, kind: str) -> Any:
    request = urllib.request.Request(address + place, body, {"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.mark.parametrize("place", [__file__, "/etc/passwd", "../" * 9 + "etc/passwd"])
def test_no_file_of_the_server_is_reached(address: str, client: Any, place: str) -> None:
    for path in (f"gradio_api/file={place}", f"file={place}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + path)
        assert refused.value.code in (403, 404)
    data = {"path": place, "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError, match=r"not uploaded|does not exist|Invalid file|Error") as caught:
        client.predict(clip=data, verb="vary", api_name="/process")
    assert "root" not in str(caught.value)


def test_large_uploads_are_refused(address: str) -> None:
    kind = "multipart/form-data; boundary=x"
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mid"\r\n\r\n'
    for size, fits in ((1000, True), (MAX_BYTES + 1000, False)):
        body = head + b"M" * size + b"\r\n--x--\r\n"
        if fits:
            (place,) = post(address, "gradio_api/upload", body, kind)
            assert Path(place).stat().st_size == size
        else:
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(address, "gradio_api/upload", body, kind)
            assert refused.value.code == 413


def test_a_cancelled_request_ends(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    call = Desk.call

    def slow(self: Desk, verb: str, *given: Any, visitor: str, **rest: Any) -> Any:
        def watcher(step: int, num_steps: int) -> None:
            if step == 3 and not ended:
                self.cancel(visitor)  # as the button does
                ended.append(visitor)

        return call(self, verb, *given, visitor=visitor, **rest | {"watcher": watcher})

    monkeypatch.setattr(Desk, "call", slow)
    with pytest.raises(AppError, match=r"^cancelled$"):
        client.predict(n=1, api_name="/sample")
    assert ended[0].startswith("session ")
    ended.clear()
    with pytest.raises(AppError, match=r"^cancelled$"):
        client.predict(verb="sample", api_name="/process")
    assert ended == ["address 127.0.0.1"]


def test_whoever_closes_the_page_waits_for_nothing(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(Desk, "cancel", lambda _, visitor: left.put(visitor))
    with urllib.request.urlopen(f"{address}gradio_api/heartbeat/abc") as page:
        assert page.readline() == b"data: ALIVE\n"
    assert left.get(timeout=60) == "session abc"


def test_a_visitor_is_known_by_session_or_address() -> None:
    request = SimpleNamespace(
        session_hash="abc", headers={}, client=SimpleNamespace(host="10.0.0.1")
    )
    assert forms.visitor_of(request) == "session abc"
    assert forms.visitor_of(request, session=False) == "address 10.0.0.1"
    request.headers = {"x-forwarded-for": "1.2.3.4, 10.0.0.1"}
    assert forms.visitor_of(request, session=False) == "address 1.2.3.4"


def test_without_gradio_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, melodies: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match="pip install"):
        app.imported()
    monkeypatch.setattr(sys, "argv", ["seqvae", "app", str(melodies.run)])
    with pytest.raises(SystemExit):
        cli.main()
    assert "seqvae app needs Gradio" in capsys.readouterr().err


def test_a_port_that_is_in_use_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, melodies: Trained
) -> None:
    """Before the model is loaded; and where another program was faster, after it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = f"^port {port} is in use; name another with --port$"
        with pytest.raises(InputError, match=said):
            app.serve(Path("no model"), "127.0.0.1", port, browser=False)

    def launch(page: Any, **settings: Any) -> None:
        raise OSError("Cannot find empty port in range: ... launch().")

    monkeypatch.setattr(app, "build", lambda *_: None)
    monkeypatch.setattr(app, "launch", launch)
    with pytest.raises(InputError, match=said):
        app.serve(melodies.run, "127.0.0.1", port, browser=False)
    with pytest.raises(InputError, match=r"^no port from 7860 on is free; name another with"):
        app.serve(melodies.run, "127.0.0.1", None, browser=False)
