/** What the JSON of all providers of the management plane has in common: bodies, times, lists. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { decodeSkipToken, encodeSkipToken } from '../../core/paging.ts';
import { readText } from '../body.ts';
import { bodyChecks } from '../body-issues.ts';
import type { Exchange } from '../exchange.ts';
import type { ManagementCall, ManagementReply } from './route.ts';

/** Azure's limit of a request to the management plane. */
const largestBody = 4 * 1024 * 1024;

/** The body, checked; throws in the gateway's words for what is no JSON or not of this shape. */
export async function readBody<S extends v.GenericSchema>(
  schema: S,
  exchange: Exchange,
): Promise<v.InferOutput<S>> {
  const type = exchange.request.headers['content-type'];
  if (type !== undefined && !/^application\/(?:[\w.+-]+\+)?json\b/i.test(type))
    throw new Failure(
      'unsupportedMediaType',
      'The content media type is not supported. Only application/json is.',
    );
  const text = await readText(exchange, largestBody);
  if (text.trim() === '') throw invalidContent('the body is missing');
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // The parser's own message would quote the body, which may hold a secret.
    throw invalidContent('the body is not valid JSON');
  }
  const result = v.safeParse(schema, body, bodyChecks);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = issue.path?.map(({ key }) => String(key)).join('.') ?? '';
  throw invalidContent(path === '' ? issue.message : `${path.slice(0, 256)}: ${issue.message}`);
}

function invalidContent(why: string): Failure {
  return new Failure(
    'invalidRequestContent',
    `The request content was invalid and could not be deserialized: '${why}'.`,
  );
}

function isTags(input: unknown): input is Readonly<Record<string, string>> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return false;
  return Object.values(input).every((value) => typeof value === 'string');
}

/** Tags, whose rules are the domain's. The library's records leave out names such as `constructor` without a word. */
export const tagsSchema = v.custom<Readonly<Record<string, string>>>(
  isTags,
  'It must be an object whose members are strings.',
);

/** One of the words, in any case; the word as it stands here comes out. */
export function wordSchema<const W extends string>(words: readonly W[], message: string) {
  return v.pipe(
    v.string(message),
    v.transform((text) => words.find((word) => foldCase(word) === foldCase(text))),
    v.custom<W>((word) => word !== undefined, message),
  );
}

const largestListPage = 1000;

/** One page of a list that is in memory whole, in the order of `keyOf`; `list` is what its tokens are good for. */
export function listReply<T>(
  call: Pick<ManagementCall, 'query' | 'apiVersion' | 'path' | 'origin'>,
  of: { list: string; items: readonly T[]; keyOf: (item: T) => string; wire: (item: T) => object },
): ManagementReply {
  const { query } = call;
  const token = query.get('$skiptoken');
  const after = token === null ? undefined : decodeSkipToken(of.list, token);
  const top = topOf(query.get('$top'), largestListPage);
  const rest = after === undefined ? of.items : of.items.filter((item) => compare(of.keyOf(item), after) > 0);
  const items = rest.slice(0, top);
  const last = items.at(-1);
  const next = rest.length > items.length && last !== undefined ? of.keyOf(last) : undefined;
  const nextLink = next === undefined ? {} : { nextLink: linkTo(call, encodeSkipToken(of.list, next)) };
  return { status: 200, body: { value: items.map(of.wire), ...nextLink } };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** How many items `$top` asks for: at most `most`, which is the default too. */
export function topOf(text: string | null, most: number): number {
  if (text === null) return most;
  const top = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (top < 1) throw new Failure('badParameter', 'The value of $top must be a whole number from 1.');
  return Math.min(top, most);
}

/** `$top` counts for all pages: the link repeats it, so that each page is as large as the first. */
export function linkTo(
  { query, apiVersion, path, origin }: Pick<ManagementCall, 'query' | 'apiVersion' | 'path' | 'origin'>,
  token: string,
): string {
  const link = new URL(path, origin);
  link.searchParams.set('api-version', apiVersion);
  for (const name of ['$filter', '$top', '$expand']) {
    const value = query.get(name);
    if (value !== null) link.searchParams.set(name, value);
  }
  link.searchParams.set('$skiptoken', token);
  return link.href;
}
