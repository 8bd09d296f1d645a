/*
 * The page's side of the engine, which computes in a worker. Needs nothing else.
 *
 *   new Engine(source)               starts a worker of this source text
 *     .ask(question, data)           a promise of its answer
 *     .play(data, onPart)            onPart(answer) is called with more of it each time
 */
"use strict";

class Engine {
  constructor(source) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.waiting = new Map(); // what is done with the answers to questions, by their numbers
    this.count = 0;
  }

  receive({ id, error, ...answer }) {
    const waiting = this.waiting.get(id);
    if (!waiting) return;
    if (error) waiting.reject(new Error(error));
    else waiting.take(answer);
  }

  ask(question, data = {}) {
    return new Promise((resolve, reject) => {
      const id = this.send(question, data, (answer) => {
        this.waiting.delete(id);
        resolve(answer);
      }, (error) => {
        this.waiting.delete(id);
        reject(error);
      });
    });
  }

  /** Only the latest play is answered. */
  play(data, onPart) {
    this.waiting.delete(this.playing);
    this.playing = this.send("play", data, onPart);
  }

  send(ask, data, take, reject = (error) => { throw error; }) {
    const id = ++this.count;
    this.waiting.set(id, { take, reject });
    this.worker.postMessage({ ...data, id, ask });
    return id;
  }
}
