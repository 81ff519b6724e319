/** The vault data plane's JSON: schemas of what comes in, shapes of what goes out, in the order of Azure's members. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import {
  decodeSkipToken,
  encodeSkipToken,
  largestPage,
  type Page,
  type PageRequest,
} from '../../core/paging.ts';
import { recoveryLevel, type Vault } from '../../domain/vaults/vault.ts';
import type { ObjectVersion } from '../../domain/versioned/object-store.ts';
import { bodyChecks } from '../body-issues.ts';
import type { Query } from '../request-target.ts';
import type { VaultCall } from '../route.ts';
import { type ApiVersion, has } from '../versions.ts';

/** The largest time that JSON clients in every language hold: the end of the year 9999, in Unix seconds. */
const endOfTime = 253_402_300_799;
const mostTags = 15;
const halfPair = 'It holds half of a surrogate pair.';

/** A time in Unix seconds; null counts as not given. */
export const timeSchema = v.nullish(
  v.pipe(
    v.number('It must be a whole number of seconds since 1970.'),
    v.integer('It must be a whole number of seconds since 1970.'),
    v.minValue(0, 'It must not be before 1970.'),
    v.maxValue(endOfTime, 'It must not be after the year 9999.'),
  ),
);

/** Whether a parsed JSON value is an object, not an array or null. */
export function isJsonObject(input: unknown): input is Readonly<Record<string, unknown>> {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

/** A JSON object with these members, others ignored; unlike the library's own, it refuses arrays. */
export function objectSchema<E extends v.ObjectEntries>(entries: E) {
  return v.pipe(v.custom<object>(isJsonObject, 'It must be an object.'), v.object(entries));
}

/** The attributes that a caller may set; read-only ones are ignored, as Azure does. */
export const attributesSchema = v.nullish(
  objectSchema({ enabled: v.nullish(v.boolean()), nbf: timeSchema, exp: timeSchema }),
);

type Tags = Readonly<Record<string, string>>;

/**
 * Tags: at most 15, names and values of at most `longest` characters (LIMITS §2). The library's records leave out
 * names such as `constructor` without a word, so that the members are checked here.
 */
export function tagsSchema(longest: number) {
  const every = (test: (text: string) => boolean) => (tags: Tags) =>
    Object.entries(tags).every(([name, value]) => test(name) && test(value));
  return v.nullish(
    v.pipe(
      v.custom<Tags>(
        (input) => isJsonObject(input) && Object.values(input).every((value) => typeof value === 'string'),
        'It must be an object whose members are strings.',
      ),
      v.check((tags) => Object.keys(tags).length <= mostTags, `At most ${mostTags} tags.`),
      v.check((tags) => !Object.hasOwn(tags, ''), 'A tag needs a name.'),
      v.check(
        every((text) => text.length <= longest),
        `At most ${longest} characters.`,
      ),
      v.check(
        every((text) => text.isWellFormed()),
        halfPair,
      ),
    ),
  );
}

/** Refuses text that UTF-8 cannot hold: storing it would change it silently. */
export function wellFormed() {
  return v.check((text: string) => text.isWellFormed(), halfPair);
}

/** Undefined members are not sent: JSON has no place for them. */
export interface AttributesWire {
  readonly enabled: boolean;
  readonly nbf: number | undefined;
  readonly exp: number | undefined;
  readonly created: number;
  readonly updated: number;
  readonly recoveryLevel: string;
  readonly recoverableDays: number | undefined;
}

export function attributesWire(
  version: ObjectVersion,
  of: { vault: Vault; apiVersion: ApiVersion },
): AttributesWire {
  return {
    enabled: version.enabled,
    nbf: version.notBefore,
    exp: version.expires,
    created: version.created,
    updated: version.updated,
    recoveryLevel: recoveryLevel(of.vault),
    recoverableDays: has(of.apiVersion, '7.1') ? of.vault.softDeleteRetentionInDays : undefined,
  };
}

/** `maxresults` and `$skiptoken` of a list request; `list` names the list that the token must be from. */
export function pageRequest(query: Query, list: string): PageRequest {
  const maxresults = query.get('maxresults');
  const token = query.get('$skiptoken');
  return {
    limit: maxresults === null ? largestPage : parseMaxResults(maxresults),
    after: token === null ? undefined : decodeSkipToken(list, token),
  };
}

function parseMaxResults(text: string): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > largestPage) {
    throw new Failure('badParameter', `The parameter maxresults must be from 1 to ${largestPage}.`);
  }
  return number;
}

interface List<T> {
  readonly page: Page<T>;
  /** Names the list in its tokens. */
  readonly list: string;
  readonly path: string;
  readonly item: (item: T) => object;
  /** Query parameters besides `maxresults` that the next page is to have too. */
  readonly parameters?: readonly string[];
}

/** A list's reply. `nextLink` is always there, the port written out, parameters repeated if they were given. */
export function pageWire<T>(call: VaultCall, of: List<T>): object {
  return { value: of.page.items.map(of.item), nextLink: nextLink(call, of) };
}

function nextLink(
  call: VaultCall,
  of: Pick<List<unknown>, 'page' | 'list' | 'path' | 'parameters'>,
): string | null {
  if (of.page.next === undefined) return null;
  const origin = /:\d+$/.test(call.origin) ? call.origin : `${call.origin}:443`;
  const token = encodeSkipToken(of.list, of.page.next);
  const again = ['maxresults', ...(of.parameters ?? [])].map((name) => {
    const value = call.query.get(name);
    return value === null ? '' : `&${name}=${encodeURIComponent(value)}`;
  });
  return `${origin}${of.path}?api-version=${call.apiVersion.text}&$skiptoken=${token}${again.join('')}`;
}

/** Checks a parsed body; throws with Azure's text first and what is wrong in words after it. */
export function parseBody<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, body, bodyChecks);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const property = String(issue.path?.[0]?.key ?? '');
  throw new Failure('badParameter', `Property ${property} has invalid value\r\n${issue.message}`);
}
