/** Lists of Graph: filter, page, choose members, link to the next page (OData 4.01 URL Conventions §5.1). */
import { Failure } from '../../core/errors.ts';
import { decodeSkipToken, encodeSkipToken, type Page } from '../../core/paging.ts';
import type { PrincipalKind, PrincipalRecord } from '../../identity/principals.ts';
import type { Query } from '../request-target.ts';
import { equalities, type Filter, type Filterable, holds, parseFilter } from './odata-filter.ts';
import type { GraphCall, GraphReply } from './route.ts';

/** A member's value in JSON. */
export type Wire = Readonly<Record<string, unknown>>;

/** A kind of entity that can be listed. */
export interface EntitySet {
  /** As in `@odata.context`. */
  readonly name: string;
  readonly kinds: readonly PrincipalKind[];
  /** Whether the record shows as such an entity at all. */
  readonly includes: (record: PrincipalRecord) => boolean;
  readonly filterable: Filterable;
  /** What a filter sees of the record: at least the members of `filterable`. */
  readonly summary: (record: PrincipalRecord, call: GraphCall<unknown>) => Wire;
  /** The whole entity, which may need further reading. */
  readonly wire: (record: PrincipalRecord, call: GraphCall<unknown>) => Promise<Wire>;
  /** Members that are sent when the caller chooses none; all if undefined. */
  readonly usual?: readonly string[];
  /** Finds the only record that can have this value of a property; `null` where there is no such index. */
  readonly find: (
    by: { path: string; value: string },
    call: GraphCall<unknown>,
  ) => Promise<PrincipalRecord | undefined> | null;
}

const usualPage = 100;
const largestPage = 999;
const scanPage = 500;

/** Options that no list here has: what they ask for would be missing without a word. */
const refusedOptions = ['$search', '$orderby', '$expand', '$skip', '$apply'];

export async function listEntities(call: GraphCall<unknown>, set: EntitySet): Promise<GraphReply> {
  assertOptions(call.query);
  const text = call.query.get('$filter');
  const filter = text === null ? undefined : parseFilter(text, set.filterable);
  const top = topOf(call.query);
  const token = call.query.get('$skiptoken');
  const after = token === null ? undefined : decodeSkipToken(call.path, token);
  const page = await matching(call, set, { filter, limit: top, after });
  const value: Wire[] = [];
  for (const record of page.items) value.push(chosen(call.query, await set.wire(record, call), set.usual));
  const counted = call.query.get('$count')?.toLowerCase() === 'true' && after === undefined;
  const count = counted ? await countMatching(call, set, filter) : undefined;
  return listReply(call, { name: set.name, value, count, next: page.next });
}

/** A list that is sent whole, from records that are at hand, in the order of their object ids. */
export async function listRecords(
  call: GraphCall<unknown>,
  records: readonly PrincipalRecord[],
  wire: (record: PrincipalRecord) => Wire | readonly Wire[],
): Promise<GraphReply> {
  assertOptions(call.query);
  if (call.query.has('$filter')) throw new Failure('unsupportedQuery', 'This list cannot be filtered.');
  const top = topOf(call.query);
  const token = call.query.get('$skiptoken');
  const after = token === null ? '' : decodeSkipToken(call.path, token);
  const rest = records.filter(({ objectId }) => objectId > after);
  const items = rest.slice(0, top);
  const value = items.flatMap(wire).map((entity) => chosen(call.query, entity));
  const isCounted = call.query.get('$count')?.toLowerCase() === 'true';
  const count = isCounted ? records.flatMap(wire).length : undefined;
  const next = rest.length > top ? items.at(-1)?.objectId : undefined;
  return listReply(call, { name: 'directoryObjects', value, count, next });
}

/** One entity, with the members that the caller chose. */
export function entityReply(call: GraphCall<unknown>, set: EntitySet, entity: Wire): GraphReply {
  const context = `${call.base}/$metadata#${set.name}/$entity`;
  const body = { '@odata.context': context, ...chosen(call.query, entity, set.usual) };
  return { status: 200, body, id: String(entity.id) };
}

/** The members named by `$select`, in the entity's order; names that it does not have are passed over. */
function chosen(query: Query, entity: Wire, usual?: readonly string[]): Wire {
  const names = query
    .get('$select')
    ?.split(',')
    .map((name) => name.trim());
  const wanted = names === undefined || names.includes('*') ? usual : [...names, 'id'];
  if (wanted === undefined) return entity;
  return Object.fromEntries(
    Object.entries(entity).filter(([name]) => name.startsWith('@') || wanted.includes(name)),
  );
}

/** Page by page: how many there are is not how many fit into memory. */
async function countMatching(
  call: GraphCall<unknown>,
  set: EntitySet,
  filter: Filter | undefined,
): Promise<number> {
  let count = 0;
  let after: string | undefined;
  do {
    const page: Page<PrincipalRecord> = await matching(call, set, { filter, limit: scanPage, after });
    count += page.items.length;
    after = page.next;
  } while (after !== undefined);
  return count;
}

async function matching(
  call: GraphCall<unknown>,
  set: EntitySet,
  ask: { filter: Filter | undefined; limit: number; after: string | undefined },
): Promise<Page<PrincipalRecord>> {
  const { filter, limit } = ask;
  const fits = (record: PrincipalRecord) =>
    record.tenantId === call.tenant.id &&
    set.includes(record) &&
    (filter === undefined || holds(filter, set.summary(record, call)));
  for (const by of filter === undefined ? [] : equalities(filter)) {
    const looked = set.find(by, call);
    if (looked === null) continue;
    const record = await looked;
    return { items: record !== undefined && fits(record) ? [record] : [], next: undefined };
  }
  const items: PrincipalRecord[] = [];
  let { after } = ask;
  do {
    const of = { tenantId: call.tenant.id, kind: set.kinds };
    const page: Page<PrincipalRecord> = await call.deps.store.list(of, { limit: scanPage, after });
    for (const record of page.items) {
      if (!fits(record)) continue;
      // One more than asked for has been seen: there is a next page.
      if (items.length === limit) return { items, next: items.at(-1)?.objectId };
      items.push(record);
    }
    after = page.next;
  } while (after !== undefined);
  return { items, next: undefined };
}

function assertOptions(query: Query): void {
  const refused = refusedOptions.find((name) => query.has(name));
  if (refused !== undefined)
    throw new Failure('unsupportedQuery', `The query option '${refused}' is not supported.`);
}

function topOf(query: Query): number {
  const text = query.get('$top');
  if (text === null) return usualPage;
  const top = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (top < 1 || top > largestPage)
    throw new Failure(
      'badParameter',
      `Invalid page size specified: it must be between 1 and ${largestPage}.`,
    );
  return top;
}

function listReply(
  call: GraphCall<unknown>,
  list: { name: string; value: readonly Wire[]; count: number | undefined; next: string | undefined },
): GraphReply {
  const { name, value, count, next } = list;
  return {
    status: 200,
    body: {
      '@odata.context': `${call.base}/$metadata#${name}`,
      ...(count === undefined ? {} : { '@odata.count': count }),
      ...(next === undefined ? {} : { '@odata.nextLink': nextLink(call, next) }),
      value,
    },
  };
}

function nextLink(call: GraphCall<unknown>, after: string): string {
  const query = new URLSearchParams();
  for (const name of ['$filter', '$select', '$top', '$count']) {
    const value = call.query.get(name);
    if (value !== null) query.set(name, value);
  }
  query.set('$skiptoken', encodeSkipToken(call.path, after));
  // Graph's own links have %20 where forms have +.
  return `${call.base}${call.path}?${query.toString().replaceAll('+', '%20')}`;
}
