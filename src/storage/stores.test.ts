/** Runs the contract of every store on every database. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe } from 'vitest';
import { objectStoreContract } from '../../test/contracts/object-store.ts';
import { principalStoreContract } from '../../test/contracts/principal-store.ts';
import { guid } from '../../test/contracts/rows.ts';
import { sealingStoreContract } from '../../test/contracts/sealing-store.ts';
import {
  anchorStoreContract,
  roleAssignmentStoreContract,
  signingKeyStoreContract,
} from '../../test/contracts/small-stores.ts';
import { vaultStoreContract } from '../../test/contracts/vault-store.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { systemRandom } from '../crypto/random.ts';
import { sealingKey } from '../crypto/sealing.ts';
import { createSealedItems } from '../domain/sealing/sealed-items.ts';
import { createAnchorStore } from './audit-anchor.ts';
import type { Database } from './database.ts';
import { createObjectReader, createObjectWriter } from './objects.ts';
import { createPrincipalStore } from './principals.ts';
import { createRoleAssignmentStore } from './role-assignments.ts';
import { createRootSealedStore, createSealedItemStore, createVaultKeyStore } from './sealing.ts';
import { createSigningKeyStore } from './signing-keys.ts';
import { openSqlite } from './sqlite.ts';
import { createDirectoryStore, createVaultStore } from './vaults.ts';

interface EmptyDatabase {
  readonly db: Database;
  remove(): Promise<void>;
}

async function emptySqlite(): Promise<EmptyDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-sqlite-'));
  const db = await openSqlite(join(folder, 'test.db'));
  return {
    db,
    async remove() {
      await db.close();
      await rm(folder, { recursive: true });
    },
  };
}

const databases: [string, () => Promise<EmptyDatabase>][] = [['sqlite', emptySqlite]];

describe.each(databases)('on %s', (_name, makeDatabase) => {
  const opened: EmptyDatabase[] = [];
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.remove();
  });
  const on =
    <T>(build: (db: Database) => T) =>
    async () => {
      const database = await makeDatabase();
      opened.push(database);
      return build(database.db);
    };
  const objects = (db: Database) => ({
    reader: createObjectReader(db),
    writer: createObjectWriter(db),
    vaults: createVaultStore(db),
    vaultKeys: createVaultKeyStore(db),
    directory: createDirectoryStore(db),
    items: createSealedItemStore(db),
    underRoot: createRootSealedStore(db),
  });
  const current = sealingKey(guid(800), new SecretBytes(systemRandom.bytes(32)));
  const rootKeys = { current, byId: (id: string) => (id === current.id ? current : undefined) };
  const signingKeys = (db: Database) =>
    createSigningKeyStore(
      createSealedItems({ store: createSealedItemStore(db), rootKeys, random: systemRandom }),
    );

  objectStoreContract(on(objects));
  sealingStoreContract(on(objects));
  vaultStoreContract(on(objects));
  principalStoreContract(on(createPrincipalStore));
  roleAssignmentStoreContract(on(createRoleAssignmentStore));
  anchorStoreContract(
    on((db) => ({ local: createAnchorStore(db, 'local'), other: createAnchorStore(db, 'other') })),
  );
  signingKeyStoreContract(on((db) => [signingKeys(db), signingKeys(db)]));
});
