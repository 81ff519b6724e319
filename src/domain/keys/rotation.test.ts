/**
 * Proves that a rotation, which may take seconds, is of the key as it is when it ends: what was changed meanwhile is
 * not undone by a new version that was made from what the key had been. And that no key waits for another's failure.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type KeyDomain, noChoices, openKeyDomain } from '../../../test/support/key-domain.ts';
import { keyActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import type { KeyChoices, Keys } from './keys.ts';
import type { DueKey } from './rotation.ts';

const day = 86_400_000;

let domain: KeyDomain;
let names = 0;
beforeEach(async () => {
  domain = await openKeyDomain();
});
afterEach(() => domain.close());

async function create(choices: Partial<KeyChoices> = {}, prefix = 'key'): Promise<string> {
  names += 1;
  const name = `${prefix}-${names}`;
  const spec = { type: 'EC', curve: 'P-256' } as const;
  await domain.keys.create(domain.grant(actions.create, name), { ...noChoices, ...choices, spec });
  return name;
}

function setPolicy(name: string, rotateAfter: string | undefined) {
  const trigger = { timeAfterCreate: rotateAfter };
  const lifetimeActions = rotateAfter === undefined ? [] : [{ trigger, action: { type: 'Rotate' } }];
  const grant = domain.grant(actions.setRotationPolicy, name);
  return domain.rotation.setPolicy(grant, { lifetimeActions, expiryTime: undefined });
}

/** A key whose time to be rotated has just come. */
async function dueKey(choices: Partial<KeyChoices> = {}, prefix?: string): Promise<string> {
  const name = await create(choices, prefix);
  await setPolicy(name, 'P7D');
  domain.clock.advance(7 * day);
  return name;
}

async function runDue(options?: { hsm?: boolean }): Promise<DueKey[]> {
  const done: DueKey[] = [];
  for await (const each of domain.runDue(options)) done.push(each);
  return done;
}

const get = (name: string) => domain.keys.get(domain.grant(actions.get, name), undefined);
const rotate = (name: string) => domain.rotation.rotate(domain.grant(actions.rotate, name));
const remove = (name: string) => domain.keys.delete(domain.grant(actions.delete, name));

function update(
  name: string,
  change: Partial<KeyChoices>,
  { keys = domain.keys, version }: { keys?: Keys; version?: string } = {},
) {
  const { hsm: _hsm, ...patch } = { ...noChoices, ...change };
  return keys.update(domain.grant(actions.update, name), { ...patch, version });
}

async function versionsOf(name: string): Promise<number> {
  const page = { limit: 25, after: undefined };
  return (await domain.keys.listVersions(domain.grant(actions.list, name), page)).items.length;
}

describe('by the policy, while its new version is being made', () => {
  test('a key that is disabled stays disabled', async () => {
    const name = await dueKey();
    domain.whileMaking(() => update(name, { enabled: false }));
    expect(await runDue()).toEqual([]);
    expect([(await get(name)).version.enabled, await versionsOf(name)]).toEqual([false, 1]);
    await update(name, { enabled: true });
    expect(await runDue()).toMatchObject([{ name, what: 'rotated' }]);
  });

  test('a key whose policy is taken away is not rotated any more', async () => {
    const name = await dueKey();
    domain.whileMaking(() => setPolicy(name, undefined));
    expect(await runDue()).toEqual([]);
    expect(await versionsOf(name)).toBe(1);
  });

  test('a key that is rotated by somebody is rotated once', async () => {
    const name = await dueKey();
    domain.whileMaking(() => rotate(name));
    expect(await runDue()).toEqual([]);
    expect(await versionsOf(name)).toBe(2);
    expect(await runDue()).toEqual([]);
  });

  test('a key that is deleted stays deleted, and that is no failure', async () => {
    const name = await dueKey();
    domain.whileMaking(() => remove(name));
    expect(await runDue()).toEqual([]);
    await domain.keys.recover(domain.grant(actions.recover, name));
    expect(await versionsOf(name)).toBe(1);
  });

  test('a key that loses an operation has it in no later version', async () => {
    const name = await dueKey({ operations: ['sign', 'verify'] });
    domain.whileMaking(() => update(name, { operations: ['verify'] }));
    expect(await runDue()).toEqual([]);
    expect(await runDue()).toMatchObject([{ name, what: 'rotated' }]);
    expect((await get(name)).detail.operations).toEqual(['verify']);
    expect(await versionsOf(name)).toBe(2);
  });

  test('a version that is not the current one may change meanwhile', async () => {
    const name = await create();
    const { version: old } = (await get(name)).version;
    await rotate(name);
    await setPolicy(name, 'P7D');
    domain.clock.advance(7 * day);
    domain.whileMaking(() => update(name, { enabled: false }, { version: old }));
    expect(await runDue()).toMatchObject([{ name, what: 'rotated' }]);
  });
});

describe('on demand, while the new version is being made', () => {
  test('it is of what the key has become', async () => {
    const name = await create({ operations: ['sign', 'verify'], tags: { a: '1' } });
    await get(name);
    domain.whileMaking(() => update(name, { operations: ['verify'], tags: { a: '2' } }));
    await rotate(name);
    const { detail, version } = await get(name);
    expect([detail.operations, version.tags, await versionsOf(name)]).toEqual([['verify'], { a: '2' }, 2]);
  });

  test('it is, even if that comes from another process between the decision and the write', async () => {
    const name = await create({ operations: ['sign', 'verify'] });
    domain.whileWriting(() => update(name, { operations: ['verify'] }, { keys: domain.elsewhere }));
    await rotate(name);
    const { detail } = await get(name);
    expect([detail.operations, await versionsOf(name)]).toEqual([['verify'], 2]);
  });

  test('it follows a version that somebody else has made, of its kind', async () => {
    const name = await create();
    const spec = { type: 'EC', curve: 'P-384' } as const;
    domain.whileMaking(() => domain.keys.create(domain.grant(actions.create, name), { ...noChoices, spec }));
    const rotated = await rotate(name);
    expect((await get(name)).version.version).toBe(rotated.version.version);
    expect([rotated.detail.spec, await versionsOf(name)]).toEqual([spec, 3]);
  });

  test('a key that is deleted is not there', async () => {
    const name = await create();
    domain.whileMaking(() => remove(name));
    await expect(rotate(name)).rejects.toMatchObject({ kind: 'keyNotFound' });
    await domain.keys.recover(domain.grant(actions.recover, name));
    expect(await versionsOf(name)).toBe(1);
  });
});

describe('a run of the job', () => {
  test('leaves alone what has changed since it read what is due', async () => {
    const [first, disabled, putOff, deleted] = [
      await create(),
      await create(),
      await create(),
      await create(),
    ];
    const expires = Math.floor(domain.clock.now() / 1000) + 60 * 86_400;
    for (const name of [first, putOff]) await update(name, { expires });
    for (const name of [disabled, deleted]) await setPolicy(name, 'P30D');
    domain.clock.advance(31 * day);
    const run = domain.runDue();
    const seen = [(await run.next()).value];
    await update(disabled, { enabled: false });
    await update(putOff, { expires: expires + 60 * 86_400 });
    await remove(deleted);
    for await (const each of run) seen.push(each);
    expect(seen).toMatchObject([{ name: first, what: 'nearExpiry' }]);
    expect([await versionsOf(disabled), await versionsOf(putOff)]).toEqual([1, 1]);
    // It is announced when its time has come.
    domain.clock.advance(60 * day);
    expect((await runDue()).map(({ name, what }) => [name, what])).toEqual([
      [first, 'expired'],
      [putOff, 'nearExpiry'],
    ]);
  });

  test('ends when the storage cannot be reached, and the next one does all of it', async () => {
    const keys = [await create(), await create()];
    for (const name of keys) await setPolicy(name, 'P7D');
    domain.clock.advance(7 * day);
    domain.whileWriting(() => Promise.reject(new Failure('unavailable', 'The storage is away.')));
    await expect(runDue()).rejects.toMatchObject({ kind: 'unavailable' });
    expect([await versionsOf(keys[0] ?? ''), await versionsOf(keys[1] ?? '')]).toEqual([1, 1]);
    expect((await runDue()).map(({ name, what }) => [name, what])).toEqual(
      keys.map((name) => [name, 'rotated']),
    );
  });

  test('comes to the last key, however many cannot be seen to', async () => {
    const stuck: string[] = [];
    for (let n = 0; n < 105; n += 1) {
      const name = await create({ hsm: true }, 'stuck');
      await setPolicy(name, 'P7D');
      stuck.push(name);
    }
    domain.clock.advance(1000);
    const last = await dueKey();
    const seen = await runDue({ hsm: false });
    expect(seen.filter(({ what }) => what === 'failed').map(({ name }) => name)).toEqual(stuck.sort());
    expect(seen.at(-1)).toMatchObject({ name: last, what: 'rotated' });
    expect(seen[0]?.error).toMatchObject({ kind: 'badParameter' });
    // As soon as it can be done, it is.
    const again = await runDue();
    expect(again.map(({ name, what }) => [name, what])).toEqual(stuck.map((name) => [name, 'rotated']));
  });
});
