/**
 * Proves that who can write to the database, and no more, gets no key released: whether a key may leave and an
 * immutable policy are sealed with the key, and new versions take them from there.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AttestationAuthority, startAttestationAuthority } from '../support/attestation-authority.ts';
import {
  condition,
  exportable,
  forbiddenOperation,
  goodClaims,
  notVerified,
  openRelease,
  type ReleaseServer,
  said,
  startReleaseServer,
} from '../support/key-release.ts';
import { keyVersionOf, type VaultCaller } from '../support/vault-rest.ts';

let it: ReleaseServer;
let call: VaultCaller;
/** Stands under the control of whoever changes the database. */
let attacker: AttestationAuthority;
let good: string;
let bad: string;
beforeAll(async () => {
  it = await startReleaseServer({});
  ({ call } = it);
  attacker = await startAttestationAuthority();
  const keys = [it.authority.environment.jwk];
  good = it.authority.mint(Date.now(), goodClaims);
  bad = attacker.mint(Date.now(), { 'x-ms-runtime': { keys } });
});
afterAll(async () => {
  await it.close();
  await attacker.close();
});

const ownData = () => it.authority.policy(condition);
const theirs = () => attacker.policy({ claim: 'iss', exists: true });
const policy = (data: string, immutable = false) =>
  `"releasePolicy":{"contentType":"application/json; charset=utf-8","data":"${data}","immutable":${immutable}}`;
const release = (path: string, target: string) => call('POST', `/keys/${path}/release`, { target });
const isReleased = async (path: string, target: string) =>
  openRelease(it, (await release(path, target)).json.value).key.length > 0;

/** Replaces a part of what the database has of a key beside the sealed material, in each of its versions. */
async function tamper(name: string, from: string, to: string): Promise<void> {
  const change =
    "UPDATE object_versions SET detail = REPLACE(detail, ?, ?) WHERE kind = 'keys' AND name_key = ? AND detail LIKE ?";
  await it.server.restart(async () => {
    expect(await it.server.alter(change, from, to, name.toUpperCase(), `%${from}%`)).toBe(1);
  });
}

/** The same where an exportable key has a policy: it is the one thing that is replaced. */
async function exchangePolicy(name: string, to: string): Promise<void> {
  const { release_policy } = (await call('GET', `/keys/${name}`)).json;
  await tamper(name, policy(release_policy.data, release_policy.immutable), to);
}

test('a key that may not leave is not released when its row says that it may', async () => {
  await call('POST', '/keys/stays/create', { kty: 'EC-HSM' });
  await tamper('stays', '"exportable":false', `"exportable":true,${policy(theirs())}`);
  // The row is what is shown, so that this test has changed what it wanted to change.
  const shown = (await call('GET', '/keys/stays')).json;
  expect(shown).toMatchObject({ attributes: { exportable: true }, release_policy: { data: theirs() } });
  expect(said(await release('stays', bad))).toEqual(forbiddenOperation('release'));

  // A backup takes the row along, and its seal does not make the lie true.
  const { value } = (await call('POST', '/keys/stays/backup')).json;
  await call('DELETE', '/keys/stays');
  await call('DELETE', '/deletedkeys/stays');
  expect((await call('POST', '/keys/restore', { value })).json.attributes.exportable).toBe(true);
  expect(said(await release('stays', bad))).toEqual(forbiddenOperation('release'));
});

test('what follows a key that may not leave may not either', async () => {
  await call('POST', '/keys/followed/create', { kty: 'EC-HSM' });
  await tamper('followed', '"exportable":false', `"exportable":true,${policy(theirs())}`);
  const versions = [
    await call('POST', '/keys/followed/rotate'),
    await call('POST', '/keys/followed/create', { kty: 'EC-HSM' }),
  ];
  // What is made from a row that contradicts its seal is no longer exportable, and so may have no policy.
  expect(versions.map(({ status }) => status)).toEqual([200, 400]);
  expect(versions[0]?.json.attributes.exportable).toBe(false);
  expect(said(await release('followed', bad))).toEqual(forbiddenOperation('release'));
});

test('an immutable policy counts as it was when the key was made, whatever the row says', async () => {
  await call('POST', '/keys/fixed/create', exportable(ownData(), { immutable: true }));
  expect(await isReleased('fixed', good)).toBe(true);
  await exchangePolicy('fixed', policy(theirs()));
  expect((await call('GET', '/keys/fixed')).json.release_policy).toMatchObject({
    data: theirs(),
    immutable: false,
  });
  expect(said(await release('fixed', bad))).toEqual([403, notVerified]);
  const { payload } = openRelease(it, (await release('fixed', good)).json.value);
  expect(payload.response.key.release_policy.data).toBe(ownData());

  // The row no longer says that it is immutable, so that a change is taken, and changes nothing that counts.
  await call('PATCH', '/keys/fixed', { release_policy: { data: theirs(), immutable: true } });
  expect(said(await release('fixed', bad))).toEqual([403, notVerified]);
});

test('new versions take over the immutable policy, not what the row says', async () => {
  await call('POST', '/keys/lasting/create', exportable(ownData(), { immutable: true }));
  await exchangePolicy('lasting', policy(theirs(), true));
  const versions = [
    await call('POST', '/keys/lasting/rotate'),
    await call('POST', '/keys/lasting/create', { kty: 'EC-HSM' }),
  ];
  for (const version of versions) {
    expect(version.json.release_policy).toMatchObject({ data: ownData(), immutable: true });
    const path = `lasting/${keyVersionOf(version)}`;
    expect(said(await release(path, bad))).toEqual([403, notVerified]);
    expect(await isReleased(path, good)).toBe(true);
  }
});

test('without its policy in the row, a key is not released at all', async () => {
  await call('POST', '/keys/bare/create', exportable(ownData(), { immutable: true }));
  await exchangePolicy('bare', '"nothing":1');
  for (const token of [good, bad]) {
    expect(said(await release('bare', token))).toEqual(forbiddenOperation('release'));
  }
});

test('material that is moved to the row of another key opens nothing', async () => {
  await call('POST', '/keys/target/create', { kty: 'EC-HSM' });
  await call('POST', '/keys/carrier/create', exportable(theirs()));
  expect(await isReleased('carrier', bad)).toBe(true);
  const columns = ['value', 'data_key', 'key_version'].map(
    (name) => `${name} = (SELECT ${name} FROM object_versions WHERE kind = 'keys' AND name_key = 'TARGET')`,
  );
  await it.server.restart(async () => {
    const move = `UPDATE object_versions SET ${columns.join(', ')} WHERE kind = 'keys' AND name_key = ?`;
    expect(await it.server.alter(move, 'CARRIER')).toBe(1);
  });
  const { status, json } = await release('carrier', bad);
  expect([status, json.value]).toEqual([500, undefined]);
});

test('secure unwrapping goes by the immutable policy that was sealed, too', async () => {
  const recent = 'api-version=2026-04-01';
  const release_policy = { data: ownData(), immutable: true };
  const body = { kty: 'oct-HSM', key_ops: ['secureWrapKey', 'secureUnwrapKey'], release_policy };
  expect((await call('POST', '/keys/secure/create', body)).status).toBe(200);
  const wrapped = (await call('POST', `/keys/secure/securewrapkey?${recent}`, { alg: 'A256KW' })).json;
  await exchangePolicy('secure', policy(theirs(), true));
  const unwrap = (target: string) =>
    call('POST', `/keys/secure/secureunwrapkey?${recent}`, { alg: 'A256KW', value: wrapped.value, target });
  expect(said(await unwrap(bad))).toEqual([403, notVerified]);
  expect((await unwrap(good)).status).toBe(200);
});
