// What can go wrong, as a code that `texts.js` has a sentence for.

export class Problem extends Error {
  constructor(code, detail = "") {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }

  static of(error) {
    return error instanceof Problem ? error : new Problem("unexpected", String(error));
  }

  plain() {
    return { code: this.code, detail: this.detail };
  }
}
