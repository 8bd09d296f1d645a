/*
 * Text <-> tokens, as the tokenizers of Python make them. Needs nothing else.
 *
 *   textTokensFor(grid)    the representation of a kind, from what Python writes of it
 *     .ids(text)           the tokens of a line, with the one that ends it
 *     .text(ids)           the other way round; what follows the end is ignored
 *
 * Subwords are those of a unigram model (Kudo 2018) with bytes for what it does not know.
 */
"use strict";

const SPACE = "\u2581"; // in subwords
const UNKNOWN_PENALTY = 10; // below the least likely subword
const UNKNOWN_SHOWN = " \u2047 ";

function textTokensFor(grid) {
  return new { words: Words, symbols: Symbols, text: Subwords }[grid.kind](grid);
}

class TextTokens {
  constructor(grid) { Object.assign(this, grid); }

  ids(text) {
    const ids = [...this.encode(text), this.eos];
    if (ids.length <= this.max_steps) return ids.map((id) => [id]);
    throw new Error(`that line is too long: it has ${ids.length - 1} tokens, and the model reads `
      + `${this.max_steps - 1}`);
  }

  text(ids) {
    const tokens = ids.map(([token]) => token);
    const end = tokens.indexOf(this.eos);
    return this.decode(end < 0 ? tokens : tokens.slice(0, end));
  }
}

class Words extends TextTokens {
  constructor(grid) {
    super(grid);
    this.numbers = new Map(this.words.map((word, id) => [word, id]));
    this.numbers.delete(this.words[this.eos]);
  }

  encode(text) {
    return text.split(/\s+/).filter(Boolean).map((word) => this.numbers.get(word) ?? this.unknown);
  }

  decode(tokens) { return tokens.map((token) => this.words[token]).join(" "); }
}

/** Characters, or the matches of an expression with characters between them. */
class Symbols extends TextTokens {
  constructor(grid) {
    super(grid);
    this.numbers = new Map(this.alphabet.map((symbol, i) => [symbol, i + 1]));
  }

  encode(text) {
    return (text.match(expressionOf(this.pattern)) ?? []).filter(Boolean).map((symbol) => {
      const id = this.numbers.get(symbol) ?? this.unknown;
      if (id === null) throw new Error(`“${symbol}” is not in the alphabet of the model`);
      return id;
    });
  }

  decode(tokens) { return tokens.map((token) => this.alphabet[token - 1]).join(""); }
}

/** Python takes escapes that Unicode's expressions do not; those of halves of characters do. */
function expressionOf(pattern) {
  const whole = `(?:${pattern})|[\\s\\S]`;
  try {
    return new RegExp(whole, "gu");
  } catch {
    return new RegExp(whole, "g");
  }
}

class Subwords extends TextTokens {
  constructor(grid) {
    super(grid);
    this.numbers = new Map();
    this.bytes = new Map(); // of each byte the token, and the other way round
    this.longest = 1;
    this.least = Infinity;
    this.pieces.forEach((piece, id) => {
      const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
      if (byte) this.bytes.set(parseInt(byte[1], 16), id);
      else if (id > this.eos) {
        this.numbers.set(piece, id);
        this.longest = Math.max(this.longest, [...piece].length);
        this.least = Math.min(this.least, this.scores[id]);
      }
    });
    this.byteOf = new Map([...this.bytes].map(([byte, id]) => [id, byte]));
  }

  /** The most likely way to cut the line (Viterbi). */
  encode(text) {
    if (!text) return [];
    const characters = [...(SPACE + text.replaceAll(" ", SPACE))];
    const best = [{ score: 0 }];
    const reach = (end, score, way) => {
      if (!best[end] || score > best[end].score) best[end] = { score, ...way };
    };
    characters.forEach((character, start) => {
      const from = best[start].score;
      let piece = "";
      for (let end = start + 1; end <= Math.min(start + this.longest, characters.length); end++) {
        piece += characters[end - 1];
        const id = this.numbers.get(piece);
        if (id !== undefined) reach(end, Math.fround(from + this.scores[id]), { start, ids: [id] });
      }
      if (this.numbers.has(character)) return;
      const bytes = [...new TextEncoder().encode(character)].map((byte) => this.bytes.get(byte));
      reach(start + 1, Math.fround(from + this.least - UNKNOWN_PENALTY), { start, ids: bytes });
    });
    const found = [];
    for (let end = characters.length; end > 0; end = best[end].start) found.push(best[end].ids);
    return found.reverse().flat();
  }

  decode(tokens) {
    let text = "";
    let hasBegun = false; // the first space is the tokenizer's own
    let bytes = [];
    for (const token of [...tokens, null]) {
      if (this.byteOf.has(token)) {
        bytes.push(this.byteOf.get(token));
        continue;
      }
      text += textOfBytes(bytes);
      bytes = [];
      if (token === null) break;
      const piece = token === this.unknown ? UNKNOWN_SHOWN : this.pieces[token];
      const isFirst = !hasBegun && !text && piece.startsWith(SPACE);
      hasBegun ||= isFirst;
      text += (isFirst ? piece.slice(1) : piece).replaceAll(SPACE, " ");
    }
    return text;
  }
}

/** UTF-8; a byte that belongs to no character is U+FFFD. */
function textOfBytes(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length;) {
    const size = [[0xf0, 4], [0xe0, 3], [0xc0, 2]].find(([lead]) => bytes[i] >= lead)?.[1] ?? 1;
    try {
      text += new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(Uint8Array.from(bytes.slice(i, i + size)));
      i += size;
    } catch {
      text += "\ufffd";
      i += 1;
    }
  }
  return text;
}
