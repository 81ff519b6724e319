/** Proves that processes which start at the same moment serve under one authority, and that its leaves are of it. */
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestDomain, type TestDomain } from '../../../test/support/domain.ts';
import { silentLog } from '../../core/log.ts';
import { openServerCertificates } from './server-certificates.ts';

let domain: TestDomain;
beforeEach(async () => {
  domain = await openTestDomain();
});
afterEach(() => domain.close());

const permitted = { dnsNames: ['kv.example.com'], ipRanges: ['127.0.0.0/8'] };
const names = { dnsNames: ['a.kv.example.com'], ipAddresses: [] };
const open = () =>
  openServerCertificates({ items: domain.data.items, clock: domain.clock, log: silentLog }, permitted);

test('two that find no authority at the same moment end up with the same one', async () => {
  const [one, other] = await Promise.all([open(), open()]);
  expect(one?.authorityPem).toBe(other?.authorityPem);
  const later = await open();
  expect(later.authorityPem).toBe(one?.authorityPem);
  const authority = new X509Certificate(later.authorityPem);
  for (const source of [one, other]) {
    const leaf = new X509Certificate((await source?.leaf(names))?.chainPem ?? '');
    expect(leaf.verify(authority.publicKey)).toBe(true);
  }
});
