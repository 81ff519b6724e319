import { expect, test } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import { contentOf, fromJson, parseCertificatePolicy } from './certificate-policy.ts';
import { type NameConstraintsInput, parseNameConstraints } from './name-constraints.ts';

const authority = { ca: true, otherwise: undefined };

function refusal(given: NameConstraintsInput, to = authority): string {
  try {
    parseNameConstraints(given, to);
  } catch (error) {
    if (isFailure(error, 'badParameter')) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

test('domains and ranges take the form in which they compare', () => {
  const given = { dnsNames: ['Example.COM'], ipRanges: ['10.0.0.0/8', 'FD00::/8'] };
  expect(parseNameConstraints(given, authority)).toEqual({
    dnsNames: ['example.com'],
    ipRanges: ['10.0.0.0/8', 'fd00::/8'],
  });
});

test('a policy that says nothing has none, and keeps those that it had while it is an authority', () => {
  const otherwise = { dnsNames: ['example.com'], ipRanges: [] };
  for (const given of [undefined, null]) {
    expect(parseNameConstraints(given, authority)).toBeUndefined();
    expect(parseNameConstraints(given, { ca: true, otherwise })).toEqual(otherwise);
    expect(parseNameConstraints(given, { ca: false, otherwise })).toBeUndefined();
  }
});

test('a change of one list keeps the other, and empty lists take the constraints away', () => {
  const otherwise = { dnsNames: ['example.com'], ipRanges: ['10.0.0.0/8'] };
  const changed = (given: NameConstraintsInput) => parseNameConstraints(given, { ca: true, otherwise });
  expect(changed({ dnsNames: ['example.org'] })).toEqual({
    dnsNames: ['example.org'],
    ipRanges: ['10.0.0.0/8'],
  });
  expect(changed({ ipRanges: [] })).toEqual({ dnsNames: ['example.com'], ipRanges: [] });
  expect(changed({ dnsNames: [], ipRanges: [] })).toBeUndefined();
});

test.each<[string, NameConstraintsInput, string]>([
  ['a wildcard', { dnsNames: ['*.example.com'] }, 'domain without a wildcard'],
  ['an address as a domain', { dnsNames: ['10.0.0.1'] }, 'domain without a wildcard'],
  ['a NUL', { dnsNames: ['example.com\0.evil'] }, 'domain without a wildcard'],
  ['the empty domain, which is every one', { dnsNames: [''] }, 'domain without a wildcard'],
  ['a range without a prefix', { dnsNames: ['example.com'], ipRanges: ['10.0.0.1'] }, 'CIDR'],
  ['a prefix too long', { dnsNames: ['example.com'], ipRanges: ['10.0.0.0/33'] }, 'CIDR'],
  ['ranges alone, which would leave DNS names free', { ipRanges: ['10.0.0.0/8'] }, 'permitted_dns_names'],
  ['too many', { dnsNames: Array.from({ length: 101 }, (_, i) => `a${i}.example`) }, 'at most 100'],
])('refuses %s', (_, given, said) => {
  expect(refusal(given)).toContain(said);
});

test('refuses them for what is no authority', () => {
  expect(refusal({ dnsNames: ['example.com'] }, { ...authority, ca: false })).toContain('authorities only');
});

test('they go from the policy into the content, and through storage', () => {
  const x509 = { subject: 'CN=Root', ca: true, nameConstraints: { dnsNames: ['example.com'] } };
  const policy = parseCertificatePolicy({ x509 });
  const expected = { dnsNames: ['example.com'], ipRanges: [] };
  expect(contentOf(policy).nameConstraints).toEqual(expected);
  expect(fromJson(JSON.parse(JSON.stringify(policy)))).toStrictEqual(policy);
  // PATCH: what is not given stays.
  expect(parseCertificatePolicy({ x509: { validityMonths: 24 } }, { previous: policy }).x509).toMatchObject({
    nameConstraints: expected,
    validityMonths: 24,
  });
});
