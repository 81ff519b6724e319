/**
 * Data folders and databases to measure on: seeded as `--dev` does it, then filled with secrets that the domain's own
 * sealing has sealed, written in transactions of many rows, which the API would take hours for.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Config, loadConfig } from '../src/config.ts';
import { systemClock, unixSeconds } from '../src/core/clock.ts';
import { objectKey } from '../src/core/names.ts';
import { SecretBytes } from '../src/core/secret-bytes.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { createVaultKeys, type VaultKeys } from '../src/domain/sealing/vault-keys.ts';
import type { SealedVersion } from '../src/domain/versioned/object-store.ts';
import { createLog } from '../src/logging.ts';
import { openStore } from '../src/service/data.ts';
import { openService } from '../src/service.ts';
import type { Procedure } from '../src/storage/database.ts';
import { type HeadRow, toHeadRow, toVersionRow, type VersionRow } from '../src/storage/object-rows.ts';
import { createVaultKeyStore } from '../src/storage/sealing.ts';
import { createVaultStore } from '../src/storage/vaults.ts';
import { createClient, type Identity, tokensFor } from './client.ts';

export const vaultName = 'dev';
/** The value of every secret. */
export const value = 'bench value';

export interface Place {
  /** The data folder. */
  readonly data: string;
  /** `postgres://…`; undefined for the folder's own database. */
  readonly databaseUrl?: string | undefined;
}

/** A secret, and how many versions it has. */
export interface Content {
  readonly name: string;
  readonly versions: number;
}

/** Makes the keys, the vault and the identities, and fills the vault. */
export async function prepare(place: Place, contents: Iterable<Content>): Promise<Identity> {
  const config = configOf(place);
  const service = await openService(config);
  const { port } = await service.start();
  const identity = (await service.control('client-environment', {})) as Identity;
  // The first token makes the keys that sign tokens: copies of this data are to have the same.
  const client = createClient({ port, ca: readFileSync(config.paths.authority, 'utf8') });
  await tokensFor(client, identity, { count: 1 });
  client.close();
  await service.close();
  await fill(config, contents);
  return identity;
}

/** `count` secrets of one version each, in the order of their names. */
export function* secrets(prefix: string, count: number): Generator<Content> {
  for (let index = 0; index < count; index += 1) yield { name: nameOf(prefix, index), versions: 1 };
}

export function nameOf(prefix: string, index: number): string {
  return `${prefix}-${String(index).padStart(7, '0')}`;
}

/** The id of a secret's `index`-th version: they are in no order, as random ones are. */
export function versionOf(name: string, index: number): string {
  return createHash('sha256').update(`${name}/${index}`).digest('hex').slice(0, 32);
}

function configOf({ data, databaseUrl }: Place): Config {
  const address = databaseUrl === undefined ? {} : { databaseUrl };
  const flags = { data, dev: true, listen: ['127.0.0.1'], port: 0, localPort: 0, logLevel: 'error' };
  return loadConfig({ flags: { ...flags, ...address }, environment: {} });
}

interface Rows {
  readonly heads: HeadRow[];
  readonly versions: VersionRow[];
}

/** Rows in one statement: within SQLite's and PostgreSQL's limits of parameters. */
const rowsAtOnce = 500;
const rowsInTransaction = 10_000;

const addRows: Procedure<Rows, void> = {
  name: 'bench.fill',
  async run(tx, { heads, versions }) {
    for (const some of portions(heads)) await tx.insertInto('objects').values(some).execute();
    for (const some of portions(versions)) await tx.insertInto('object_versions').values(some).execute();
  },
};

function* portions<T>(rows: readonly T[]): Generator<T[]> {
  for (let from = 0; from < rows.length; from += rowsAtOnce) yield rows.slice(from, from + rowsAtOnce);
}

async function fill(config: Config, contents: Iterable<Content>): Promise<void> {
  const tools = { config, clock: systemClock, random: systemRandom, log: createLog('error') };
  const store = await openStore(tools);
  try {
    const { db, rootKeys } = store;
    const keys = createVaultKeys({
      store: createVaultKeyStore(db),
      rootKeys,
      feed: db.feed,
      random: systemRandom,
    });
    const vault = await createVaultStore(db).byName(vaultName);
    if (vault === undefined) throw new TypeError('the vault is missing');
    let rows: Rows = { heads: [], versions: [] };
    for (const content of contents) {
      for await (const row of versionsOf(keys, vault.id, content)) {
        rows.versions.push(row);
        if (rows.versions.length < rowsInTransaction) continue;
        await db.write(addRows, rows);
        rows = { heads: [], versions: [] };
      }
      rows.heads.push(headOf(vault.id, content));
    }
    await db.write(addRows, rows);
  } finally {
    await store.close();
  }
}

function keyOf(vaultId: string, name: string) {
  return { vaultId, kind: 'secrets', nameKey: objectKey(name) } as const;
}

function headOf(vaultId: string, { name, versions }: Content): HeadRow {
  const currentVersion = versionOf(name, versions - 1);
  return toHeadRow(keyOf(vaultId, name), {
    name,
    currentVersion,
    deletedAt: undefined,
    purgeAt: undefined,
    detail: undefined,
    dueAt: undefined,
  });
}

async function* versionsOf(keys: VaultKeys, vaultId: string, of: Content): AsyncGenerator<VersionRow> {
  const key = keyOf(vaultId, of.name);
  const now = unixSeconds(systemClock.now());
  const bytes = SecretBytes.fromText(value);
  for (let index = 0; index < of.versions; index += 1) {
    const version = versionOf(of.name, index);
    const sealed: SealedVersion = {
      version,
      enabled: true,
      notBefore: undefined,
      expires: undefined,
      created: now,
      updated: now,
      managed: false,
      tags: undefined,
      detail: undefined,
      envelope: await keys.seal({ ...key, version }, bytes),
    };
    yield toVersionRow(key, sealed);
  }
}
