/**
 * Proves the life of a name (absent, live, deleted) against a model: every random sequence of operations, and of
 * time passing, is answered as a small table of what Azure does predicts, kinds of failure included. The vaults
 * differ in retention and purge protection; names differ in case only, too.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretActions as actions } from '../../src/authorization/actions.ts';
import { Failure, type FailureKind } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import type { Secret } from '../../src/domain/secrets/secrets.ts';
import type { Vault } from '../../src/domain/vaults/vault.ts';
import { purgeJob } from '../../src/jobs/purge.ts';
import { startJobs } from '../../src/jobs/scheduler.ts';
import { createLeaseStore } from '../../src/storage/leases.ts';
import { openTestDomain, secretGrant, type TestDomain } from '../support/domain.ts';

interface ModelVersion {
  readonly id: string;
  readonly value: string;
  enabled: boolean;
  contentType: string | undefined;
  readonly created: number;
  updated: number;
}

interface ModelSecret {
  readonly name: string;
  readonly versions: ModelVersion[];
  deletedAt: number | undefined;
}

/** What a vault should hold, by upper-cased name; times in seconds. */
interface Model {
  readonly secrets: Map<string, ModelSecret>;
  readonly blobs: { readonly secret: ModelSecret; readonly blob: string }[];
  readonly retention: number;
  readonly purgeProtection: boolean;
  now: number;
}

interface Real {
  readonly domain: TestDomain;
  readonly vault: Vault;
  /** Lets time pass, and the purge job with it. */
  advance(seconds: number): Promise<void>;
}

type Command = fc.AsyncCommand<Model, Real>;

const names = ['alpha', 'ALPHA', 'Beta-1', 'beta-1', 'g'] as const;
const name = fc.constantFrom(...names);
const which = fc.nat(3);

/** A command from its words, for the counterexample, and its run, which predicts and compares. */
function command(words: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => words };
}

async function outcome<T>(work: Promise<T>): Promise<T | FailureKind> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Failure) return error.kind;
    throw error;
  }
}

function current(secret: ModelSecret): ModelVersion {
  const last = secret.versions.at(-1);
  if (last === undefined) throw new Error('a model secret has a version');
  return last;
}

function live(model: Model, key: string): ModelSecret | undefined {
  const secret = model.secrets.get(key.toUpperCase());
  return secret?.deletedAt === undefined ? secret : undefined;
}

function deleted(model: Model, key: string): ModelSecret | undefined {
  const secret = model.secrets.get(key.toUpperCase());
  return secret?.deletedAt === undefined ? undefined : secret;
}

function expectSame(real: Secret | FailureKind, secret: ModelSecret, version: ModelVersion, model: Model) {
  expect(real).toMatchObject({
    name: secret.name,
    contentType: version.contentType,
    version: {
      version: version.id,
      enabled: version.enabled,
      created: version.created,
      updated: version.updated,
    },
  });
  const { deletedAt } = secret;
  const times =
    deletedAt === undefined ? undefined : { deletedAt, purgeAt: deletedAt + model.retention * 86_400 };
  expect((real as Secret).deleted).toEqual(times);
}

/** The version that a command means: one that is there, or one that is not. */
function pick(secret: ModelSecret | undefined, index: number): string {
  return secret?.versions[index]?.id ?? 'f'.repeat(32);
}

const set = fc.tuple(name, fc.string({ unit: 'grapheme', maxLength: 8 })).map(([key, value]) =>
  command(`set ${key}`, async (model, { domain, vault }) => {
    const input = { value: SecretBytes.fromText(value), ...unset };
    const real = await outcome(domain.core.secrets.set(secretGrant(vault, actions.set, key), input));
    if (deleted(model, key) !== undefined) return expect(real).toBe('deletedButRecoverable');
    const made = real as Secret;
    const version: ModelVersion = {
      id: made.version.version,
      value,
      enabled: true,
      contentType: undefined,
      created: model.now,
      updated: model.now,
    };
    const secret = live(model, key) ?? { name: key, versions: [], deletedAt: undefined };
    expect(secret.versions.map(({ id }) => id)).not.toContain(version.id);
    secret.versions.push(version);
    model.secrets.set(key.toUpperCase(), secret);
    expectSame(real, secret, version, model);
  }),
);

const unset = {
  enabled: undefined,
  notBefore: undefined,
  expires: undefined,
  contentType: undefined,
  tags: undefined,
};

const get = fc.tuple(name, fc.option(which, { nil: undefined })).map(([key, index]) =>
  command(`get ${key} ${index ?? ''}`, async (model, { domain, vault }) => {
    const secret = live(model, key);
    const version = index === undefined ? undefined : pick(model.secrets.get(key.toUpperCase()), index);
    const grant = secretGrant(vault, actions.get, key);
    const real = await outcome(domain.core.secrets.get(grant, { version, outContentType: undefined }));
    const expected =
      version === undefined ? secret?.versions.at(-1) : secret?.versions.find(({ id }) => id === version);
    if (secret === undefined || expected === undefined) return expect(real).toBe('secretNotFound');
    if (!expected.enabled) return expect(real).toBe('secretDisabled');
    expectSame(real, secret, expected, model);
    expect((real as Secret).value?.exposeText()).toBe(expected.value);
  }),
);

const update = fc
  .tuple(
    name,
    fc.option(which, { nil: undefined }),
    fc.boolean(),
    fc.constantFrom('text/plain', 'a', undefined),
  )
  .map(([key, index, enabled, contentType]) =>
    command(`update ${key} ${index ?? ''} enabled=${enabled}`, async (model, { domain, vault }) => {
      const secret = live(model, key);
      const version = index === undefined ? undefined : pick(model.secrets.get(key.toUpperCase()), index);
      const grant = secretGrant(vault, actions.update, key);
      const input = { ...unset, version, enabled, contentType };
      const real = await outcome(domain.core.secrets.update(grant, input));
      const target =
        version === undefined ? secret?.versions.at(-1) : secret?.versions.find(({ id }) => id === version);
      if (secret === undefined || target === undefined) return expect(real).toBe('secretNotFound');
      target.enabled = enabled;
      target.contentType = contentType ?? target.contentType;
      target.updated = model.now;
      expectSame(real, secret, target, model);
      expect((real as Secret).value).toBeUndefined();
    }),
  );

const remove = name.map((key) =>
  command(`delete ${key}`, async (model, { domain, vault }) => {
    const real = await outcome(domain.core.secrets.delete(secretGrant(vault, actions.delete, key)));
    const secret = live(model, key);
    if (secret === undefined) return expect(real).toBe('secretNotFound');
    secret.deletedAt = model.now;
    expectSame(real, secret, current(secret), model);
  }),
);

const getDeleted = name.map((key) =>
  command(`getDeleted ${key}`, async (model, { domain, vault }) => {
    const real = await outcome(domain.core.secrets.getDeleted(secretGrant(vault, actions.getDeleted, key)));
    const secret = deleted(model, key);
    if (secret === undefined) return expect(real).toBe('secretNotFound');
    if (!current(secret).enabled) return expect(real).toBe('secretDisabled');
    expectSame(real, secret, current(secret), model);
  }),
);

const recover = name.map((key) =>
  command(`recover ${key}`, async (model, { domain, vault }) => {
    const real = await outcome(domain.core.secrets.recover(secretGrant(vault, actions.recover, key)));
    if (live(model, key) !== undefined) return expect(real).toBe('notDeleted');
    const secret = deleted(model, key);
    if (secret === undefined) return expect(real).toBe('secretNotFound');
    secret.deletedAt = undefined;
    expectSame(real, secret, current(secret), model);
  }),
);

const purge = name.map((key) =>
  command(`purge ${key}`, async (model, { domain, vault }) => {
    const real = await outcome(domain.core.secrets.purge(secretGrant(vault, actions.purge, key)));
    if (live(model, key) !== undefined) return expect(real).toBe('notDeletedBeforePurge');
    if (deleted(model, key) === undefined) return expect(real).toBe('secretNotFound');
    if (model.purgeProtection) return expect(real).toBe('purgeProtected');
    expect(real).toBeUndefined();
    model.secrets.delete(key.toUpperCase());
  }),
);

const backup = name.map((key) =>
  command(`backup ${key}`, async (model, { domain, vault }) => {
    const real = await outcome(domain.core.secrets.backup(secretGrant(vault, actions.backup, key)));
    const secret = live(model, key);
    if (secret === undefined) return expect(real).toBe('secretNotFound');
    model.blobs.push({ secret: structuredClone(secret), blob: real });
  }),
);

const restore = which.map((index) =>
  command(`restore blob ${index}`, async (model, { domain, vault }) => {
    const taken = model.blobs[index];
    if (taken === undefined) return;
    const real = await outcome(
      domain.core.secrets.restore(secretGrant(vault, actions.restore), {
        blob: taken.blob,
        identify: (name, version) => `${name}/${version}`,
      }),
    );
    const key = taken.secret.name.toUpperCase();
    if (model.secrets.has(key)) return expect(real).toBe('conflict');
    const secret = structuredClone(taken.secret);
    model.secrets.set(key, secret);
    expectSame(real as Secret, secret, current(secret), model);
  }),
);

const list = fc.boolean().map((ofDeleted) =>
  command(ofDeleted ? 'listDeleted' : 'list', async (model, { domain, vault }) => {
    const { secrets } = domain.core;
    const ask = { limit: 25, after: undefined };
    const grant = secretGrant(vault, actions.list);
    const page = await (ofDeleted ? secrets.listDeleted(grant, ask) : secrets.list(grant, ask));
    const expected = [...model.secrets]
      .filter(([, secret]) => (secret.deletedAt !== undefined) === ofDeleted)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    expect(page.next).toBeUndefined();
    expect(page.items.map((item) => item.name)).toEqual(expected.map(([, secret]) => secret.name));
    for (const [index, [, secret]] of expected.entries()) {
      expectSame(page.items[index] as Secret, secret, current(secret), model);
    }
  }),
);

const listVersions = name.map((key) =>
  command(`listVersions ${key}`, async (model, { domain, vault }) => {
    const ask = { limit: 25, after: undefined };
    const page = await domain.core.secrets.listVersions(secretGrant(vault, actions.list, key), ask);
    const versions = live(model, key)?.versions ?? [];
    expect(page.items.map((item) => item.version.version)).toEqual(versions.map(({ id }) => id).sort());
  }),
);

const day = 86_400;
const advance = fc
  .constantFrom(1, 3600, day, 3 * day, 7 * day - 1, 7 * day, 45 * day, 90 * day)
  .map((seconds) =>
    command(`advance ${seconds} s`, async (model, real) => {
      await real.advance(seconds);
      model.now += seconds;
      for (const [key, { deletedAt }] of model.secrets) {
        if (deletedAt !== undefined && deletedAt + model.retention * day <= model.now)
          model.secrets.delete(key);
      }
    }),
  );

const restart = fc.constant(
  command('restart', async (_model, { domain }) => {
    await domain.reopen();
  }),
);

const commands = fc.commands(
  [
    set,
    set,
    get,
    update,
    remove,
    remove,
    getDeleted,
    recover,
    purge,
    backup,
    restore,
    list,
    listVersions,
    advance,
  ],
  { maxCommands: 40, size: 'max' },
);
const withRestarts = fc.commands(
  [set, remove, recover, update, get, getDeleted, purge, list, restart, advance],
  {
    maxCommands: 12,
  },
);

let domain: TestDomain;
let vaults = 0;
beforeAll(async () => {
  domain = await openTestDomain();
});
afterAll(() => domain.close());

async function newCase(of: {
  retention: number;
  purgeProtection: boolean;
}): Promise<{ model: Model; real: Real }> {
  vaults += 1;
  const vault = await domain.vault(`case-${vaults}`, {
    softDeleteRetentionInDays: of.retention,
    enablePurgeProtection: of.purgeProtection,
  });
  const model: Model = { ...of, secrets: new Map(), blobs: [], now: domain.clock.now() / 1000 };
  const leases = createLeaseStore(domain.data.db);
  const { name: lease, term } = await leases
    .take('jobs', 'this test', await leases.read('jobs'))
    .then((taken) => taken ?? Promise.reject(new Error("the lease is another's")));
  const fence = { lease, term };
  const advanceClock = async (seconds: number) => {
    const { core, clock } = domain;
    let ran: Promise<void> = Promise.resolve();
    const job = purgeJob({ vaults: core.vaults, log: silentLog, purgeDue: core.purgeDue });
    const watched = {
      ...job,
      every: seconds * 1000,
      run: () => {
        ran = job.run(fence);
        return ran;
      },
    };
    const scheduler = startJobs({ clock, log: silentLog, fence: () => fence }, [watched]);
    clock.advance(seconds * 1000);
    await ran;
    await scheduler.stop();
  };
  return { model, real: { domain, vault, advance: advanceClock } };
}

/** Fixed, so that a failure is the same everywhere; another number tries other sequences. */
const seed = 71;

const kinds = [
  { retention: 90, purgeProtection: false },
  { retention: 90, purgeProtection: true },
  { retention: 7, purgeProtection: false },
  { retention: 7, purgeProtection: true },
];

test.each(kinds)('retention $retention, purge protection $purgeProtection', async (kind) => {
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const { model, real } = await newCase(kind);
      await fc.asyncModelRun(() => ({ model, real }), sequence);
    }),
    { numRuns: 40, seed },
  );
});

test('a restart changes nothing of it', async () => {
  await fc.assert(
    fc.asyncProperty(withRestarts, async (sequence) => {
      const { model, real } = await newCase({ retention: 7, purgeProtection: false });
      await fc.asyncModelRun(() => ({ model, real }), sequence);
    }),
    { numRuns: 15, seed },
  );
});
