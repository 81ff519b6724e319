/** The target of a request, taken apart. Clients ask for the same things again and again: these are parsed once. */
import { remember } from '../core/remember.ts';

/** A parsed query, for reading only: requests with the same text share it. */
export type Query = Pick<URLSearchParams, 'get' | 'getAll' | 'has'>;

export interface RequestTarget {
  /** As sent. */
  readonly path: string;
  readonly query: Query;
}

/** Takes a request's URL apart at the first `?`. */
export type TargetParser = (url: string) => RequestTarget;

const usualTargets = { longest: 256, most: 2048 };
/** An api-version and little else: one entry serves the targets of many objects. */
const usualQueries = { longest: 64, most: 256 };

export function createTargetParser(): TargetParser {
  const parseQuery = remember(usualQueries, (text) => new URLSearchParams(text));
  return remember(usualTargets, (url) => {
    const mark = url.indexOf('?');
    return mark < 0
      ? { path: url, query: parseQuery('') }
      : { path: url.slice(0, mark), query: parseQuery(url.slice(mark + 1)) };
  });
}
