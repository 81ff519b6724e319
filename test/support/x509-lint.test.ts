/** Proves that the lint of certificates finds what it is for: each alteration of a good certificate is a fault. */
import { beforeAll, expect, test } from 'vitest';
import { createSelfSigned } from '../../src/crypto/x509/certificate-making.ts';
import { testProvider } from './software-keys.ts';
import { lintCertificate } from './x509-lint.ts';
import { authorityContent, makeSigner, serverContent } from './x509-signers.ts';

let leaf: string;
let authority: string;

beforeAll(async () => {
  const signer = await makeSigner(testProvider(), { type: 'EC', curve: 'P-256' });
  const validity = { notBefore: Date.UTC(2026, 0, 1), notAfter: Date.UTC(2051, 0, 1) };
  const hexOf = async (content: Parameters<typeof createSelfSigned>[1]['content']) =>
    Buffer.from(await createSelfSigned(signer, { content, ...validity })).toString('hex');
  leaf = await hexOf(serverContent());
  authority = await hexOf(authorityContent({ pathLength: 0 }));
});

const hex = (text: string) => Buffer.from(text).toString('hex');

test.each<[string, 'leaf' | 'authority', RegExp, string]>([
  ['another version', 'leaf', /a003020102/, 'a003020101'],
  ['a negative serial', 'leaf', /(?<=a0030201020210)../, 'f1'],
  ['a serial with an idle octet', 'leaf', /(?<=a0030201020210).{4}/, '0001'],
  ['UTCTime without Z', 'leaf', new RegExp(`(?<=170d${hex('260101000000')})5a`), '30'],
  ['GeneralizedTime before 2050', 'leaf', new RegExp(hex('20510101000000Z')), hex('20410101000000Z')],
  ['another algorithm inside', 'leaf', /06082a8648ce3d040302/, '06082a8648ce3d040303'],
  [
    'letters that PrintableString has not',
    'leaf',
    new RegExp(`130f${hex('www.example.com')}`, 'g'),
    `130f${hex('*ww.example.com')}`,
  ],
  ['true that is not 255', 'leaf', /0603551d0f0101ff/, '0603551d0f010101'],
  ['usage bits with idle zeros', 'leaf', /030205a0/, '030204a0'],
  [
    'a DNS name that is none',
    'leaf',
    new RegExp(`820f${hex('www.example.com')}`),
    `820f${hex('www.example com')}`,
  ],
  ['an extension twice', 'leaf', /0603551d25/, '0603551d11'],
  ['no key identifier', 'leaf', /0603551d0e/, '0603551d0d'],
  ['a leaf with a path length', 'authority', /30060101ff020100/, '0500020100020100'],
  ['an authority that signs nothing', 'authority', /03020106/, '03020102'],
])('%s', (_what, which, from, to) => {
  const good = which === 'leaf' ? leaf : authority;
  expect(lintCertificate(Buffer.from(good, 'hex'))).toEqual([]);
  const bad = good.replace(from, to);
  expect(bad).not.toBe(good);
  let faults: readonly string[] = [];
  try {
    faults = lintCertificate(Buffer.from(bad, 'hex'));
  } catch (error) {
    faults = [String(error)];
  }
  expect(faults).not.toEqual([]);
});
