/**
 * Proves which keys may have a release policy and be exportable, that an immutable policy outlasts every change and new
 * version, and that the configuration decides which authorities count, when a key is made and when it is released.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type AttestationAuthority, startAttestationAuthority } from '../support/attestation-authority.ts';
import { manualClock } from '../support/identity.ts';
import { outsideKey } from '../support/key-clients.ts';
import {
  badParameter,
  condition,
  exportable,
  goodClaims,
  notVerified,
  openRelease,
  type ReleaseServer,
  said,
  startReleaseServer,
} from '../support/key-release.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { keyVersionOf, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);

let it: ReleaseServer;
let authority: AttestationAuthority;
let call: VaultCaller;
/** A policy of the authority that asks for a claim of this value, and a token that has it. */
const policy = (equals: unknown) => authority.policy({ claim: 'a', equals });
const mint = (a: unknown) => authority.mint(clock.now(), { a });
const release = (path: string, target: string) => call('POST', `/keys/${path}/release`, { target });

const immutable = badParameter('AKV.SKR.1020: Immutable Key Release Policy cannot be modified.');
const unchangeable = badParameter(
  'AKV.SKR.1003: The exportable attribute of an existing key cannot be modified.',
);

describe('the rules', () => {
  beforeAll(async () => {
    it = await startReleaseServer({ clock });
    ({ authority, call } = it);
  });
  afterAll(() => it.close());

  test('hold for the second version of a key that is made at the same time as its first', async () => {
    const bodies = [exportable(policy(1), { immutable: true }), exportable(policy(2)), { kty: 'EC-HSM' }];
    for (const name of ['at-once0', 'at-once1', 'at-once2', 'at-once3']) {
      const replies = await Promise.all(bodies.map((body) => call('POST', `/keys/${name}/create`, body)));
      const made = replies.filter(({ status }) => status === 200);
      const exports = new Set(made.map(({ json }) => json.attributes.exportable));
      expect([name, exports.size]).toEqual([name, 1]);
      // Nothing comes after what was made to be the last word.
      const { release_policy: last } = (await call('GET', `/keys/${name}`)).json;
      expect([name, last?.immutable === true]).toEqual([name, replies[0]?.status === 200]);
    }
  });

  const noPolicy = { kty: 'EC-HSM', attributes: { exportable: true } };
  const noExport = (more: object = {}) => ({ kty: 'EC-HSM', release_policy: { data: policy(1) }, ...more });
  test.each<[what: string, body: () => object, message: string]>([
    [
      'is no HSM key',
      () => ({ ...exportable(policy(1)), kty: 'EC' }),
      'AKV.SKR.1006: Exportable keys must be HSM keys.',
    ],
    ['has no policy', () => noPolicy, 'AKV.SKR.1004: Exportable keys must have release policy.'],
    [
      'is not said to be exportable',
      () => noExport(),
      'AKV.SKR.1005: Non-exportable keys must not have release policy.',
    ],
    [
      'is said not to be exportable',
      () => noExport({ attributes: { exportable: false } }),
      'AKV.SKR.1005: Non-exportable keys must not have release policy.',
    ],
  ])('refuse a new key that %s, and make nothing', async (_, body, message) => {
    expect(said(await call('POST', '/keys/none/create', body()))).toEqual(badParameter(message));
    const { kty, ...rest } = body() as { kty: string };
    const { jwk } = outsideKey({ curve: 'P-256' });
    const taken = { ...rest, key: { ...jwk, kty } };
    expect(said(await call('PUT', '/keys/none', taken))).toEqual(badParameter(message));
    expect((await call('GET', '/keys/none')).status).toBe(404);
  });

  test('leave exportable keys to premium vaults', async () => {
    await makeVault(it.server, 'standard', { sku: 'standard' });
    const there = vaultCaller(it.server, await tokenFor(it.server), 'standard');
    const body = exportable(policy(1));
    const message = 'AKV.SKR.1001: The exportable attribute is only supported with premium vaults.';
    const noHsm = badParameter('Hardware key operation not allowed on standard vault');
    expect(said(await there('POST', '/keys/k/create', { ...body, kty: 'EC' }))).toEqual(
      badParameter(message),
    );
    expect(said(await there('POST', '/keys/k/create', body))).toEqual(noHsm);
    // A backup does not bring one in by the back door.
    await call('POST', '/keys/premium-only/create', body);
    const { value } = (await call('POST', '/keys/premium-only/backup')).json;
    expect(said(await there('POST', '/keys/restore', { value }))).toEqual(noHsm);
    expect((await there('GET', '/keys/premium-only')).status).toBe(404);
  });

  test('take a document in base64 with its padding, as Terraform’s azurerm provider sends it', async () => {
    const sent: string[] = [];
    for (const equals of ['a', 'aa', 'aaa', '???>>>~~~ÿÿ']) {
      const data = Buffer.from(policy(equals), 'base64url').toString('base64');
      sent.push(data);
      const made = await call('POST', '/keys/padded/create', exportable(data));
      expect([made.status, made.json.release_policy?.data]).toEqual([200, policy(equals)]);
    }
    // Each length of padding, and each digit that the two alphabets write differently.
    for (const digits of [/[^=]$/, /[^=]=$/, /==$/, /\+/, /\//])
      expect(sent.join('\n')).toMatch(RegExp(digits, 'm'));
  });

  test('refuse a policy that is not in the grammar, saying why', async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const anyOf = [{ authority: authority.url, allOf: [condition] }];
    const cases: [data: unknown, why: string][] = [
      [encode({ anyOf }), "missing 'version' property"],
      [encode({ version: '2.0.0', anyOf }), "'version' must be '1.0.0'"],
      [encode({ version: '1.0.0', anyOf: [] }), ''],
      [encode({ version: '1.0.0', anyOf: [{ ...anyOf[0], authority: 'http://localhost' }] }), 'https'],
      ['e30=', ''],
      ['', ''],
    ];
    for (const [data, why] of cases) {
      const { status, json } = await call('POST', '/keys/bad/create', exportable(`${data}`));
      const message = expect.stringContaining(why);
      expect([data, status, json.error]).toEqual([data, 400, { code: 'BadParameter', message }]);
    }
    const contentType = {
      ...exportable(policy(1)),
      release_policy: { data: policy(1), contentType: 'text/plain' },
    };
    expect((await call('POST', '/keys/bad/create', contentType)).status).toBe(400);
    expect((await call('GET', '/keys/bad')).status).toBe(404);
  });

  test('let nobody change whether a key may leave', async () => {
    await call('POST', '/keys/leaves/create', exportable(policy(1)));
    await call('POST', '/keys/stays/create', { kty: 'EC-HSM' });
    for (const [name, isExportable] of [
      ['leaves', false],
      ['stays', true],
    ] as const) {
      const attributes = { exportable: isExportable };
      const release_policy = { data: policy(1) };
      expect(said(await call('PATCH', `/keys/${name}`, { attributes }))).toEqual(unchangeable);
      expect(said(await call('PATCH', `/keys/${name}`, { attributes, release_policy }))).toEqual(
        unchangeable,
      );
      const next = { kty: 'EC-HSM', attributes, release_policy };
      expect(said(await call('POST', `/keys/${name}/create`, next))).toEqual(unchangeable);
      expect((await call('GET', `/keys/${name}`)).json.attributes.exportable).toBe(!isExportable);
    }
    expect((await release('stays', mint(1))).status).toBe(403);
  });

  test('let a policy be changed, which counts from then on, until it is immutable', async () => {
    await call('POST', '/keys/changes/create', exportable(policy(1)));
    expect((await release('changes', mint(1))).status).toBe(200);
    const changed = await call('PATCH', '/keys/changes', { release_policy: { data: policy(2) } });
    expect([changed.status, changed.json.release_policy.immutable]).toEqual([200, false]);
    expect(said(await release('changes', mint(1)))).toEqual([403, notVerified]);
    expect((await release('changes', mint(2))).status).toBe(200);

    const fixed = await call('PATCH', '/keys/changes', { release_policy: { immutable: true } });
    expect(fixed.json.release_policy).toMatchObject({
      data: changed.json.release_policy.data,
      immutable: true,
    });
    for (const release_policy of [
      { data: policy(3) },
      { data: policy(2), immutable: false },
      { immutable: false },
      { data: 'nonsense' },
    ]) {
      expect(said(await call('PATCH', '/keys/changes', { release_policy }))).toEqual(immutable);
    }
    // What is sent back as it was received changes nothing.
    const same = { release_policy: fixed.json.release_policy, tags: { a: 'b' } };
    expect((await call('PATCH', '/keys/changes', same)).json).toMatchObject(same);
    expect(said(await release('changes', mint(3)))).toEqual([403, notVerified]);
    expect((await release('changes', mint(2))).status).toBe(200);
  });

  test('keep an immutable policy for every new version: created, rotated or taken in', async () => {
    const made = await call('POST', '/keys/lasting/create', exportable(policy(1), { immutable: true }));
    const { release_policy } = made.json;
    const { jwk } = outsideKey({ curve: 'P-256' });
    const key = { ...jwk, kty: 'EC-HSM' };
    const versions = [
      made,
      await call('POST', '/keys/lasting/create', { kty: 'EC-HSM' }),
      await call('POST', '/keys/lasting/rotate'),
      await call('PUT', '/keys/lasting', { key }),
      await call('POST', '/keys/lasting/create', { kty: 'EC-HSM', crv: 'P-384', release_policy }),
    ];
    const other = { release_policy: { data: policy(2) } };
    expect(said(await call('POST', '/keys/lasting/create', { kty: 'EC-HSM', ...other }))).toEqual(immutable);
    expect(said(await call('PUT', '/keys/lasting', { key, ...other }))).toEqual(immutable);
    expect((await call('POST', '/keys/lasting/create', { kty: 'EC' })).status).toBe(400);
    const released = new Set<string>();
    for (const version of versions) {
      expect(version.json).toMatchObject({ attributes: { exportable: true }, release_policy });
      const path = `lasting/${keyVersionOf(version)}`;
      expect(said(await call('PATCH', `/keys/${path}`, other))).toEqual(immutable);
      expect(said(await release(path, mint(2)))).toEqual([403, notVerified]);
      released.add(openRelease(it, (await release(path, mint(1))).json.value).key.toString('hex'));
    }
    expect(released.size).toBe(versions.length);
  });

  test('keep a policy that may be changed too, for a new version that names none', async () => {
    const made = await call('POST', '/keys/following/create', exportable(policy(1)));
    const { release_policy } = made.json;
    expect((await call('POST', '/keys/following/rotate')).json.release_policy).toEqual(release_policy);
    const next = await call('POST', '/keys/following/create', exportable(policy(2)));
    expect(next.json.release_policy.data).toBe(policy(2));
    expect(said(await release('following', mint(1)))).toEqual([403, notVerified]);
    expect((await release(`following/${keyVersionOf(made)}`, mint(1))).status).toBe(200);
  });
});

describe('the configuration', () => {
  const notTrusted = badParameter('The specified attestation service is not trusted by this server.');
  let other: AttestationAuthority;
  let server: TestServer;
  beforeAll(async () => {
    it = await startReleaseServer({ clock }, ({ url }) => ({
      attestationAuthorities: [`${url.replace('localhost', 'LocalHost')}/`],
    }));
    ({ authority, call, server } = it);
    other = await startAttestationAuthority();
  });
  afterAll(async () => {
    await server.close();
    await authority.close();
    await other.close();
  });
  afterEach(() => expect(other.asked).toEqual([]));

  test('lets keys be made for the authorities that it lists, and released by their word', async () => {
    const made = await call('POST', '/keys/listed/create', exportable(authority.policy(condition)));
    expect(made.status).toBe(200);
    const target = authority.mint(clock.now(), goodClaims);
    expect(openRelease(it, (await release('listed', target)).json.value).key.length).toBeGreaterThan(0);
  });

  test('refuses all others wherever a policy is given, without asking them', async () => {
    const unlisted = exportable(other.policy(condition));
    const anyOf = [authority, other].map(({ url }) => ({ authority: url, allOf: [condition] }));
    const both = Buffer.from(JSON.stringify({ version: '1.0.0', anyOf })).toString('base64url');
    const { jwk } = outsideKey({ curve: 'P-256' });
    expect(said(await call('POST', '/keys/k/create', unlisted))).toEqual(notTrusted);
    expect(said(await call('POST', '/keys/k/create', exportable(both)))).toEqual(notTrusted);
    const { kty, ...rest } = unlisted;
    expect(said(await call('PUT', '/keys/k', { ...rest, key: { ...jwk, kty } }))).toEqual(notTrusted);
    expect((await call('GET', '/keys/k')).status).toBe(404);

    await call('POST', '/keys/there/create', exportable(authority.policy(condition)));
    const { release_policy } = unlisted;
    expect(said(await call('PATCH', '/keys/there', { release_policy }))).toEqual(notTrusted);
    expect(said(await call('POST', '/keys/there/create', unlisted))).toEqual(notTrusted);
    const secure = { kty: 'oct-HSM', key_ops: ['secureWrapKey', 'secureUnwrapKey'], release_policy };
    expect(said(await call('POST', '/keys/secure/create', secure))).toEqual(notTrusted);
  });

  test('that takes an authority off its list ends the releases by its word, and leaves the keys', async () => {
    await call('POST', '/keys/before/create', exportable(authority.policy(condition), { immutable: true }));
    const target = authority.mint(clock.now(), goodClaims);
    expect((await release('before', target)).status).toBe(200);
    await server.service.close();
    const settings = { data: server.folder, attestationAuthorities: [other.url] };
    server = await startTestServer({ clock, settings });
    call = vaultCaller(server, await tokenFor(server));
    const asked = authority.asked.length;
    expect(said(await release('before', target))).toEqual(notTrusted);
    expect(authority.asked).toHaveLength(asked);
    expect((await call('PATCH', '/keys/before', { tags: { a: 'b' } })).status).toBe(200);
    expect((await call('POST', '/keys/before/rotate')).status).toBe(200);
  });
});
