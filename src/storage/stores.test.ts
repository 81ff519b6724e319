/** Runs the contract of every store on every database. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe } from 'vitest';
import { challengeBoardContract } from '../../test/contracts/challenge-board.ts';
import { directoryStoreContract } from '../../test/contracts/directory-store.ts';
import { leaseStoreContract } from '../../test/contracts/lease-store.ts';
import { failureStoreContract, loginGrantStoreContract } from '../../test/contracts/login-grant-store.ts';
import { objectStoreContract } from '../../test/contracts/object-store.ts';
import { principalStoreContract } from '../../test/contracts/principal-store.ts';
import {
  roleAssignmentStoreContract,
  roleDefinitionStoreContract,
} from '../../test/contracts/role-stores.ts';
import { guid } from '../../test/contracts/rows.ts';
import { sealingStoreContract } from '../../test/contracts/sealing-store.ts';
import { anchorStoreContract, signingKeyStoreContract } from '../../test/contracts/small-stores.ts';
import { underLocksContract } from '../../test/contracts/under-locks.ts';
import { userAssignedIdentityStoreContract } from '../../test/contracts/user-assigned-identity-store.ts';
import { vaultStoreContract } from '../../test/contracts/vault-store.ts';
import { hasPostgres, newPostgresDatabase } from '../../test/support/postgres.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { systemRandom } from '../crypto/random.ts';
import { sealingKey } from '../crypto/sealing.ts';
import { createSealedItems } from '../domain/sealing/sealed-items.ts';
import type { Fence } from '../jobs/lease-store.ts';
import { createChallengeBoard } from './acme-challenges.ts';
import { createAnchorStore } from './audit-anchor.ts';
import { type Database, LeaseLost, underLocks } from './database.ts';
import { addTenant, createDirectoryStore } from './directory.ts';
import { createLeaseStore } from './leases.ts';
import { createLockStore } from './locks.ts';
import { createFailureStore, createLoginGrantStore } from './login-grants.ts';
import { createObjectReader, createObjectWriter } from './objects.ts';
import { openPostgres } from './postgres.ts';
import { createPrincipalStore } from './principals.ts';
import { createRoleAssignmentStore } from './role-assignments.ts';
import { createRoleDefinitionStore } from './role-definitions.ts';
import { createRootSealedStore, createSealedItemStore, createVaultKeyStore } from './sealing.ts';
import { createSigningKeyStore } from './signing-keys.ts';
import { openSqlite } from './sqlite.ts';
import { createUserAssignedIdentityStore } from './user-assigned-identities.ts';
import { createVaultStore } from './vaults.ts';
import { connectWriter } from './writer-client.ts';
import { serveWriter } from './writer-server.ts';

interface EmptyDatabase {
  readonly db: Database;
  remove(): Promise<void>;
}

const deps = { clock: systemClock, log: silentLog };

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

async function emptyThroughWriter(): Promise<EmptyDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-writer-'));
  const paths = { database: join(folder, 'test.db'), socket: join(folder, 'writer.sock') };
  const server = await serveWriter(deps, paths);
  const db = await connectWriter(deps, paths);
  return {
    db,
    async remove() {
      await db.close();
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function emptyPostgres(): Promise<EmptyDatabase> {
  const home = await newPostgresDatabase('migrated');
  const db = await openPostgres(deps, { url: home.socketUrl, poolSize: 4 });
  return {
    db,
    async remove() {
      await db.close();
      await home.drop();
    },
  };
}

const databases: [string, () => Promise<EmptyDatabase>][] = [
  ['sqlite', emptySqlite],
  ['sqlite through the writer', emptyThroughWriter],
];
if (hasPostgres) databases.push(['postgres', emptyPostgres]);

const rootKeyId = guid(800);

describe.each(databases)('on %s', (_name, makeDatabase) => {
  const opened: EmptyDatabase[] = [];
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.remove();
  });
  const on =
    <T>(build: (db: Database) => T, seed?: (db: Database) => Promise<unknown>) =>
    async () => {
      const database = await makeDatabase();
      opened.push(database);
      await createRootSealedStore(database.db).addRootKey({ id: rootKeyId, handover: undefined });
      await seed?.(database.db);
      return build(database.db);
    };
  const objects = (db: Database) => ({
    reader: createObjectReader(db),
    writer: createObjectWriter(db),
    other: createObjectWriter(db),
    writerBehind: (before: () => Promise<unknown>) =>
      createObjectWriter({
        read: db.read,
        async write(procedure, input, condition) {
          await before();
          return db.write(procedure, input, condition);
        },
      }),
    feed: db.feed,
    vaults: createVaultStore(db),
    vaultKeys: createVaultKeyStore(db),
    items: createSealedItemStore(db),
    underRoot: createRootSealedStore(db),
    directory: createDirectoryStore(db),
    locks: createLockStore(db),
    assignments: createRoleAssignmentStore(db),
  });
  /** The one that the contracts' vaults are in. */
  const addGroup = (db: Database) =>
    createDirectoryStore(db).addResourceGroup({
      subscriptionId: guid(901),
      name: 'Group.1',
      location: 'local',
      tags: {},
    });
  const current = sealingKey(rootKeyId, new SecretBytes(systemRandom.bytes(32)));
  const byId = (id: string) => (id === current.id ? current : undefined);
  const rootKeys = { current, byId, learn: () => Promise.reject(new Error('there is one root key')) };
  const signingKeys = (db: Database) =>
    createSigningKeyStore(
      createSealedItems({ store: createSealedItemStore(db), rootKeys, random: systemRandom }),
    );
  const leases = (db: Database) => ({
    leases: createLeaseStore(db),
    writeUnder: (fence: Fence, name: string) => db.write(addTenant, { id: name, name }, fence),
    written: async () => (await createDirectoryStore(db).tenants()).map(({ name }) => name),
    isLeaseLost: (error: unknown) => error instanceof LeaseLost && error.lease !== '',
  });

  objectStoreContract(on(objects, addGroup));
  sealingStoreContract(on(objects, addGroup));
  vaultStoreContract(on(objects, addGroup));
  directoryStoreContract(
    on((db) => ({
      directory: createDirectoryStore(db),
      locks: createLockStore(db),
      vaults: createVaultStore(db),
      assignments: createRoleAssignmentStore(db),
    })),
  );
  const lockable = (db: Database) => ({
    directory: createDirectoryStore(db),
    vaults: createVaultStore(db),
    assignments: createRoleAssignmentStore(db),
    definitions: createRoleDefinitionStore(db),
    writer: createObjectWriter(db),
    identities: createUserAssignedIdentityStore(db),
    principals: createPrincipalStore(db),
  });
  underLocksContract(
    on((db) => ({ locked: lockable(underLocks(db)), free: lockable(db), locks: createLockStore(db) })),
  );
  userAssignedIdentityStoreContract(
    on((db) => ({
      identities: createUserAssignedIdentityStore(db),
      principals: createPrincipalStore(db),
      directory: createDirectoryStore(db),
      assignments: createRoleAssignmentStore(db),
      feed: db.feed,
    })),
  );
  leaseStoreContract(on(leases));
  principalStoreContract(on(createPrincipalStore));
  loginGrantStoreContract(on(createLoginGrantStore));
  failureStoreContract(on(createFailureStore));
  challengeBoardContract(on(createChallengeBoard));
  const roles = (db: Database) => ({
    assignments: createRoleAssignmentStore(db),
    definitions: createRoleDefinitionStore(db),
    directory: createDirectoryStore(db),
    vaults: createVaultStore(db),
  });
  roleAssignmentStoreContract(on(roles));
  roleDefinitionStoreContract(on(roles));
  anchorStoreContract(
    on((db) => ({ local: createAnchorStore(db, 'local'), other: createAnchorStore(db, 'other') })),
  );
  signingKeyStoreContract(on((db) => [signingKeys(db), signingKeys(db)]));
});
