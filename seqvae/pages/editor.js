/*
 * A piano roll whose notes can be moved. Needs elements.js and roll.js.
 *
 *   new RollEditor(grid, { onEdit, onChoose })      grid: { numSteps, stepsPerQuarter, stepsPerBar, drums,
 *                                         drumPitches, voices, hasPitches, programOf(voice) }
 *     .element
 *     .setNotes(notes) .setGrid(changes) .movePlayhead(steps) .showPlayhead(isPlaying)
 *
 * A click on an empty place adds a note, a double click removes one; a note is dragged to move it,
 * and its end to make it longer. Of drums a click adds or removes a hit. By key: left and right
 * choose a note, up and down change its pitch, Shift with left and right moves it, Delete removes
 * it. onEdit(notes) is called after each change, onChoose(note) where a note is chosen or gets
 * another pitch. The page's CSS defines the classes editor, names,
 * keys, lanes, black, note, chosen and playhead.
 */
"use strict";

const PITCH_HEIGHTS = [6, 13]; // pixels of a row, where there are many and where there are few
const MOST_HEIGHT = 340; // pixels of all rows of pitches, as far as they can be so low
const DRUM_ROW = 20; // pixels
const READABLE = 9; // pixels of a row with a name of its own
const MIN_STEP_WIDTH = 9; // pixels; longer clips scroll
const MIN_PITCH_ROWS = 18;
const END_REACH = 9; // pixels from the end of a note by which it is made longer
const NEW_LENGTH = 2; // steps of a new note
const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);

class RollEditor {
  constructor(grid, { onEdit, onChoose }) {
    Object.assign(this, { grid, onEdit, onChoose, notes: [], chosen: null, voice: 0 });
    [this.low, this.high] = [60, 60 + MIN_PITCH_ROWS];
    this.names = svg("svg", { class: "names", "aria-hidden": "true" });
    this.picture = svg("svg", { class: "lanes", tabindex: 0, role: "application" });
    this.playhead = html("div", { class: "playhead" });
    this.said = html("p", { class: "unseen", "aria-live": "polite" });
    this.scroll = html("div", { class: "lane-scroll" }, html("div", { class: "lane-box" },
      this.picture, this.playhead));
    this.element = html("div", { class: "editor" }, this.names, this.scroll, this.said);
    this.picture.addEventListener("pointerdown", (event) => this.onDown(event));
    this.picture.addEventListener("dblclick", (event) => this.onDouble(event));
    this.picture.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(this.scroll);
  }

  setNotes(notes) {
    const { chosen } = this;
    this.notes = notes;
    this.chosen = chosen && (notes.find((note) =>
      note.start === chosen.start && note.pitch === chosen.pitch) ?? null);
    this.fitRange();
    this.draw();
  }

  setGrid(changes) {
    Object.assign(this.grid, changes);
    this.draw();
  }

  /** The rows move only where notes would lie outside, so that the picture is calm. */
  fitRange() {
    const pitches = this.notes.filter(({ drum }) => drum === null).map(({ pitch }) => pitch);
    if (!pitches.length) return;
    const [least, most] = [Math.min(...pitches), Math.max(...pitches)];
    const isWide = this.high - this.low > Math.max(most - least + 12, MIN_PITCH_ROWS + 6);
    if (least >= this.low + 1 && most <= this.high - 1 && !isWide) return;
    const spare = Math.max(2, Math.ceil((MIN_PITCH_ROWS - (most - least)) / 2));
    this.low = Math.max(least - spare, 0);
    this.high = Math.min(most + spare, 127);
  }

  get numPitchRows() { return this.grid.hasPitches ? this.high - this.low + 1 : 0; }

  get pitchRow() {
    const [low, high] = PITCH_HEIGHTS;
    return this.within(MOST_HEIGHT / this.numPitchRows, low, high);
  }

  get drumsTop() { return this.numPitchRows * this.pitchRow + (this.numPitchRows ? 6 : 0); }

  /** Top and height of a note's row, in pixels. */
  rowOf({ drum, pitch }) {
    if (drum === null) return [(this.high - pitch) * this.pitchRow, this.pitchRow];
    const row = Math.max(this.grid.drums.length - 1 - this.grid.drums.indexOf(drum), 0);
    return [this.drumsTop + row * DRUM_ROW, DRUM_ROW];
  }

  draw() {
    const { numSteps, drums } = this.grid;
    const width = Math.max(this.scroll.clientWidth, numSteps * MIN_STEP_WIDTH);
    if (!width) return;
    const height = this.drumsTop + drums.length * DRUM_ROW + 20;
    Object.assign(this, { width, height, stepWidth: width / numSteps });
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    Object.assign(this.picture.style, { width: `${width}px`, height: `${height}px` });
    this.picture.setAttribute("aria-label",
      `Notes. ${this.describe()}. Left and right choose a note, up and down change its pitch.`);
    this.picture.replaceChildren(...this.lanes(), ...this.lines(),
      ...this.notes.map((note) => this.box(note)));
    this.drawNames();
  }

  describe() {
    const { notes } = this;
    return describeClip({ notes, numSteps: this.grid.numSteps, stepsPerBar: this.grid.stepsPerBar });
  }

  lanes() {
    return Array.from({ length: this.numPitchRows }, (_, row) => this.high - row)
      .filter((pitch) => BLACK_KEYS.has(pitch % 12)).map((pitch) => svg("rect", { class: "black",
        x: 0, width: this.width, y: (this.high - pitch) * this.pitchRow,
        height: this.pitchRow }));
  }

  /** A line for each beat and bar, below each C, and between drums. */
  lines() {
    const { numSteps, stepsPerQuarter, stepsPerBar, drums } = this.grid;
    const lines = [];
    const bottom = this.height - 20;
    for (let step = 0; step < numSteps; step += stepsPerQuarter) {
      const isBar = step % stepsPerBar === 0;
      const x = step * this.stepWidth;
      lines.push(svg("line", { x1: x, x2: x, y1: 0, y2: bottom + (isBar ? 20 : 0),
        class: isBar ? "bar" : null }));
      const beat = step % stepsPerBar / stepsPerQuarter + 1;
      const text = isBar ? String(step / stepsPerBar + 1) : `.${beat}`;
      if (isBar || this.stepWidth * stepsPerQuarter > 34) {
        lines.push(svg("text", { x: x + 4, y: bottom + 14, class: isBar ? "bar" : null }, text));
      }
    }
    for (let pitch = this.low; pitch <= this.high && this.numPitchRows; pitch++) {
      if (pitch % 12) continue;
      const y = (this.high - pitch + 1) * this.pitchRow;
      lines.push(svg("line", { x1: 0, x2: this.width, y1: y, y2: y, class: "octave" }));
    }
    drums.forEach((_, row) => {
      const y = this.drumsTop + row * DRUM_ROW;
      lines.push(svg("line", { x1: 0, x2: this.width, y1: y, y2: y }));
    });
    return lines;
  }

  drawNames() {
    const labels = [];
    const write = (y, text, isStrong) => labels.push(svg("text", { x: 58, y,
      class: isStrong ? "bar" : null }, text));
    for (let pitch = this.low; pitch <= this.high && this.numPitchRows; pitch++) {
      if (this.pitchRow < READABLE ? pitch % 12 : BLACK_KEYS.has(pitch % 12)) continue;
      write((this.high - pitch) * this.pitchRow + 0.75 * this.pitchRow, pitchName(pitch), pitch % 12 === 0);
    }
    for (const drum of this.grid.drums) {
      write(this.rowOf({ drum })[0] + 14, drum.replace(" hi-hat", " hat"), false);
    }
    this.names.setAttribute("viewBox", `0 0 62 ${this.height}`);
    this.names.style.height = `${this.height}px`;
    this.names.replaceChildren(...labels);
  }

  box(note) {
    const [top, height] = this.rowOf(note);
    const isChosen = note === this.chosen;
    const colour = note.drum === null ? `voice-${(note.voice ?? 0) % NUM_VOICE_COLOURS}` : "drum";
    const box = svg("rect", {
      class: isChosen ? "note chosen" : "note", rx: 3,
      x: note.start * this.stepWidth + 0.75, y: top + 1, height: height - 2,
      width: Math.max(note.length * this.stepWidth - 1.5, 4),
      style: `fill:var(--${colour});opacity:${(0.45 + 0.55 * note.velocity / 127).toFixed(2)}`,
    }, svg("title", {}, nameOf(note)));
    box.note = note;
    return box;
  }

  movePlayhead(steps) {
    const { stepsPerQuarter } = this.grid;
    const place = calmMotion.matches ? Math.floor(steps / stepsPerQuarter) * stepsPerQuarter : steps;
    this.playhead.style.transform = `translateX(${place * this.stepWidth}px)`;
  }

  showPlayhead(isPlaying) { this.element.classList.toggle("playing", isPlaying); }

  // Changes

  placeOf(event) {
    const box = this.picture.getBoundingClientRect();
    return [(event.clientX - box.left) / this.stepWidth, event.clientY - box.top];
  }

  onDown(event) {
    if (event.button) return;
    const [begin, top] = this.placeOf(event);
    const { note } = event.target;
    if (!note) {
      this.awaitClick(event, () => this.addAt(Math.floor(begin), top));
      return;
    }
    if (note.drum !== null) {
      this.awaitClick(event, () => this.remove(note));
      return;
    }
    event.preventDefault();
    this.picture.focus();
    this.choose(note);
    const reach = Math.min(END_REACH, note.length * this.stepWidth / 3);
    const isEnd = (note.start + note.length - begin) * this.stepWidth < reach;
    const before = { ...note };
    this.whileDragged(event, (step, y) => {
      const steps = Math.round(step - begin);
      if (isEnd) note.length = this.within(before.length + steps, 1, this.grid.numSteps - note.start);
      else {
        note.start = this.within(before.start + steps, 0, this.grid.numSteps - note.length);
        const pitch = this.within(before.pitch - Math.round((y - top) / this.pitchRow), 0, 127);
        if (pitch !== note.pitch) this.onChoose(Object.assign(note, { pitch }));
      }
      this.draw();
    }, () => {
      if (Object.keys(before).some((name) => before[name] !== note[name])) this.edited();
    });
  }

  within(value, low, high) { return Math.min(Math.max(value, low), high); }

  /** A click, if the pointer is let go where it was pressed: a finger may want to scroll. */
  awaitClick(event, act) {
    const up = (end) => {
      const far = Math.hypot(end.clientX - event.clientX, end.clientY - event.clientY);
      if (end.type === "pointerup" && far < 6) act();
      for (const kind of ["pointerup", "pointercancel"]) removeEventListener(kind, up);
    };
    for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, up);
  }

  whileDragged(event, move, end) {
    const { pointerId } = event;
    const onMove = (moved) => { if (moved.pointerId === pointerId) move(...this.placeOf(moved)); };
    const onUp = () => {
      removeEventListener("pointermove", onMove);
      for (const kind of ["pointerup", "pointercancel"]) removeEventListener(kind, onUp);
      end();
    };
    addEventListener("pointermove", onMove);
    for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, onUp);
  }

  addAt(step, top) {
    const { grid } = this;
    if (step < 0 || step >= grid.numSteps || top > this.height - 20) return;
    const note = { start: step, velocity: 80, program: 0, voice: this.voice };
    if (grid.drums.length && top >= this.drumsTop) {
      const row = Math.floor((top - this.drumsTop) / DRUM_ROW);
      const number = grid.drums.length - 1 - row;
      if (number < 0 || number >= grid.drums.length) return;
      Object.assign(note, { length: 1, drum: grid.drums[number], pitch: grid.drumPitches[number],
        voice: grid.voices.indexOf("drums") });
    } else {
      Object.assign(note, { length: Math.min(NEW_LENGTH, grid.numSteps - step), drum: null,
        pitch: this.high - Math.floor(top / this.pitchRow), program: grid.programOf(this.voice) });
    }
    this.notes = [...this.notes, note];
    this.choose(note);
    this.edited();
  }

  onDouble(event) {
    const { note } = event.target;
    if (note && note.drum === null) this.remove(note);
  }

  remove(note) {
    this.notes = this.notes.filter((other) => other !== note);
    this.chosen = null;
    this.edited();
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const { chosen, notes } = this;
    if (step && event.shiftKey && chosen) {
      chosen.start = this.within(chosen.start + step, 0, this.grid.numSteps - chosen.length);
    } else if (step) {
      event.preventDefault();
      const next = chosen ? notes.indexOf(chosen) + step : step > 0 ? 0 : notes.length - 1;
      if (notes[next]) this.choose(notes[next]);
      return;
    } else if (up && chosen && chosen.drum === null) {
      chosen.pitch = this.within(chosen.pitch + up, 0, 127);
      this.onChoose(chosen);
    } else if (chosen && (event.key === "Delete" || event.key === "Backspace")) {
      event.preventDefault();
      this.remove(chosen);
      return;
    } else return;
    event.preventDefault();
    this.edited();
  }

  choose(note) {
    this.chosen = note;
    if (note.drum === null) this.voice = note.voice ?? 0;
    this.said.textContent = `${nameOf(note)}, step ${note.start + 1}`;
    this.onChoose(note);
    this.draw();
  }

  edited() {
    this.draw();
    this.onEdit(this.notes.map((note) => ({ ...note })));
  }
}

function nameOf({ drum, pitch, velocity }) { return `${drum ?? pitchName(pitch)}, velocity ${velocity}`; }
