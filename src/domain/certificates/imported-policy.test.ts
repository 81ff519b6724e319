/** Proves the policy that an imported certificate gets: from itself, from its caller, from what was there. */
import { describe, expect, test } from 'vitest';
import type { CertificateContent } from '../../crypto/x509/certificate-content.ts';
import { type PolicyInput, parseCertificatePolicy } from './certificate-policy.ts';
import { type ImportedCertificate, importedPolicy, monthsBetween } from './imported-policy.ts';

const noNames = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] };
const content: CertificateContent = {
  subject: 'O=Example Ltd, S=Berlin, C=DE',
  sans: noNames,
  keyUsage: [],
  ekus: [],
  ca: true,
};
const certificate: ImportedCertificate = {
  content,
  spec: { type: 'RSA', bits: 2048, exponent: 65_537 },
  notBefore: 1_628_270_437,
  expires: 4_781_870_437,
  format: 'application/x-pkcs12',
};
const imported = (input: PolicyInput, other: Partial<ImportedCertificate> = {}) =>
  importedPolicy(input, { certificate: { ...certificate, ...other }, previous: undefined });

describe('without a word of the caller', () => {
  test('what was recorded: all of the certificate, the issuer unknown', () => {
    expect(imported({})).toEqual({
      key: { kty: 'RSA', size: 2048, curve: undefined, exportable: true, reuse: false },
      contentType: 'application/x-pkcs12',
      x509: {
        subject: content.subject,
        sans: undefined,
        ekus: [],
        keyUsage: [],
        validityMonths: 1200,
        ca: true,
        pathLength: undefined,
      },
      lifetimeActions: [{ trigger: { percentage: 80 }, type: 'EmailContacts' }],
      issuer: { name: 'Unknown', certificateType: undefined, transparency: undefined },
      enabled: true,
    });
  });

  test("names are shown by kind, usages in Azure's order", () => {
    const sans = { ...noNames, dnsNames: ['1', '2'] };
    const keyUsage = ['nonRepudiation', 'digitalSignature'] as const;
    const { x509 } = imported({}, { content: { ...content, sans, keyUsage } });
    expect(x509.sans).toEqual({ emails: [], dnsNames: ['1', '2'], upns: [] });
    expect(x509.keyUsage).toEqual(['digitalSignature', 'nonRepudiation']);
    const more = imported(
      {},
      { content: { ...content, sans: { ...noNames, uris: ['urn:a:b'], ipAddresses: ['::1'] } } },
    );
    expect(more.x509.sans).toEqual({
      emails: [],
      dnsNames: [],
      upns: [],
      uris: ['urn:a:b'],
      ipAddresses: ['::1'],
    });
  });

  test('an EC key is what it is', () => {
    const { key } = imported({ key: { kty: 'RSA', size: 2048 } }, { spec: { type: 'EC', curve: 'P-384' } });
    expect(key).toEqual({ kty: 'EC', size: 384, curve: 'P-384', exportable: true, reuse: false });
    expect(() => imported({}, { spec: { type: 'oct', bits: 256 } })).toThrow('RSA or an EC key');
  });
});

describe('what the caller says', () => {
  test('of X.509 counts for nothing; issuer, actions, content type and use of the key count', () => {
    const policy = imported({
      key: { kty: 'RSA-HSM', size: 4096, reuse: true },
      contentType: 'application/x-pem-file',
      x509: { subject: 'not even a name', validityMonths: 1, keyUsage: ['nonsense'] },
      lifetimeActions: [{ trigger: { percentage: 90 }, type: 'AutoRenew' }],
      issuer: { name: 'Self' },
      enabled: false,
    });
    expect(policy).toMatchObject({
      key: { kty: 'RSA-HSM', size: 2048, exportable: false, reuse: true },
      contentType: 'application/x-pem-file',
      x509: { subject: content.subject, validityMonths: 1200 },
      lifetimeActions: [{ trigger: { percentage: 90 }, type: 'AutoRenew' }],
      issuer: { name: 'Self' },
      enabled: false,
    });
    expect(imported({ issuer: { name: 'Self' } }).lifetimeActions[0]?.type).toBe('AutoRenew');
    expect(imported({ key: { exportable: false } }).key.exportable).toBe(false);
    expect(() => imported({ key: { kty: 'oct' } })).toThrow('of type');
    expect(() => imported({ key: { kty: 'EC-HSM', exportable: true } })).toThrow('not exportable');
    expect(() => imported({ issuer: { name: 'a b' } })).toThrow('issuer');
  });

  test('lifetime actions must fit the certificate; those from before give way', () => {
    const lifetimeActions = [{ trigger: { daysBeforeExpiry: 100 }, type: 'AutoRenew' }];
    const previous = parseCertificatePolicy({
      x509: { subject: 'CN=a' },
      issuer: { name: 'Self' },
      lifetimeActions,
    });
    const short = { ...certificate, expires: certificate.notBefore + 60 * 86_400 };
    expect(() => imported({ lifetimeActions }, short)).toThrow('from 1 to 54');
    const kept = importedPolicy({}, { certificate, previous });
    expect([kept.issuer.name, kept.lifetimeActions]).toEqual(['Self', previous.lifetimeActions]);
    const replaced = importedPolicy({}, { certificate: short, previous });
    expect(replaced.lifetimeActions).toEqual([{ trigger: { percentage: 80 }, type: 'AutoRenew' }]);
  });
});

test.each([
  ['2019-10-15T06:01:09Z', '2029-10-12T06:01:09Z', 120],
  ['2023-11-06T12:39:34Z', '2028-11-06T12:49:34Z', 61],
  ['2024-01-31T00:00:00Z', '2024-02-29T00:00:00Z', 1],
  ['2024-01-01T00:00:00Z', '2025-01-01T00:00:00Z', 12],
  ['2024-01-01T00:00:00Z', '2024-01-01T01:00:00Z', 1],
  ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00Z', 1],
  ['1970-01-01T00:00:00Z', '9999-12-31T23:59:59Z', 12_000],
])('from %s to %s are %i months', (from, to, months) => {
  expect(monthsBetween(Date.parse(from) / 1000, Date.parse(to) / 1000)).toBe(months);
});
