/**
 * Proves what a backup blob is worth: it brings back every version as it was, into any vault of its subscription and
 * after any rotation; a blob that was altered in any way, or that another server made, brings back nothing.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretActions as actions } from '../../src/authorization/actions.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import { rotateRootKey } from '../../src/domain/sealing/root-rotation.ts';
import type { Secret, SecretAttributes } from '../../src/domain/secrets/secrets.ts';
import type { Vault } from '../../src/domain/vaults/vault.ts';
import { createRootSealedStore } from '../../src/storage/sealing.ts';
import { openTestDomain, secretGrant, type TestDomain } from '../support/domain.ts';

/** Fixed, so that a failure is the same everywhere; another number tries other sequences. */
const seed = 73;

let domain: TestDomain;
let source: Vault;
let target: Vault;
let names = 0;

beforeAll(async () => {
  domain = await openTestDomain();
  source = await domain.vault('source');
  target = await domain.vault('target', { softDeleteRetentionInDays: 7 });
});
afterAll(() => domain.close());

const plain: SecretAttributes = {
  enabled: undefined,
  notBefore: undefined,
  expires: undefined,
  contentType: undefined,
  tags: undefined,
};

function newName(): string {
  names += 1;
  return `Saved-${names}`;
}

async function set(name: string, value: string, attributes: SecretAttributes = plain): Promise<Secret> {
  const input = { ...attributes, value: SecretBytes.fromText(value) };
  return domain.core.secrets.set(secretGrant(source, actions.set, name), input);
}

function backup(name: string): Promise<string> {
  return domain.core.secrets.backup(secretGrant(source, actions.backup, name));
}

function restore(blob: string, vault = target, server = domain): Promise<Secret> {
  const identify = (name: string, version: string) => `${name}/${version}`;
  return server.core.secrets.restore(secretGrant(vault, actions.restore), { blob, identify });
}

async function versionsOf(vault: Vault, name: string): Promise<readonly Secret[]> {
  const grant = secretGrant(vault, actions.list, name);
  return (await domain.core.secrets.listVersions(grant, { limit: 25, after: undefined })).items;
}

async function openedValue(
  vault: Vault,
  name: string,
  version: string | undefined,
): Promise<string | undefined> {
  const grant = secretGrant(vault, actions.get, name);
  const found = await domain.core.secrets.get(grant, { version, outContentType: undefined });
  return found.value?.exposeText();
}

const anyText = fc.string({ unit: 'binary', maxLength: 40 });
const anyTime = fc.option(fc.integer({ min: 0, max: 253_402_300_799 }), { nil: undefined });
const anyVersion = fc.record({
  value: anyText,
  enabled: fc.boolean(),
  notBefore: anyTime,
  expires: anyTime,
  contentType: fc.option(anyText, { nil: undefined }),
  tags: fc.option(
    fc.array(fc.tuple(fc.oneof(anyText, fc.constantFrom('__proto__', 'constructor', 'toJSON')), anyText), {
      maxLength: 3,
    }),
    { nil: undefined },
  ),
});

test('a round trip keeps every version, id, attribute and value', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyVersion, { minLength: 1, maxLength: 5 }), async (versions) => {
      const name = newName();
      const values = new Map<string, string>();
      for (const { value, tags, ...rest } of versions) {
        const made = await set(name, value, {
          ...rest,
          tags: tags === undefined ? undefined : Object.fromEntries(tags),
        });
        values.set(made.version.version, value);
        domain.clock.advance(1000);
      }
      const before = await versionsOf(source, name);
      const restored = await restore(await backup(name));
      expect(restored.name).toBe(name);
      expect(restored.version.version).toBe([...values.keys()].at(-1));
      expect(await versionsOf(target, name)).toEqual(before);
      for (const [version, value] of values) {
        const input = { ...plain, version, enabled: true };
        await domain.core.secrets.update(secretGrant(target, actions.update, name), input);
        expect(await openedValue(target, name, version)).toBe(value);
      }
    }),
    { numRuns: 40, seed },
  );
});

test('a blob with any bit flipped, or cut, or longer, is refused and brings nothing', async () => {
  const name = newName();
  await set(name, 'value');
  const blob = await backup(name);
  const bytes = Buffer.from(blob, 'base64url');
  const altered: string[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    for (const bit of [1 << (at % 8), 0xff]) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ bit;
      altered.push(copy.toString('base64url'));
    }
    altered.push(bytes.subarray(0, at).toString('base64url'));
  }
  for (const more of ['A', '=', '==', ' ', '\n', '\0', 'AAAA', blob]) altered.push(blob + more, more + blob);
  for (let at = 0; at < blob.length; at += 1)
    altered.push(blob.slice(0, at), `${blob.slice(0, at)} ${blob.slice(at)}`);
  altered.push('', bytes.toString('base64'), bytes.toString('hex'), blob.toUpperCase());
  for (const wrong of altered.filter((text) => text !== blob)) {
    await expect(restore(wrong)).rejects.toMatchObject({ kind: 'malformedBackupBlob' });
  }
  expect(await versionsOf(target, name)).toEqual([]);
  await restore(blob);
});

test('the last character of a blob has no spare bits to play with', async () => {
  for (const value of ['a', 'aa', 'aaa']) {
    const name = newName();
    await set(name, value);
    const blob = await backup(name);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (const letter of alphabet) {
      const other = blob.slice(0, -1) + letter;
      if (other === blob) continue;
      await expect(restore(other)).rejects.toMatchObject({ kind: 'malformedBackupBlob' });
    }
  }
});

test('two blobs spliced at any place are refused', async () => {
  const [a, b] = [newName(), newName()];
  await set(a, 'value of a');
  await set(b, 'value of b');
  const [left, right] = [
    Buffer.from(await backup(a), 'base64url'),
    Buffer.from(await backup(b), 'base64url'),
  ];
  for (let at = 1; at < left.length; at += 1) {
    const spliced = Buffer.concat([left.subarray(0, at), right.subarray(at)]);
    if (spliced.equals(left) || spliced.equals(right)) continue;
    await expect(restore(spliced.toString('base64url'))).rejects.toMatchObject({
      kind: 'malformedBackupBlob',
    });
  }
});

test('a blob of another server is refused, even for a vault of the same name', async () => {
  const other = await openTestDomain();
  try {
    const name = newName();
    await set(name, 'value');
    const vault = await other.vault('source');
    await expect(restore(await backup(name), vault, other)).rejects.toMatchObject({
      kind: 'malformedBackupBlob',
    });
  } finally {
    await other.close();
  }
});

test('a blob is refused outside its subscription', async () => {
  const { directory, tenant } = domain.core;
  const subscription = { id: domain.tools.random.guid(), tenantId: tenant.id, name: 'other' };
  await directory.addSubscription(subscription);
  await directory.addResourceGroup({
    subscriptionId: subscription.id,
    name: 'default',
    location: 'local',
    tags: {},
  });
  const elsewhere = await domain.vault('elsewhere', { subscriptionId: subscription.id });
  const name = newName();
  await set(name, 'value');
  await expect(restore(await backup(name), elsewhere)).rejects.toMatchObject({ kind: 'badParameter' });
  expect(await versionsOf(elsewhere, name)).toEqual([]);
});

test('a blob still restores after the root key and the vault keys were rotated, and after a restart', async () => {
  const name = newName();
  await set(name, 'old');
  await set(name, 'new');
  const before = await versionsOf(source, name);
  const blob = await backup(name);
  const { data, tools } = domain;
  const store = createRootSealedStore(data.db);
  await rotateRootKey({ store, rootKey: data.rootKey, random: tools.random, severalNodes: false });
  for (const vault of [source, target]) await domain.core.vaultKeys.rotate(vault.id);
  await domain.reopen();
  await restore(blob);
  expect(await versionsOf(target, name)).toEqual(before);
  expect(await openedValue(target, name, undefined)).toBe('new');
});

test('a name that is taken, live or deleted, is not restored over', async () => {
  const name = newName();
  await set(name, 'value');
  const blob = await backup(name);
  await expect(restore(blob, source)).rejects.toMatchObject({ kind: 'conflict' });
  await domain.core.secrets.delete(secretGrant(source, actions.delete, name));
  await expect(restore(blob, source)).rejects.toMatchObject({ kind: 'conflict' });
  await domain.core.secrets.purge(secretGrant(source, actions.purge, name));
  await restore(blob, source);
  expect(await openedValue(source, name, undefined)).toBe('value');
});
