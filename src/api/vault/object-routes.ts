/** The rows that are the same for every kind of object with versions: lists, deletion and recovery, backup. */
import * as v from 'valibot';
import type { ObjectKind } from '../../core/names.ts';
import type { Page, PageRequest } from '../../core/paging.ts';
import { longestBackup } from '../../domain/versioned/object-backup.ts';
import type { ObjectActions, ObjectOperations } from '../../domain/versioned/object-operations.ts';
import { type Reply, type VaultCall, type VaultRoute, vaultRoute } from '../route.ts';
import type { KnownVersion } from '../versions.ts';
import { objectSchema, pageRequest, pageWire } from './wire.ts';

/** The longest blob and its JSON around it. */
const largestRestore = longestBackup + 1024 * 1024;
const restoreSchema = objectSchema({ value: v.string('A string is required.') });

/** What a reply depends on besides the object. */
export type AnyCall = Pick<VaultCall, 'origin' | 'grant' | 'apiVersion'>;

export interface ObjectRoutes<T> {
  /** `Secret`, as in `DeleteSecret`; the plural has an `s`. */
  readonly noun: 'Secret' | 'Key' | 'Certificate';
  readonly kind: ObjectKind;
  readonly actions: ObjectActions;
  readonly operations: Omit<ObjectOperations<T>, 'list' | 'listDeleted'>;
  readonly lists: ObjectLists<T>;
  /** The api-version that brought backups; undefined for kinds that always had them. */
  readonly backupSince?: KnownVersion;
  /** The reply with one object, live or deleted. */
  readonly found: (call: AnyCall, object: T) => Reply;
  readonly item: (call: AnyCall, object: T, of: { withVersion: boolean }) => object;
}

/** The lists of a kind of object. */
export interface ObjectLists<T> {
  readonly live: (call: VaultCall, page: PageRequest) => Promise<Page<T>>;
  readonly deleted: (call: VaultCall, page: PageRequest) => Promise<Page<T>>;
  /** Query parameters besides those of paging, repeated for the next page. */
  readonly parameters: readonly string[];
}

/** Lists that take no parameters but those of paging. */
export function plainLists<T>(operations: Pick<ObjectOperations<T>, 'list' | 'listDeleted'>): ObjectLists<T> {
  return {
    live: ({ grant }, page) => operations.list(grant, page),
    deleted: ({ grant }, page) => operations.listDeleted(grant, page),
    parameters: [],
  };
}

export function objectRoutes<T>(of: ObjectRoutes<T>): VaultRoute[] {
  return [...listRoutes(of), ...deletionRoutes(of), ...backupRoutes(of)];
}

function listRoutes<T>({ noun, kind, actions, operations, lists, item }: ObjectRoutes<T>): VaultRoute[] {
  const row = { method: 'GET', action: actions.list, kind } as const;
  const { parameters } = lists;
  return [
    vaultRoute({
      ...row,
      operation: `Get${noun}s`,
      audit: `${noun}List`,
      path: `/${kind}`,
      handle: async (call) => {
        const page = await lists.live(call, pageRequest(call.query, kind));
        const shown = (object: T) => item(call, object, { withVersion: false });
        const list = { page, list: kind, path: `/${kind}`, item: shown, parameters };
        return { status: 200, body: pageWire(call, list) };
      },
    }),
    vaultRoute({
      ...row,
      operation: `Get${noun}Versions`,
      audit: `${noun}ListVersions`,
      path: `/${kind}/:name/versions`,
      handle: async (call) => {
        const name = call.grant.target.name ?? '';
        const list = `${kind}/${name.toUpperCase()}/versions`;
        const page = await operations.listVersions(call.grant, pageRequest(call.query, list));
        const shown = (object: T) => item(call, object, { withVersion: true });
        const path = `/${kind}/${name}/versions`;
        return { status: 200, body: pageWire(call, { page, list, path, item: shown }) };
      },
    }),
    vaultRoute({
      ...row,
      operation: `GetDeleted${noun}s`,
      audit: `${noun}ListDeleted`,
      path: `/deleted${kind}`,
      handle: async (call) => {
        const list = `deleted${kind}`;
        const page = await lists.deleted(call, pageRequest(call.query, list));
        const shown = (object: T) => item(call, object, { withVersion: false });
        const path = `/${list}`;
        return { status: 200, body: pageWire(call, { page, list, path, item: shown, parameters }) };
      },
    }),
  ];
}

function deletionRoutes<T>({ noun, kind, actions, operations, found }: ObjectRoutes<T>): VaultRoute[] {
  return [
    vaultRoute({
      operation: `Delete${noun}`,
      audit: `${noun}Delete`,
      method: 'DELETE',
      path: `/${kind}/:name`,
      action: actions.delete,
      kind,
      handle: async (call) => found(call, await operations.delete(call.grant)),
    }),
    vaultRoute({
      operation: `GetDeleted${noun}`,
      audit: `${noun}GetDeleted`,
      method: 'GET',
      path: `/deleted${kind}/:name`,
      action: actions.getDeleted,
      kind,
      handle: async (call) => found(call, await operations.getDeleted(call.grant)),
    }),
    vaultRoute({
      operation: `PurgeDeleted${noun}`,
      audit: `${noun}Purge`,
      method: 'DELETE',
      path: `/deleted${kind}/:name`,
      action: actions.purge,
      kind,
      handle: async (call) => {
        await operations.purge(call.grant);
        return { status: 204, body: undefined };
      },
    }),
    vaultRoute({
      operation: `RecoverDeleted${noun}`,
      audit: `${noun}Recover`,
      method: 'POST',
      path: `/deleted${kind}/:name/recover`,
      action: actions.recover,
      kind,
      handle: async (call) => found(call, await operations.recover(call.grant)),
    }),
  ];
}

function backupRoutes<T>(of: ObjectRoutes<T>): VaultRoute[] {
  const { noun, kind, actions, operations, found, backupSince } = of;
  const since = backupSince === undefined ? {} : { since: backupSince };
  return [
    vaultRoute({
      ...since,
      operation: `Backup${noun}`,
      audit: `${noun}Backup`,
      method: 'POST',
      path: `/${kind}/:name/backup`,
      action: actions.backup,
      kind,
      handle: async (call) => ({ status: 200, body: { value: await operations.backup(call.grant) } }),
    }),
    vaultRoute({
      ...since,
      operation: `Restore${noun}`,
      audit: `${noun}Restore`,
      method: 'POST',
      path: `/${kind}/restore`,
      action: actions.restore,
      kind,
      schema: restoreSchema,
      maxBody: largestRestore,
      handle: async (call) => {
        const identify = (name: string, version: string) => `${call.origin}/${kind}/${name}/${version}`;
        return found(call, await operations.restore(call.grant, { blob: call.body.value, identify }));
      },
    }),
  ];
}
