/** Requests as plain data, so that the threads of the load can make their bytes. */

/** One request, or many that differ in one place. */
export interface Template {
  readonly before: string;
  /** What stands between the two parts, in turn; without it every request is the same. */
  readonly fills?: readonly string[];
  readonly after: string;
}

/** The templates take turns, and each of them its fills. */
export type Plan = readonly Template[];

export interface RequestHead {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
}

/** The text of an HTTP/1.1 request. */
export function requestText({ host, method, path, headers }: RequestHead, body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers, ...length, '', body].join('\r\n');
}

/** A template of the request, in whose head `{}` stands for the fills. */
export function template(head: RequestHead, { fills, body }: Filling = {}): Template {
  const text = requestText(head, body);
  if (fills === undefined) return { before: text, after: '' };
  const at = text.indexOf('{}');
  return { before: text.slice(0, at), fills, after: text.slice(at + 2) };
}

interface Filling {
  readonly fills?: readonly string[];
  readonly body?: string;
}

/** A function that answers the bytes of the n-th request, from 0. */
export function compile(plan: Plan): (n: number) => Buffer {
  const makers = plan.map(({ before, fills, after }) => {
    if (fills !== undefined) return (n: number) => Buffer.from(before + fills[n % fills.length] + after);
    const bytes = Buffer.from(before + after);
    return () => bytes;
  });
  return (n) => makers[n % makers.length]?.(Math.floor(n / makers.length)) ?? Buffer.alloc(0);
}
