/** Proves rotation over the wire: what a policy may say, at its edges, what it answers, and what rotation makes of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import { outsideKey } from '../support/key-clients.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { keyVersionOf, type VaultCaller } from '../support/vault-rest.ts';

// The first of this month by the machine, whose time decides on certificates.
const today = new Date(performance.timeOrigin);
const [year, month] = [today.getUTCFullYear(), today.getUTCMonth()];
const firstOfMonth = (months: number) => Date.UTC(year, month + months, 1) / 1000;
const clock = manualClock(firstOfMonth(0) * 1000);
const now = clock.now() / 1000;
const day = 86_400;

let server: TestServer;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer({ clock });
  call = vaultCaller(server, await tokenFor(server));
  await call('POST', '/keys/k/create', { kty: 'EC' });
});
afterAll(() => server.close());

const rotate = (trigger: object) => ({ action: { type: 'Rotate' }, trigger });
const notify = (trigger: object) => ({ action: { type: 'Notify' }, trigger });
const usualNotify = notify({ timeBeforeExpiry: 'P30D' });

function set(lifetimeActions: unknown, expiryTime?: unknown, name = 'k') {
  return call('PUT', `/keys/${name}/rotationpolicy`, { lifetimeActions, attributes: { expiryTime } });
}

async function refused(lifetimeActions: unknown, expiryTime?: unknown): Promise<void> {
  const before = (await call('GET', '/keys/k/rotationpolicy')).text;
  const reply = await set(lifetimeActions, expiryTime);
  expect([lifetimeActions, expiryTime, reply.status, reply.json.error?.code]).toEqual([
    lifetimeActions,
    expiryTime,
    400,
    'BadParameter',
  ]);
  expect(reply.json.error.message).toMatch(/^Property (lifetimeActions|attributes) has invalid value\r\n/);
  expect((await call('GET', '/keys/k/rotationpolicy')).text).toBe(before);
}

describe('what a policy may say', () => {
  test('expiryTime: 28 days at least', async () => {
    for (const least of ['P28D', 'P4W', 'PT672H', 'P1M', 'P1Y10D', 'P27DT24H']) {
      const reply = await set([], least);
      expect([least, reply.status, reply.json.attributes?.expiryTime]).toEqual([least, 200, least]);
    }
    for (const less of ['P27D', 'P3W', 'PT671H', 'P27DT23H59M59S', 'P0D', 'PT0S']) await refused([], less);
  });

  test.each([
    '',
    'x',
    'P',
    'PT',
    '28D',
    'P28d',
    '-P28D',
    'P-28D',
    'P28.5D',
    'P28DT',
    'P1D1M',
    ' P28D',
    'P28D\n',
    'P999999D',
  ])('no duration: %j', async (text) => {
    // An empty text is none.
    if (text !== '') await refused([], text);
    await refused([rotate({ timeAfterCreate: text })], 'P90D');
    await refused([notify({ timeBeforeExpiry: text })], 'P90D');
  });

  test('rotation after creation: at least 7 days after it, and at least 7 before expiry', async () => {
    for (const [after, expiry] of [
      ['P7D', undefined],
      ['P7D', 'P28D'],
      ['P21D', 'P28D'],
      ['P83D', 'P90D'],
      ['P15D', 'P30D'],
      ['P1Y', 'P2Y'],
    ]) {
      const reply = await set([rotate({ timeAfterCreate: after })], expiry);
      expect([after, expiry, reply.status]).toEqual([after, expiry, 200]);
    }
    await refused([rotate({ timeAfterCreate: 'P6D' })]);
    await refused([rotate({ timeAfterCreate: 'P6DT23H59M59S' })], 'P28D');
    await refused([rotate({ timeAfterCreate: 'P22D' })], 'P28D');
    await refused([rotate({ timeAfterCreate: 'P84D' })], 'P90D');
    await refused([rotate({ timeAfterCreate: 'P90D' })], 'P90D');
  });

  test.each([
    ['Rotate', rotate],
    ['Notify', notify],
  ])('%s before expiry: at least 7 days before it, and at least 7 after creation', async (_, action) => {
    for (const [before, expiry] of [
      ['P7D', 'P28D'],
      ['P21D', 'P28D'],
      ['P83D', 'P90D'],
    ]) {
      const reply = await set([action({ timeBeforeExpiry: before })], expiry);
      expect([before, expiry, reply.status]).toEqual([before, expiry, 200]);
    }
    await refused([action({ timeBeforeExpiry: 'P6D' })], 'P28D');
    await refused([action({ timeBeforeExpiry: 'P22D' })], 'P28D');
    await refused([action({ timeBeforeExpiry: 'P84D' })], 'P90D');
    // Before an expiry that there is none of.
    await refused([action({ timeBeforeExpiry: 'P29D' })]);
  });

  test('one Rotate and one Notify, each with one trigger that is for it', async () => {
    const [after, before] = [{ timeAfterCreate: 'P30D' }, { timeBeforeExpiry: 'P30D' }];
    const both = await set([rotate(after), notify(before)], 'P90D');
    expect(both.status).toBe(200);
    await refused([rotate(after), rotate(before)], 'P90D');
    await refused([notify(before), notify(before)], 'P90D');
    await refused([rotate(after), notify(before), rotate(after)], 'P90D');
    await refused([rotate({ ...after, ...before })], 'P90D');
    await refused([rotate({})], 'P90D');
    await refused([notify(after)], 'P90D');
    await refused([{ action: { type: 'Rotate' } }], 'P90D');
    await refused([{ trigger: after }], 'P90D');
    await refused([{ action: {}, trigger: after }], 'P90D');
    await refused([{ action: { type: 'EmailContacts' }, trigger: after }], 'P90D');
    await refused([{}], 'P90D');
  });

  test('what is of another form', async () => {
    for (const actions of ['x', {}, 5, [5], ['Rotate'], [{ action: 'Rotate', trigger: {} }], [[]]])
      await refused(actions, 'P90D');
    await refused([], 90);
    await refused([], ['P90D']);
    for (const attributes of ['x', [], 5]) {
      const reply = await call('PUT', '/keys/k/rotationpolicy', { attributes });
      expect([attributes, reply.status]).toEqual([attributes, 400]);
    }
  });
});

describe('what a policy answers', () => {
  test('Rotate before Notify, whatever their order and case; a Notify that was not given is the usual one', async () => {
    const lower = { action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P30D' } };
    const upper = { action: { type: 'NOTIFY' }, trigger: { timeBeforeExpiry: 'P10D' } };
    const both = await set([upper, lower], 'P90D');
    expect(both.json.lifetimeActions).toEqual([
      rotate({ timeAfterCreate: 'P30D' }),
      notify({ timeBeforeExpiry: 'P10D' }),
    ]);
    const one = await set([lower], 'P90D');
    expect(one.json.lifetimeActions).toEqual([rotate({ timeAfterCreate: 'P30D' }), usualNotify]);
  });

  test('a policy takes the place of the one before, and keeps the time of the first', async () => {
    await call('POST', '/keys/times/create', { kty: 'EC' });
    await set([rotate({ timeAfterCreate: 'P30D' })], 'P90D', 'times');
    clock.advance(5000);
    const second = await set([], undefined, 'times');
    expect(second.json).toEqual({
      id: 'https://dev.vault.azure.net/keys/times/rotationpolicy',
      lifetimeActions: [usualNotify],
      attributes: { created: now, updated: now + 5 },
    });
    expect((await call('GET', '/keys/times/rotationpolicy')).text).toBe(second.text);
    clock.jump(-5000);
  });

  test('what was read can be written back', async () => {
    await call('POST', '/keys/echo/create', { kty: 'EC' });
    const unset = (await call('GET', '/keys/echo/rotationpolicy')).json;
    const reply = await call('PUT', '/keys/echo/rotationpolicy', unset);
    expect([reply.status, reply.json.lifetimeActions]).toEqual([200, unset.lifetimeActions]);
    const again = await call('PUT', '/keys/echo/rotationpolicy', reply.json);
    expect([again.status, again.text]).toEqual([200, reply.text]);
  });

  test('nulls mean not given', async () => {
    const reply = await call('PUT', '/keys/k/rotationpolicy', { lifetimeActions: null, attributes: null });
    expect([reply.status, reply.json.lifetimeActions]).toEqual([200, [usualNotify]]);
  });

  test('it belongs to the key, not to a version, and goes with it when it is deleted and recovered', async () => {
    await call('POST', '/keys/owned/create', { kty: 'EC' });
    const policy = await set([rotate({ timeAfterCreate: 'P30D' })], 'P90D', 'owned');
    await call('POST', '/keys/owned/create', { kty: 'RSA' });
    expect((await call('GET', '/keys/OWNED/rotationpolicy')).text).toBe(policy.text);
    await call('DELETE', '/keys/owned');
    expect((await call('GET', '/keys/owned/rotationpolicy')).status).toBe(404);
    await call('POST', '/deletedkeys/owned/recover');
    expect((await call('GET', '/keys/owned/rotationpolicy')).text).toBe(policy.text);
  });
});

describe('rotation', () => {
  test.each([
    [
      { kty: 'EC', crv: 'P-521' },
      { kty: 'EC', crv: 'P-521' },
    ],
    [
      { kty: 'EC-HSM', crv: 'P-256K', key_ops: ['sign'] },
      { kty: 'EC-HSM', crv: 'P-256K', key_ops: ['sign'] },
    ],
    [{ kty: 'oct-HSM', key_size: 192 }, { kty: 'oct-HSM' }],
    [
      { kty: 'RSA', public_exponent: 65_539 },
      { kty: 'RSA', e: 'AQAD' },
    ],
  ])('of %j makes a key of the same kind', async (body, key) => {
    const made = await call('POST', '/keys/kind/create?api-version=2026-04-01', {
      ...body,
      tags: { t: '1' },
    });
    const rotated = await call('POST', '/keys/kind/rotate?api-version=2026-04-01');
    expect(rotated.status).toBe(200);
    expect(rotated.json.key).toMatchObject(key);
    expect(rotated.json.key.key_ops).toEqual(made.json.key.key_ops);
    expect(rotated.json.attributes.key_size).toBe(made.json.attributes.key_size);
    expect(rotated.json.tags).toEqual({ t: '1' });
    expect(keyVersionOf(rotated)).not.toBe(keyVersionOf(made));
    if (made.json.key.n) expect(rotated.json.key.n).toHaveLength(made.json.key.n.length);
    for (const member of ['n', 'x', 'y'])
      if (made.json.key[member]) expect(rotated.json.key[member]).not.toBe(made.json.key[member]);
  });

  test('of an imported key makes a new one', async () => {
    const { jwk } = outsideKey({ curve: 'P-256' });
    await call('PUT', '/keys/imported', { key: jwk });
    const rotated = await call('POST', '/keys/imported/rotate');
    expect([rotated.status, rotated.json.key.crv]).toEqual([200, 'P-256']);
    expect(rotated.json.key.x).not.toBe(jwk.x);
  });

  test('the times of the version before are not taken over; expiry is what the policy says', async () => {
    const attributes = { nbf: now - 10, exp: now + 10 };
    await call('POST', '/keys/timed/create', { kty: 'EC', attributes });
    const plain = await call('POST', '/keys/timed/rotate');
    expect([plain.json.attributes.nbf, plain.json.attributes.exp]).toEqual([undefined, undefined]);
    for (const [expiryTime, exp] of [
      ['P90D', now + 90 * day],
      ['PT1000H', now + 1000 * 3600],
      ['P1M', firstOfMonth(1)],
      ['P1Y1M10D', firstOfMonth(13) + 10 * day],
    ] as const) {
      await set([], expiryTime, 'timed');
      const rotated = await call('POST', '/keys/timed/rotate');
      expect([expiryTime, rotated.json.attributes.exp]).toEqual([expiryTime, exp]);
    }
  });

  test('a policy does not touch the version that is there', async () => {
    const made = await call('POST', '/keys/untouched/create', { kty: 'EC' });
    await set([rotate({ timeAfterCreate: 'P30D' })], 'P90D', 'untouched');
    expect((await call('GET', '/keys/untouched')).text).toBe(made.text);
  });

  test('the version before goes on as it was', async () => {
    const value = Buffer.alloc(32, 1).toString('base64url');
    const made = await call('POST', '/keys/before/create', { kty: 'EC' });
    const signed = await call('POST', '/keys/before/sign', { alg: 'ES256', value });
    await call('POST', '/keys/before/rotate');
    const old = `/keys/before/${keyVersionOf(made)}`;
    expect((await call('GET', old)).text).toBe(made.text);
    const body = { alg: 'ES256', digest: value, value: signed.json.value };
    expect((await call('POST', `${old}/verify`, body)).json).toEqual({ value: true });
    expect((await call('POST', '/keys/before/verify', body)).json).toEqual({ value: false });
  });

  test('rotations at the same time are versions of their own', async () => {
    await call('POST', '/keys/crowd/create', { kty: 'EC' });
    const replies = await Promise.all(Array.from({ length: 8 }, () => call('POST', '/keys/crowd/rotate')));
    expect(replies.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(new Set(replies.map(keyVersionOf)).size).toBe(8);
    expect((await call('GET', '/keys/crowd/versions')).json.value).toHaveLength(9);
    expect(replies.map(keyVersionOf)).toContain(keyVersionOf(await call('GET', '/keys/crowd')));
  });
});
