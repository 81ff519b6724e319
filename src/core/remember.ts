/** Remembering what a pure function made, in bounded memory: it makes things faster, and never different. */

/** What is remembered: results for texts of at most `longest` UTF-16 units, `most` of them. */
export interface MemoryLimits {
  readonly longest: number;
  readonly most: number;
}

/**
 * `make`, remembering its results within `limits`. Beyond `most` all are forgotten at once, so that no caller can fill
 * the memory; what `make` throws is not remembered.
 */
export function remember<V>(limits: MemoryLimits, make: (text: string) => V): (text: string) => V {
  const known = new Map<string, V>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    if (text.length > limits.longest) return make(text);
    const own = copyOf(text);
    const made = make(own);
    if (known.size >= limits.most) known.clear();
    known.set(own, made);
    return made;
  };
}

/** The text in memory of its own: a part of a long text would keep the whole of it alive. JSON loses no UTF-16 unit. */
function copyOf(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

/** `make`, remembering its result for each object for as long as the object lives; the objects must not change. */
export function rememberByIdentity<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make(key);
    known.set(key, made);
    return made;
  };
}
