/** Proves which certificates and foreign tokens an application can be given, and what a service principal leaves behind. */
import { beforeAll, describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { makeCertificate, type TestCertificate } from '../../test/support/sign-in.ts';
import { systemRandom } from '../crypto/random.ts';
import {
  addCertificate,
  addFederated,
  addServicePrincipal,
  changeFederated,
  removeServicePrincipal,
} from './applications.ts';
import { addMember, createGroup } from './groups.ts';
import { createApplication, createManagedIdentity, setEnabled } from './principals.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const day = 24 * 60 * 60 * 1000;
const start = manualClock().now();
let certificate: TestCertificate;
beforeAll(async () => {
  certificate = await makeCertificate(start, 'ec');
});

async function setup() {
  const deps = { store: memoryPrincipalStore(), clock: manualClock(), random: systemRandom };
  const { objectId } = await createApplication(deps, { tenantId, displayName: 'web' });
  return { deps, objectId, credentials: () => deps.store.credentialsOf(objectId) };
}

describe('certificates', () => {
  it('are kept by their public part and thumbprints, from PEM and from base64 with line ends', async () => {
    const { deps, objectId, credentials } = await setup();
    const fromPem = await addCertificate(deps, { objectId, certificate: `junk\n${certificate.pem}` });
    expect(fromPem).toMatchObject({
      kind: 'certificate',
      hash: '',
      detail: {
        certificate: {
          der: certificate.der.toString('base64'),
          sha1: certificate.sha1.toString('hex').toUpperCase(),
          sha256: certificate.sha256.toString('hex').toUpperCase(),
        },
      },
    });
    expect(await credentials()).toEqual([fromPem]);
    const other = await setup();
    const lines = certificate.der.toString('base64').replace(/.{64}/g, '$&\r\n');
    const fromDer = await addCertificate(other.deps, { objectId: other.objectId, certificate: lines });
    expect(fromDer.detail.certificate).toEqual(fromPem.detail.certificate);
  });

  it('are refused the second time, after their time, and before it', async () => {
    const { deps, objectId, credentials } = await setup();
    const made = await addCertificate(deps, { objectId, certificate: certificate.pem });
    const add = (more: { expires?: number } = {}) =>
      addCertificate(deps, { objectId, certificate: certificate.pem, ...more });
    await expect(add()).rejects.toMatchObject({ kind: 'alreadyExists' });
    await deps.store.removeCredential(objectId, made.keyId);
    await expect(add({ expires: start })).rejects.toMatchObject({ kind: 'badParameter' });
    deps.clock.advance(31 * day);
    await expect(add()).rejects.toMatchObject({ kind: 'badParameter' });
    deps.clock.jump(-32 * day);
    await expect(add()).rejects.toMatchObject({ kind: 'badParameter' });
    expect(await credentials()).toEqual([]);
  });

  it('count until the earlier of their own end and the one that is asked for', async () => {
    const { deps, objectId } = await setup();
    const short = await addCertificate(deps, {
      ...{ objectId, certificate: certificate.pem, expires: start + day },
    });
    expect(short.expires).toBe(start + day);
    const other = await setup();
    const long = await addCertificate(other.deps, {
      ...{ objectId: other.objectId, certificate: certificate.pem, expires: start + 900 * day },
    });
    expect(long.expires).toBe(start + 30 * day);
  });

  it.each([
    ['nothing', () => ''],
    ['no base64', () => '<certificate>'],
    ['no certificate', () => Buffer.from('not a certificate').toString('base64')],
    ['two certificates', () => `${certificate.pem}\n${certificate.pem}`],
    ['a private key', () => certificate.keyPem],
    ['an endless text', () => 'A'.repeat(100_000)],
  ])('are not %s', async (_what, text) => {
    const { deps, objectId } = await setup();
    await expect(addCertificate(deps, { objectId, certificate: text() })).rejects.toMatchObject({
      kind: 'badParameter',
    });
  });

  it('are for applications', async () => {
    const { deps } = await setup();
    const group = await createGroup(deps, { tenantId, displayName: 'team' });
    const input = { objectId: group.objectId, certificate: certificate.pem };
    await expect(addCertificate(deps, input)).rejects.toMatchObject({ kind: 'badParameter' });
    await expect(addCertificate(deps, { ...input, objectId: 'nobody' })).rejects.toMatchObject({
      kind: 'notFound',
    });
  });
});

describe('federated credentials', () => {
  const input = { name: 'main', issuer: 'https://issuer.example', subject: 'me', audiences: ['api://x'] };

  it('are unique by name, and by issuer and subject, also after a change', async () => {
    const { deps, objectId, credentials } = await setup();
    const first = await addFederated(deps, objectId, input);
    const second = await addFederated(deps, objectId, { ...input, name: 'second', subject: 'you' });
    for (const taken of [
      { ...input, subject: 'other' },
      { ...input, name: 'other' },
    ]) {
      await expect(addFederated(deps, objectId, taken)).rejects.toMatchObject({ kind: 'alreadyExists' });
    }
    await expect(changeFederated(deps.store, second, { subject: 'me' })).rejects.toMatchObject({
      kind: 'alreadyExists',
    });
    await changeFederated(deps.store, first, { subject: 'me', audiences: ['api://y'] });
    expect((await credentials()).map(({ keyId, detail }) => [keyId, detail.federated?.audiences])).toEqual(
      expect.arrayContaining([[first.keyId, ['api://y']]]),
    );
    await deps.store.removeCredential(objectId, first.keyId);
    await expect(changeFederated(deps.store, first, {})).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('are at most twenty, of managed identities too', async () => {
    const { deps } = await setup();
    const { objectId } = await createManagedIdentity(deps, { tenantId, displayName: 'vm' });
    const add = (n: number) => addFederated(deps, objectId, { ...input, name: `n${n}`, subject: `s${n}` });
    for (let n = 0; n < 20; n += 1) await add(n);
    await expect(add(20)).rejects.toMatchObject({ kind: 'badParameter' });
  });

  it.each([
    { name: '' },
    { name: '-x' },
    { name: 'x'.repeat(121) },
    { issuer: 'issuer' },
    { issuer: 'ftp://issuer.example' },
    { issuer: 'https://issuer.example/\n' },
    { subject: '' },
    { subject: 'a\u0000b' },
    { subject: 'x'.repeat(601) },
    { audiences: [] },
    { audiences: ['a', 'b'] },
    { audiences: [''] },
  ])('are not %j', async (change) => {
    const { deps, objectId } = await setup();
    await expect(addFederated(deps, objectId, { ...input, ...change })).rejects.toMatchObject({
      kind: 'badParameter',
    });
  });
});

describe('service principals', () => {
  it('come and go while the application stays, each under an object id of its own', async () => {
    const { deps } = await setup();
    const { store } = deps;
    const detail = { awaitsServicePrincipal: true as const, tags: ['x'] };
    const application = await createApplication(deps, { tenantId, displayName: 'app', detail });
    expect(application.enabled).toBe(false);
    await expect(setEnabled(store, application.objectId, true)).rejects.toMatchObject({
      kind: 'badParameter',
    });
    const first = await addServicePrincipal(store, application.objectId, true);
    expect(first).toEqual({ ...application, enabled: true, detail: { tags: ['x'] } });
    await expect(addServicePrincipal(store, first.objectId, true)).rejects.toMatchObject({
      kind: 'alreadyExists',
    });
    const group = await createGroup(deps, { tenantId, displayName: 'team' });
    await addMember(store, group.objectId, first.objectId);
    const left = await removeServicePrincipal(deps, first.objectId);
    expect(left).toEqual({ ...application, objectId: left.objectId });
    expect(left.objectId).not.toBe(first.objectId);
    expect(await store.byObjectId(first.objectId)).toBeUndefined();
    expect(await store.groupsOf(left.objectId)).toEqual([]);
  });
});
