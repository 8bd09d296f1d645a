/*
 * A blind test: clips that the model has made among clips of the data. Needs elements.js.
 *
 *   new ListeningTest(clips)     `clips` are objects with an element and isSample
 *     .elements                  to be put on a page
 *
 * What a clip is shows once the listener has guessed. The page's CSS defines the classes guess,
 * right and wrong.
 */
"use strict";

class ListeningTest {
  numGuessed = 0;
  numRight = 0;

  constructor(clips) {
    this.score = html("span", { role: "status" });
    this.questions = clips.map((clip) => new Question(clip, (isRight) => this.count(isRight)));
    const reveal = html("button", { type: "button", onclick: () => this.reveal() }, "Show all");
    this.elements = [
      html("p", { class: "controls" }, reveal, this.score),
      html("ol", { class: "clips" }, clips.map(({ element }) => element)),
    ];
  }

  count(isRight) {
    this.numGuessed += 1;
    this.numRight += isRight;
    this.score.textContent = `${this.numRight} of ${this.numGuessed} guesses are right; ` +
      "chance alone gives half.";
  }

  reveal() {
    for (const question of this.questions) question.reveal();
  }
}

class Question {
  constructor({ element, isSample }, onGuess) {
    Object.assign(this, { isSample, onGuess, isOpen: true });
    const guess = (name, isRight) => html("button", {
      type: "button", onclick: () => this.answer(isRight),
    }, name);
    this.element = html("div", { class: "guess" },
      guess("From the data", !isSample), guess("From the model", isSample));
    element.append(this.element);
  }

  answer(isRight) {
    this.reveal(isRight ? "right" : "wrong");
    this.onGuess(isRight);
  }

  reveal(verdict = null) {
    if (!this.isOpen) return;
    this.isOpen = false;
    const label = this.isSample ? "from the model" : "from the data";
    this.element.replaceChildren(html("span", { class: verdict },
      verdict === null ? label : `${label}: you are ${verdict}`));
  }
}
