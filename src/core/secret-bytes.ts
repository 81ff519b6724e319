import { inspect } from 'node:util';

/**
 * Bytes that must not leak by accident: prints as `[secret]`, refuses JSON and string conversion, and is opened
 * only by `exposeBytes`/`exposeText`. Equality is constant-time for equal lengths.
 */
export class SecretBytes {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static fromText(text: string): SecretBytes {
    return new SecretBytes(Buffer.from(text, 'utf8'));
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, not a copy: the one way in. */
  exposeBytes(): Uint8Array {
    return this.#bytes;
  }

  exposeText(): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength).toString('utf8');
  }

  equals(other: SecretBytes): boolean {
    const a = this.#bytes;
    const b = other.#bytes;
    if (a.length !== b.length) return false;
    let difference = 0;
    for (let i = 0; i < a.length; i += 1) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
    return difference === 0;
  }

  /** Overwrites the bytes with zeros; the value must not be used afterwards. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): never {
    throw new TypeError('secret bytes do not go into JSON');
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
