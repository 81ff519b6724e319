/**
 * Requests on keys as commands for sequences by chance: each is sent, and its reply held to what the model predicts.
 */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Connection, Reply } from './cluster-client.ts';
import {
  bent,
  bundleOf,
  currentOf,
  findKey,
  findVersion,
  isSignedBy,
  itemOf,
  type Json,
  type ModelKey,
  type ModelKind,
  type ModelVault,
  type ModelVersion,
  policyReply,
  refusalOf,
  secondsPerDay,
  toBeSigned,
} from './key-model.ts';

/** What was made with a version: by its name and id it is to be verified or decrypted again. */
interface Made {
  readonly name: string;
  readonly id: string;
  readonly body: { readonly value: string } & Json;
}

export interface KeyModel {
  readonly vault: ModelVault;
  readonly blobs: { readonly key: ModelKey; readonly blob: string }[];
  readonly signatures: Made[];
  readonly ciphertexts: (Made & { readonly plaintext: string; readonly wrapped: boolean })[];
  /** How much of it was verified or decrypted later. */
  readonly confirmed: { signatures: number; ciphertexts: number };
}

export interface RealKeys {
  send: Connection['send'];
  /** Unix seconds of the server. */
  now(): number;
  jump(seconds: number): void;
  restart(): Promise<void>;
}

export type KeyCommand = fc.AsyncCommand<KeyModel, RealKeys>;

const version = '?api-version=2026-05-01-preview';
const missing = [404, 'KeyNotFound'] as const;

/** A command from its words, for the counterexample, and its run. */
function command(words: string, run: (model: KeyModel, real: RealKeys) => Promise<void>): KeyCommand {
  return { check: () => true, run, toString: () => words };
}

const name = fc.constantFrom('alpha', 'ALPHA', 'Beta-1', 'beta-1');
/** Nothing said as often as not: what is not given is then rare enough for most versions to be of use. */
function seldom<T>(...values: readonly T[]): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constantFrom(...values));
}
const which = seldom(0, 1, 2, 3);
const offset = seldom(-90, -1, 0, 1, 30, 90);
const tags = seldom<Json>({}, { a: '1' }, { b: '', a: 'ü' });
/** Times from now; operations as a mask over those that the kind has. */
const choices = fc.record({
  enabled: seldom(true, true, false),
  nbf: offset,
  exp: offset,
  mask: seldom(...Array.from({ length: 63 }, (_, index) => index + 1)),
  tags,
});
type Choices = typeof choices extends fc.Arbitrary<infer T> ? T : never;

function operationsOf(of: ModelKind | undefined, mask: number | undefined): readonly string[] | undefined {
  if (mask === undefined) return undefined;
  const chosen = (of?.operations ?? ['sign']).filter((_, index) => ((mask >> index) & 1) === 1);
  return chosen.length === 0 ? undefined : chosen;
}

/** What is sent, and what of it a version then has. */
function chosen(of: ModelKind | undefined, { enabled, nbf, exp, mask, tags: all }: Choices, now: number) {
  const at = (from: number | undefined) => (from === undefined ? undefined : now + from);
  const operations = operationsOf(of, mask);
  const has = { enabled, nbf: at(nbf), exp: at(exp), operations, tags: all };
  const attributes = { enabled, nbf: has.nbf, exp: has.exp };
  return { has, body: { attributes, key_ops: operations, tags: all } };
}

function expectRefused({ status, json }: Reply, expected: readonly [number, string]): void {
  expect([status, json.error.innererror?.code ?? json.error.code]).toEqual(expected);
}

function expectReply({ status, json }: Reply, expected: Json): void {
  expect(status).toBe(200);
  expect(json).toEqual(expected);
}

const taken = [409, 'ObjectIsDeletedButRecoverable'] as const;

/** The id of a version that a command means: one that is there, or one that is not, or the current one. */
function pick(model: KeyModel, key: string, index: number | undefined): string | undefined {
  if (index === undefined) return undefined;
  return model.vault.keys.get(key.toUpperCase())?.versions[index]?.id ?? 'f'.repeat(32);
}

const pathOf = (key: string, id: string | undefined, end = '') =>
  `/keys/${key}${id === undefined ? '' : `/${id}`}${end}${version}`;

/** Takes up a version that the server has made, after all that it says of it was looked at. */
function takeUp(
  { vault }: KeyModel,
  key: string,
  made: Omit<ModelVersion, 'id' | 'own'>,
  { json }: Reply,
): void {
  const id: string = json.key.kid.split('/').at(-1);
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  const own = Object.fromEntries(made.kind.own.map((member) => [member, json.key[member]]));
  for (const member of made.kind.own) expect(own[member]).toMatch(/^[\w-]+$/);
  if (made.kind.jwk !== undefined) expect(made.kind.jwk).toMatchObject(own);
  const known = findKey(vault, key, 'live') ?? {
    name: key,
    versions: [],
    policy: undefined,
    deletedAt: undefined,
  };
  expect(known.versions.map((each) => each.id)).not.toContain(id);
  known.versions.push({ ...made, id, own });
  vault.keys.set(key.toUpperCase(), known);
  expect(json).toEqual(bundleOf(vault, known, currentOf(known)));
}

const make = (kinds: readonly ModelKind[]) =>
  fc.tuple(name, fc.constantFrom(...kinds), choices).map(([key, of, choice]) =>
    command(`make ${key} ${of.label} ${JSON.stringify(choice)}`, async (model, { send, now }) => {
      const { has, body } = chosen(of, choice, now());
      const reply =
        of.jwk === undefined
          ? await send('POST', pathOf(key, undefined, '/create'), { ...of.create, ...body })
          : await send('PUT', pathOf(key, undefined), { key: of.jwk, ...body });
      if (findKey(model.vault, key, 'deleted')) return expectRefused(reply, taken);
      expect(reply.status, JSON.stringify(reply.json)).toBe(200);
      const times = { created: now(), updated: now() };
      const { enabled = true, operations = of.usual } = has;
      takeUp(model, key, { ...has, kind: of, enabled, operations, ...times }, reply);
    }),
  );

const rotate = name.map((key) =>
  command(`rotate ${key}`, async (model, { send, now }) => {
    const reply = await send('POST', pathOf(key, undefined, '/rotate'), {});
    const known = findKey(model.vault, key, 'live');
    if (known === undefined) return expectRefused(reply, missing);
    const from = currentOf(known);
    const days = Number(known.policy?.attributes.expiryTime?.slice(1, -1));
    const made = { kind: { ...from.kind, jwk: undefined }, operations: from.operations, tags: from.tags };
    const exp = Number.isNaN(days) ? undefined : now() + days * secondsPerDay;
    const times = { nbf: undefined, exp, created: now(), updated: now() };
    takeUp(model, key, { ...made, enabled: true, ...times } as never, reply);
  }),
);

const get = fc.tuple(name, which).map(([key, index]) =>
  command(`get ${key} ${index ?? ''}`, async (model, { send }) => {
    const id = pick(model, key, index);
    const reply = await send('GET', pathOf(key, id));
    const known = findKey(model.vault, key, 'live');
    const found = findVersion(known, id);
    if (known === undefined || found === undefined) return expectRefused(reply, missing);
    expectReply(reply, bundleOf(model.vault, known, found));
  }),
);

const update = fc.tuple(name, which, choices).map(([key, index, choice]) =>
  command(`update ${key} ${index ?? ''} ${JSON.stringify(choice)}`, async (model, { send, now }) => {
    const id = pick(model, key, index);
    const known = findKey(model.vault, key, 'live');
    const found = findVersion(known, id);
    const { has, body } = chosen(found?.kind, choice, now());
    const reply = await send('PATCH', pathOf(key, id), body);
    if (known === undefined || found === undefined) return expectRefused(reply, missing);
    const given = Object.entries(has).filter(([, value]) => value !== undefined);
    Object.assign(found, Object.fromEntries(given), { updated: now() });
    expectReply(reply, bundleOf(model.vault, known, found));
  }),
);

const remove = name.map((key) =>
  command(`delete ${key}`, async (model, { send, now }) => {
    const reply = await send('DELETE', pathOf(key, undefined));
    const known = findKey(model.vault, key, 'live');
    if (known === undefined) return expectRefused(reply, missing);
    known.deletedAt = now();
    expectReply(reply, bundleOf(model.vault, known, currentOf(known)));
  }),
);

const getDeleted = name.map((key) =>
  command(`getDeleted ${key}`, async (model, { send }) => {
    const reply = await send('GET', `/deletedkeys/${key}${version}`);
    const known = findKey(model.vault, key, 'deleted');
    if (known === undefined) return expectRefused(reply, missing);
    expectReply(reply, bundleOf(model.vault, known, currentOf(known)));
  }),
);

const recover = name.map((key) =>
  command(`recover ${key}`, async (model, { send }) => {
    const reply = await send('POST', `/deletedkeys/${key}/recover${version}`, {});
    if (findKey(model.vault, key, 'live'))
      return expectRefused(reply, [400, 'RequestNotAllowedOnNonDeletedObject']);
    const known = findKey(model.vault, key, 'deleted');
    if (known === undefined) return expectRefused(reply, missing);
    known.deletedAt = undefined;
    expectReply(reply, bundleOf(model.vault, known, currentOf(known)));
  }),
);

const purge = name.map((key) =>
  command(`purge ${key}`, async (model, { send }) => {
    const reply = await send('DELETE', `/deletedkeys/${key}${version}`);
    if (findKey(model.vault, key, 'live'))
      return expectRefused(reply, [400, 'ObjectMustBeDeletedPriorToBeingPurged']);
    if (findKey(model.vault, key, 'deleted') === undefined) return expectRefused(reply, missing);
    if (model.vault.purgeProtection) return expectRefused(reply, [403, 'Forbidden']);
    expect(reply.status).toBe(204);
    model.vault.keys.delete(key.toUpperCase());
  }),
);

const backup = name.map((key) =>
  command(`backup ${key}`, async (model, { send }) => {
    const reply = await send('POST', pathOf(key, undefined, '/backup'), {});
    const known = findKey(model.vault, key, 'live');
    if (known === undefined) return expectRefused(reply, missing);
    expect(reply.status).toBe(200);
    model.blobs.push({ key: structuredClone(known), blob: reply.json.value });
  }),
);

const restore = fc.nat(3).map((index) =>
  command(`restore ${index}`, async (model, { send }) => {
    const saved = model.blobs[index];
    if (saved === undefined) return;
    const reply = await send('POST', `/keys/restore${version}`, { value: saved.blob });
    const key = saved.key.name.toUpperCase();
    if (model.vault.keys.has(key)) return expectRefused(reply, [409, 'Conflict']);
    const known = structuredClone(saved.key);
    model.vault.keys.set(key, known);
    expectReply(reply, bundleOf(model.vault, known, currentOf(known)));
    const policyOf = await send('GET', pathOf(key, undefined, '/rotationpolicy'));
    expectReply(policyOf, policyReply(model.vault, known));
  }),
);

const list = fc.constantFrom('keys', 'deletedkeys').map((path) =>
  command(`list ${path}`, async ({ vault }, { send }) => {
    const reply = await send('GET', `/${path}${version}`);
    const listed = [...vault.keys].filter(([, key]) => (key.deletedAt === undefined) === (path === 'keys'));
    const value = listed.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, key]) => itemOf(vault, key));
    expectReply(reply, { value, nextLink: null });
  }),
);

const listVersions = name.map((key) =>
  command(`list versions of ${key}`, async ({ vault }, { send }) => {
    const reply = await send('GET', pathOf(key, undefined, '/versions'));
    const known = findKey(vault, key, 'live');
    const sorted = [...(known?.versions ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
    const value = known === undefined ? [] : sorted.map((each) => itemOf(vault, known, each));
    expectReply(reply, { value, nextLink: null });
  }),
);

const policy = fc.tuple(name, fc.constantFrom(undefined, 'P28D', 'P90D', 'none')).map(([key, expiryTime]) =>
  command(`policy ${key} ${expiryTime ?? ''}`, async ({ vault }, { send, now }) => {
    const known = findKey(vault, key, 'live');
    const path = pathOf(key, undefined, '/rotationpolicy');
    const notify = { trigger: { timeBeforeExpiry: 'P10D' }, action: { type: 'Notify' } };
    const usual = { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } };
    const has = expiryTime === 'none' ? {} : { expiryTime };
    const asked = { lifetimeActions: expiryTime === 'none' ? [] : [notify], attributes: has };
    const reply = await (expiryTime === undefined ? send('GET', path) : send('PUT', path, asked));
    if (known === undefined) return expectRefused(reply, missing);
    if (expiryTime !== undefined) {
      const created = known.policy?.attributes.created ?? now();
      const lifetimeActions = expiryTime === 'none' ? [usual] : [notify];
      known.policy = { lifetimeActions, attributes: { ...has, created, updated: now() } as never };
    }
    expectReply(reply, policyReply(vault, known));
  }),
);

const use = fc.tuple(name, which);
const base64url = (bytes: Buffer) => bytes.toString('base64url');

const sign = use.map(([key, index]) =>
  command(`sign ${key} ${index ?? ''}`, async (model, { send, now }) => {
    const id = pick(model, key, index);
    const known = findKey(model.vault, key, 'live');
    const found = findVersion(known, id);
    const { message, value } = toBeSigned(found?.kind, randomBytes(20));
    const body = { alg: found?.kind.signs ?? 'ES256', value: base64url(value) };
    const reply = await send('POST', pathOf(key, id, '/sign'), body);
    if (known === undefined || found === undefined) return expectRefused(reply, missing);
    const refusal = refusalOf(found, 'sign', now());
    if (refusal !== undefined) return expectRefused(reply, refusal);
    const { kid } = bundleOf(model.vault, known, found).key as { kid: string };
    expect([reply.status, reply.json.kid]).toEqual([200, kid]);
    expect(isSignedBy(found, message, Buffer.from(reply.json.value, 'base64url'))).not.toBe(false);
    const made = { alg: body.alg, digest: body.value, value: reply.json.value as string };
    model.signatures.push({ name: key, id: found.id, body: made });
  }),
);

const encrypt = fc.tuple(use, fc.constantFrom('encrypt', 'wrapKey')).map(([[key, index], operation]) =>
  command(`${operation} ${key} ${index ?? ''}`, async (model, { send, now }) => {
    const id = pick(model, key, index);
    const found = findVersion(findKey(model.vault, key, 'live'), id);
    const alg = found?.kind[operation === 'encrypt' ? 'encrypts' : 'wraps'] ?? 'RSA-OAEP-256';
    const value = base64url(randomBytes(32));
    const reply = await send('POST', pathOf(key, id, `/${operation.toLowerCase()}`), { alg, value });
    if (found === undefined) return expectRefused(reply, missing);
    const refusal = refusalOf(found, operation as 'encrypt', now());
    if (refusal !== undefined) return expectRefused(reply, refusal);
    expect(reply.status).toBe(200);
    const { value: ciphertext, iv, tag } = reply.json;
    const body = { alg, value: ciphertext, iv, tag };
    const wrapped = operation === 'wrapKey';
    model.ciphertexts.push({ name: key, id: found.id, body, plaintext: value, wrapped });
  }),
);

const again = fc.tuple(fc.nat(40), fc.boolean());

const verify = again.map(([index, isTampered]) =>
  command(
    `verify ${index} ${isTampered ? 'tampered' : ''}`,
    async ({ vault, signatures, confirmed }, { send, now }) => {
      const made = signatures[index % Math.max(signatures.length, 1)];
      if (made === undefined) return;
      const body = isTampered ? { ...made.body, value: bent(made.body.value) } : made.body;
      const reply = await send('POST', pathOf(made.name, made.id, '/verify'), body);
      const found = findVersion(findKey(vault, made.name, 'live'), made.id);
      if (found === undefined) return expectRefused(reply, missing);
      const refusal = refusalOf(found, 'verify', now());
      if (refusal !== undefined) return expectRefused(reply, refusal);
      expectReply(reply, { value: !isTampered });
      confirmed.signatures += 1;
    },
  ),
);

const decrypt = again.map(([index, isTampered]) =>
  command(
    `decrypt ${index} ${isTampered ? 'tampered' : ''}`,
    async ({ vault, ciphertexts, confirmed }, { send, now }) => {
      const made = ciphertexts[index % Math.max(ciphertexts.length, 1)];
      if (made === undefined) return;
      const operation = made.wrapped ? 'unwrapKey' : 'decrypt';
      const body = isTampered ? { ...made.body, value: bent(made.body.value) } : made.body;
      const reply = await send('POST', pathOf(made.name, made.id, `/${operation.toLowerCase()}`), body);
      const found = findVersion(findKey(vault, made.name, 'live'), made.id);
      if (found === undefined) return expectRefused(reply, missing);
      const refusal = refusalOf(found, operation, now());
      if (refusal !== undefined) return expectRefused(reply, refusal);
      if (isTampered) return expectRefused(reply, [400, 'BadParameter']);
      expect([reply.status, reply.json.value]).toEqual([200, made.plaintext]);
      confirmed.ciphertexts += 1;
    },
  ),
);

const jump = fc
  .constantFrom(1, 29, 30, 60)
  .map((seconds) => command(`${seconds} seconds`, async (_model, real) => real.jump(seconds)));

const restart = fc.constant(command('restart', async (_model, real) => real.restart()));

/** Sequences of so many commands. */
export function keyCommands(
  kinds: readonly ModelKind[],
  { most, restarts }: { most: number; restarts: boolean },
) {
  // Few kinds encrypt, and they are to have their share.
  const making = make([...kinds, ...kinds.filter(({ encrypts }) => encrypts !== undefined)]);
  const changing = [making, making, making, update, update, rotate, policy, backup, jump];
  const leaving = [remove, recover, recover, purge, restore];
  const showing = [get, getDeleted, list, listVersions];
  const using = [sign, sign, sign, sign, verify, verify, encrypt, encrypt, decrypt, decrypt];
  const all = [...changing, ...leaving, ...showing, ...using, ...(restarts ? [restart] : [])];
  return fc.commands(all, { maxCommands: most, size: 'max' });
}
