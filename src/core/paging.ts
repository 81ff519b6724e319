import { Failure } from './errors.ts';

/** One page of a list, and where the next one starts. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Key of the last item when more follow: the next page starts strictly after it. */
  readonly next: string | undefined;
}

/** What a list request asks for. */
export interface PageRequest {
  /** 1 to 25. */
  readonly limit: number;
  /** Start strictly after this key; undefined for the first page. */
  readonly after: string | undefined;
}

/** Azure's default and largest page (LIMITS.md §2). */
export const largestPage = 25;

/**
 * Cuts a page out of `limit + 1` rows, so that a list that ends exactly at a page's end needs no further request.
 * A key-set position, unlike an offset, neither skips nor repeats items when others are added or removed.
 */
export function pageOf<T>(rows: readonly T[], limit: number, keyOf: (row: T) => string): Page<T> {
  if (rows.length <= limit) return { items: rows, next: undefined };
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: last === undefined ? undefined : keyOf(last) };
}

/** An opaque, URL-safe `$skiptoken` for the position `after` in the list named `list`. */
export function encodeSkipToken(list: string, after: string): string {
  return Buffer.from(JSON.stringify({ v: 1, list, after }), 'utf8').toString('base64url');
}

/** The position in a `$skiptoken`; refuses one that this server did not make for this very list. */
export function decodeSkipToken(list: string, token: string): string {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null && 'v' in parsed && parsed.v === 1) {
      const { list: madeFor, after } = parsed as { list?: unknown; after?: unknown };
      if (madeFor === list && typeof after === 'string' && encodeSkipToken(list, after) === token)
        return after;
    }
  } catch {
    // Falls through to the one refusal: what is wrong with a forged token is nobody's business.
  }
  throw new Failure('badParameter', 'The $skiptoken is not one that this list returned.');
}
