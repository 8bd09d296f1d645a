/*
 * The choice of a MIDI device. Needs controls.js, midi_out.js and stage.js.
 */
"use strict";

function midiFields() {
  const ports = html("select", { hidden: "", "aria-label": "MIDI device" });
  const channel = html("select", { hidden: "", "aria-label": "MIDI channel" },
    html("option", { value: 0 }, "a channel each"),
    Array.from({ length: 16 }, (_, i) => html("option", { value: i + 1 }, `channel ${i + 1}`)));
  const choose = (found) => {
    looper.output?.silence();
    const port = found[ports.selectedIndex - 1];
    looper.output = port ? new MidiOut(port, Number(channel.value)) : null;
  };
  const button = html("button", { type: "button", onclick: () => trying(async () => {
    const found = await midiPorts();
    if (!found.length) throw new Error("no MIDI device is connected, and no virtual port is open");
    ports.replaceChildren(html("option", {}, "this page"),
      ...found.map(({ name }) => html("option", {}, name)));
    for (const select of [ports, channel]) {
      select.hidden = false;
      select.onchange = () => choose(found);
    }
    button.hidden = true;
  }) }, "Play through MIDI…");
  return [button, ports, channel];
}
