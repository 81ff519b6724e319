/**
 * Keys over a data folder of their own, built as the server builds them, with a provider that counts the handles that
 * are open and lets a test act while it makes a key, and a store that lets one act while it reads.
 */
import type { Action } from '../../src/authorization/actions.ts';
import { systemGrant } from '../../src/authorization/grant.ts';
import { silentLog } from '../../src/core/log.ts';
import type { KeyHandle, KeyProvider } from '../../src/crypto/provider.ts';
import { createSoftwareProvider } from '../../src/crypto/software/provider.ts';
import { createKeyObjects, type KeyDeps } from '../../src/domain/keys/key-objects.ts';
import { createKeyUse, type KeyUse } from '../../src/domain/keys/key-use.ts';
import { createKeys, type KeyChoices, type Keys } from '../../src/domain/keys/keys.ts';
import { type OpenKey, openKeySize } from '../../src/domain/keys/open-key.ts';
import {
  createKeyRotation,
  type DueKey,
  type KeyRotation,
  runDueKeys,
} from '../../src/domain/keys/rotation.ts';
import { vaultRotationLimits } from '../../src/domain/keys/rotation-policy.ts';
import type { Vault, VaultGrant } from '../../src/domain/vaults/vault.ts';
import { createValueCache } from '../../src/domain/versioned/value-cache.ts';
import { createAttestationVerifier } from '../../src/identity/attestation.ts';
import { createObjectReader, createObjectWriter } from '../../src/storage/objects.ts';
import { openTestDomain } from './domain.ts';
import type { ManualClock } from './identity.ts';

export interface KeyDomain {
  readonly clock: ManualClock;
  readonly vault: Vault;
  readonly keys: Keys;
  /** The same keys, changed by another process. */
  readonly elsewhere: Keys;
  readonly use: KeyUse;
  readonly rotation: KeyRotation;
  grant(action: Action, name: string): VaultGrant;
  /** What the job does; without `hsm` as a server that is configured to have no HSM keys. */
  runDue(options?: { hsm?: boolean }): AsyncGenerator<DueKey>;
  openHandles(): number;
  /** Runs once, while the provider makes the next key. */
  whileMaking(during: () => Promise<unknown>): void;
  /** Runs once, when the store has read a version and has not told yet. */
  whileReading(during: () => Promise<unknown>): void;
  /** Runs once, when a change has been decided on and is not written yet. */
  whileWriting(during: () => Promise<unknown>): void;
  /** Lets go of all that is in memory. */
  forgetAll(): void;
  close(): Promise<void>;
}

/** What a caller chooses who chooses nothing. */
export const noChoices: KeyChoices = {
  ...{ enabled: undefined, notBefore: undefined, expires: undefined, tags: undefined },
  ...{ operations: undefined, exportable: undefined, releasePolicy: undefined },
  hsm: false,
};

export async function openKeyDomain(): Promise<KeyDomain> {
  const domain = await openTestDomain();
  const { data, core, clock, tools } = domain;
  const vault = await domain.vault('keys', { sku: 'premium' });
  const handles = new Set<KeyHandle>();
  const [making, reading, writing] = [oneTime(), oneTime(), oneTime()];
  const software = createSoftwareProvider({ log: silentLog, random: tools.random });
  const watched: KeyProvider = {
    ...software,
    async generate(spec) {
      await making.run();
      return software.generate(spec);
    },
    open: async (key) => counted(handles, await software.open(key)),
  };
  const values = createValueCache<OpenKey>(
    { clock, feed: data.db.feed },
    { sizeOf: () => openKeySize, dropped: (key) => key.close() },
  );
  const reader = createObjectReader(data.db);
  const deps: KeyDeps = {
    reader: {
      ...reader,
      async sealedVersion(key, version) {
        const found = await reader.sealedVersion(key, version);
        await reading.run();
        return found;
      },
    },
    writer: createObjectWriter({
      read: data.db.read,
      async write(procedure, input, fence) {
        await writing.run();
        return data.db.write(procedure, input, fence);
      },
    }),
    ...{ vaultKeys: core.vaultKeys, clock, values, random: tools.random, limits: vaultRotationLimits },
    providers: { software: watched, hsm: watched },
  };
  const objects = createKeyObjects(deps);
  const use = createKeyUse({ clock, objects });
  const noNetwork = () => Promise.reject(new Error('this test has no network'));
  const attestations = createAttestationVerifier(
    { fetch: noNetwork, clock, log: silentLog },
    { allowed: [] },
  );
  const { unwrapPrivate } = use;
  const inside = { sealedItems: data.items, attestations, unwrapPrivate };
  const others: KeyDeps = { ...deps, writer: createObjectWriter(data.db) };
  return {
    ...{ clock, vault, use },
    keys: createKeys({ ...deps, ...inside, objects }),
    elsewhere: createKeys({ ...others, ...inside, objects: createKeyObjects(others) }),
    rotation: createKeyRotation({ ...deps, objects }),
    grant: (action, name) => systemGrant(vault, action, { kind: 'keys', name }),
    runDue({ hsm = true } = {}) {
      const providers = { software: watched, hsm: hsm ? watched : undefined };
      return runDueKeys({ ...deps, providers, objects }, vault);
    },
    openHandles: () => handles.size,
    whileMaking: making.set,
    whileReading: reading.set,
    whileWriting: writing.set,
    forgetAll: values.clear,
    async close() {
      values.clear();
      await domain.close();
    },
  };
}

/** Something to be run once, when the time comes. */
function oneTime() {
  let set: (() => Promise<unknown>) | undefined;
  return {
    set(run: () => Promise<unknown>) {
      set = run;
    },
    async run() {
      const now = set;
      set = undefined;
      await now?.();
    },
  };
}

function counted(handles: Set<KeyHandle>, handle: KeyHandle): KeyHandle {
  handles.add(handle);
  return {
    spec: handle.spec,
    sign: (algorithm, value) => handle.sign(algorithm, value),
    verify: (algorithm, value, signature) => handle.verify(algorithm, value, signature),
    encrypt: (algorithm, input) => handle.encrypt(algorithm, input),
    decrypt: (algorithm, input) => handle.decrypt(algorithm, input),
    exportWrapped: (algorithm, to) => handle.exportWrapped(algorithm, to),
    importWrapped: (algorithm, input) => handle.importWrapped(algorithm, input),
    close() {
      handles.delete(handle);
      handle.close();
    },
  };
}
