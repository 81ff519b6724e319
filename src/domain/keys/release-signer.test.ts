/** Release replies as a client reads them: the form that was recorded, the chain, and what a restart leaves as it was. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readReleaseReply } from '../../../test/support/attestation-authority.ts';
import { openTestDomain, type TestDomain } from '../../../test/support/domain.ts';
import { silentLog } from '../../core/log.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { importRs256Key } from '../../identity/compact-signature.ts';
import { openServerCertificates } from '../sealing/server-certificates.ts';
import { parseReleasePolicy } from './release-policy.ts';
import { releasePayload } from './release-reply.ts';
import { createReleaseSigner } from './release-signer.ts';

const day = 24 * 60 * 60 * 1000;
const names = { dnsNames: ['*.vault.kv.example.com', '*.vault.azure.net'], ipAddresses: [] };
const permitted = { dnsNames: ['kv.example.com', 'vault.azure.net'], ipRanges: ['127.0.0.0/8'] };

let domain: TestDomain;
beforeEach(async () => {
  domain = await openTestDomain();
});
afterEach(() => domain.close());

const certificates = () =>
  openServerCertificates({ items: domain.data.items, clock: domain.clock, log: silentLog }, permitted);
const signer = (of = names) =>
  createReleaseSigner({ clock: domain.clock, certificates, importSigningKey: importRs256Key }, of);

const condition = { claim: 'sdk-test', equals: 'true' };
const document = {
  version: '1.0.0',
  anyOf: [{ authority: 'https://attest.example.com', anyOf: [condition] }],
};
const policy = parseReleasePolicy({
  data: Buffer.from(JSON.stringify(document)).toString('base64url'),
  immutable: true,
});
const kid = 'https://dev.vault.azure.net/keys/k1';
const reply = {
  request: { apiVersion: '7.4', enc: 'CKM_RSA_AES_KEY_WRAP', kid },
  key: {
    kid: `${kid}/25be256ab4534bb38fffaa1cb206cc40`,
    kty: 'EC-HSM',
    key_ops: ['sign', 'verify'],
    crv: 'P-256',
  },
  attributes: { enabled: true, created: 1680041245, updated: 1680041245, exportable: true },
  policy,
  environmentKeyId: 'fake-release-key',
  wrapped: Uint8Array.of(251, 255, 254),
};

test('a reply has the form that was recorded of Azure, member by member', async () => {
  const value = await signer().sign(releasePayload(reply));
  const { authorityPem: caPem } = await certificates();
  const { header, payload, keyHsm } = readReleaseReply(value, { caPem, host: 'dev.vault.azure.net' });
  expect(Object.keys(header)).toEqual(['alg', 'kid', 'x5t', 'typ', 'x5t#S256', 'x5c']);
  expect(header).toMatchObject({ alg: 'RS256', typ: 'JWT', kid: expect.stringMatching(/^[0-9A-F]{40}$/) });
  expect(JSON.stringify(payload)).toBe(
    JSON.stringify({
      request: { 'api-version': '7.4', enc: 'CKM_RSA_AES_KEY_WRAP', kid },
      response: {
        key: {
          key: { ...reply.key, key_hsm: payload.response.key.key.key_hsm },
          attributes: reply.attributes,
          release_policy: { data: policy.data, immutable: true },
        },
      },
    }),
  );
  expect(keyHsm).toEqual({
    schema_version: '1.0',
    header: { kid: 'fake-release-key', alg: 'dir', enc: 'CKM_RSA_AES_KEY_WRAP' },
    ciphertext: '-__-',
  });
});

test('a nonce comes back as it was sent, and only if it was', () => {
  const withNonce = { ...reply, request: { ...reply.request, nonce: 'n"\u2028' } };
  expect(releasePayload(withNonce)).toMatchObject({ request: { nonce: 'n"\u2028' } });
  expect(releasePayload(reply)).not.toHaveProperty('request.nonce');
});

test("the signer's certificate is an RSA-2048 leaf of the server's authority, named in the header", async () => {
  const value = await signer().sign({});
  const { authorityPem } = await certificates();
  const header = JSON.parse(Buffer.from(value.split('.')[0] ?? '', 'base64url').toString());
  const [leaf, root] = header.x5c.map((text: string) => new X509Certificate(Buffer.from(text, 'base64')));
  const hex = (text: string) => Buffer.from(text.replaceAll(':', ''), 'hex');
  expect(header.kid).toBe(hex(leaf.fingerprint).toString('hex').toUpperCase());
  expect(header.x5t).toBe(hex(leaf.fingerprint).toString('base64url'));
  expect(header['x5t#S256']).toBe(hex(leaf.fingerprint256).toString('base64url'));
  expect(root.toString().trim()).toBe(authorityPem.trim());
  expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(leaf.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
  expect(leaf.subjectAltName).toBe('DNS:*.vault.kv.example.com, DNS:*.vault.azure.net');
  // Go's clients, which check the chain, ask for a server's certificate unless told otherwise.
  expect(leaf.keyUsage).toContain('1.3.6.1.5.5.7.3.1');
});

test('all replies are signed by one key, also after a restart, until it is due to be renewed', async () => {
  const one = signer();
  const kidOf = async (by: typeof one) =>
    JSON.parse(Buffer.from((await by.sign({})).split('.')[0] ?? '', 'base64url').toString()).kid;
  const [first, again] = await Promise.all([kidOf(one), kidOf(one)]);
  expect(again).toBe(first);
  await domain.reopen();
  expect(await kidOf(signer())).toBe(first);
  domain.clock.advance(59 * day);
  expect(await kidOf(one)).toBe(first);
  domain.clock.advance(2 * day);
  const renewed = await kidOf(one);
  expect(renewed).not.toBe(first);
  expect(await kidOf(signer())).toBe(renewed);
  // A clock that is set right again finds a certificate that is not valid yet.
  domain.clock.jump(-60 * day);
  expect(await kidOf(one)).not.toBe(renewed);
});

test('a failure to make the key fails the reply and is not remembered', async () => {
  let isDown = true;
  const down = createReleaseSigner(
    {
      clock: domain.clock,
      certificates: () => (isDown ? Promise.reject(new Error('down')) : certificates()),
      importSigningKey: importRs256Key,
    },
    names,
  );
  await expect(down.sign({})).rejects.toThrow('down');
  isDown = false;
  await expect(down.sign({})).resolves.toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
});

test('names that the authority is not made for are refused', async () => {
  await expect(signer({ dnsNames: ['*.example.org'], ipAddresses: [] }).sign({})).rejects.toThrow(RangeError);
});

test("the listener's leaf stays apart from the signer's", async () => {
  const source = await certificates();
  const [listener, signing] = [await source.leaf(names), await source.signingLeaf(names)];
  const publicKey = (pem: SecretBytes) => createPublicKey(createPrivateKey(pem.exposeText()));
  expect(publicKey(listener.privateKeyPem).asymmetricKeyType).toBe('ec');
  expect(publicKey(signing.privateKeyPem).asymmetricKeyType).toBe('rsa');
});

test('the signing key is not taken in from what is no RSA key', async () => {
  const source = await certificates();
  const { privateKeyPem } = await source.leaf(names);
  await expect(importRs256Key(privateKeyPem)).rejects.toThrow();
  await expect(importRs256Key(SecretBytes.fromText('no key'))).rejects.toThrow();
});
