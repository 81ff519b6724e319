/** A map of bounded size that forgets what was used longest ago. */
export class LruMap<V> {
  readonly #capacity: number;
  /** A Map keeps insertion order: re-inserting on use leaves the least used entry first. */
  readonly #entries = new Map<string, V>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    // While there is room to spare nothing will be forgotten soon, and the order need not be kept.
    if (value === undefined || this.#entries.size * 2 < this.#capacity) return value;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.#capacity) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
