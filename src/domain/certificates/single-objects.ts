/**
 * Internal objects of a vault that have a state and no history, such as its issuers: each write takes the place of the
 * version before it, in one transaction, so that nothing is left of what was sealed with it.
 */
import { type Clock, unixSeconds } from '../../core/clock.ts';
import { type InternalKind, objectKey } from '../../core/names.ts';
import { type Page, type PageRequest, pageOf } from '../../core/paging.ts';
import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { VaultKeys } from '../sealing/vault-keys.ts';
import type { HeadAndVersion, ObjectKey, ObjectReader, ObjectWriter } from '../versioned/object-store.ts';
import { sealVersion, unsealVersion, withFreshKey } from '../versioned/sealed-versions.ts';

export interface SingleObjectDeps {
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  readonly vaultKeys: VaultKeys;
  readonly clock: Clock;
  readonly random: Random;
}

/** What of an object is read without opening it. Times are Unix seconds. */
export interface SingleObject {
  readonly name: string;
  readonly enabled: boolean;
  /** JSON made by its noun. */
  readonly detail: string;
  readonly created: number;
  readonly updated: number;
}

/** An object with its sealed value, which is the caller's to wipe. */
export type OpenObject = SingleObject & { readonly value: SecretBytes };

/** What an object is to be; its value is wiped once it is sealed. */
export type ObjectState = Pick<OpenObject, 'enabled' | 'detail' | 'value'>;

export interface SingleObjects {
  /** Undefined for a name that is not there. */
  find(vaultId: string, name: string): Promise<OpenObject | undefined>;
  list(vaultId: string, request: PageRequest): Promise<Page<SingleObject>>;
  /** Writes what `change` makes of what is there; asks it again if that has changed meanwhile. What it throws comes out. */
  write(
    vaultId: string,
    name: string,
    change: (was: OpenObject | undefined) => ObjectState,
  ): Promise<SingleObject>;
  /** Answers what was there. */
  remove(vaultId: string, name: string): Promise<SingleObject | undefined>;
}

export function createSingleObjects(deps: SingleObjectDeps, kind: InternalKind): SingleObjects {
  const keyOf = (vaultId: string, name: string): ObjectKey => ({ vaultId, kind, nameKey: objectKey(name) });
  return {
    async find(vaultId, name) {
      return (await read(deps, keyOf(vaultId, name)))?.object;
    },
    async list(vaultId, request) {
      const range = { after: request.after, limit: request.limit + 1 };
      const rows = await deps.reader.listHeads({ vaultId, kind, deleted: false }, range);
      const page = pageOf(rows, request.limit, ({ head }) => objectKey(head.name));
      return { ...page, items: page.items.map(toObject) };
    },
    async write(vaultId, name, change) {
      for (;;) {
        const written = await writeOnce(deps, { key: keyOf(vaultId, name), name, change });
        if (written !== undefined) return written;
      }
    },
    remove: (vaultId, name) =>
      deps.writer.change(keyOf(vaultId, name), { version: undefined }, ({ head, version }) => {
        const result = head && version && toObject({ head, version });
        return { head: undefined, result };
      }),
  };
}

/** Undefined if the object has changed since it was read. */
async function writeOnce(
  deps: SingleObjectDeps,
  of: { key: ObjectKey; name: string; change: (was: OpenObject | undefined) => ObjectState },
): Promise<SingleObject | undefined> {
  const was = await read(deps, of.key);
  try {
    return await writeOver(deps, of, was);
  } finally {
    was?.object.value.wipe();
  }
}

async function writeOver(
  deps: SingleObjectDeps,
  of: Parameters<typeof writeOnce>[1],
  was: Awaited<ReturnType<typeof read>>,
): Promise<SingleObject | undefined> {
  const { key } = of;
  const { enabled, detail, value } = of.change(was?.object);
  const now = unixSeconds(deps.clock.now());
  const dates = {
    created: was?.object.created ?? now,
    updated: now,
    notBefore: undefined,
    expires: undefined,
  };
  const next = { version: deps.random.version(), enabled, ...dates, managed: false, tags: undefined, detail };
  try {
    return await withFreshKey(deps, key.vaultId, async () => {
      const sealed = await sealVersion(deps, key, { version: next, value });
      return deps.writer.change<SingleObject | undefined>(key, { version: undefined }, ({ head }) => {
        if (head?.currentVersion !== was?.version) return { head: 'same', result: undefined };
        const newHead = {
          name: head?.name ?? of.name,
          currentVersion: next.version,
          ...{ deletedAt: undefined, purgeAt: undefined, detail: undefined, dueAt: undefined },
        };
        const drop = was === undefined ? [] : [was.version];
        return { head: newHead, add: [sealed], drop, result: toObject({ head: newHead, version: next }) };
      });
    });
  } finally {
    value.wipe();
  }
}

async function read(
  deps: SingleObjectDeps,
  key: ObjectKey,
): Promise<{ object: OpenObject; version: string } | undefined> {
  const found = await deps.reader.sealedVersion(key, undefined);
  const value = found && (await unsealVersion(deps, key, found.version));
  if (found === undefined || value === undefined) return undefined;
  return { object: { ...toObject(found), value }, version: found.version.version };
}

function toObject({ head, version }: HeadAndVersion): SingleObject {
  const { enabled, detail = '', created, updated } = version;
  return { name: head.name, enabled, detail, created, updated };
}
