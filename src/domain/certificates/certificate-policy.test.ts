/** Proves what a certificate's policy becomes of what callers say: defaults, limits at their edges, merging, JSON. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import { keyOperationsOf, keySpecOf } from './certificate-key.ts';
import {
  type CertificatePolicy,
  contentOf,
  fromJson,
  type PolicyInput,
  parseCertificatePolicy,
  requestedContentOf,
} from './certificate-policy.ts';

const named: PolicyInput = { x509: { subject: 'CN=a' } };

function withMembers(input: PolicyInput): PolicyInput {
  return { ...input, x509: { ...named.x509, ...input.x509 } };
}

/** The policy of an input besides its subject. */
function parsed(input: PolicyInput): CertificatePolicy {
  return parseCertificatePolicy(withMembers(input));
}

/** Why the input is refused; fails if it is not. */
function refusal(input: PolicyInput, previous?: CertificatePolicy): string {
  try {
    parseCertificatePolicy(previous === undefined ? withMembers(input) : input, { previous });
  } catch (error) {
    if (isFailure(error, 'badParameter')) return error.message;
    throw error;
  }
  throw new Error('the policy was taken');
}

describe('what is not given', () => {
  const usual = {
    key: { kty: 'RSA', size: 2048, curve: undefined, exportable: true, reuse: false },
    contentType: 'application/x-pkcs12',
    x509: {
      subject: 'CN=DefaultPolicy',
      sans: undefined,
      ekus: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      validityMonths: 12,
      ca: false,
      pathLength: undefined,
    },
    lifetimeActions: [{ trigger: { percentage: 80 }, type: 'AutoRenew' }],
    issuer: { name: 'self', certificateType: undefined, transparency: undefined },
    enabled: true,
  };

  test('takes the defaults that were recorded, the issuer named as its caller wrote it', () => {
    const input = { issuer: { name: 'self' }, x509: { subject: 'CN=DefaultPolicy' } };
    expect(parseCertificatePolicy(input)).toEqual(usual);
  });

  test('empty groups and nulls are not given either', () => {
    const empty = { key: {}, x509: { subject: 'CN=DefaultPolicy', sans: null }, issuer: { name: 'self' } };
    expect(parseCertificatePolicy({ ...empty, lifetimeActions: null, contentType: null })).toEqual(usual);
    const zeros = { key: { size: 0, curve: '', kty: '' }, x509: { ...empty.x509, validityMonths: 0 } };
    expect(parseCertificatePolicy({ ...empty, ...zeros })).toEqual(usual);
  });

  test('without an issuer it is Unknown, and contacts are told', () => {
    const { issuer, lifetimeActions } = parsed({});
    expect(issuer.name).toBe('Unknown');
    expect(lifetimeActions).toEqual([{ trigger: { percentage: 80 }, type: 'EmailContacts' }]);
    expect(parsed({ issuer: { name: 'UNKNOWN' } }).lifetimeActions[0]?.type).toBe('EmailContacts');
    expect(parsed({ issuer: { name: 'DigiCert1' } }).lifetimeActions[0]?.type).toBe('AutoRenew');
  });

  test('empty lists are lists, not absent', () => {
    const { x509, lifetimeActions } = parsed({
      x509: { ekus: [], keyUsage: [], sans: {} },
      lifetimeActions: [],
    });
    expect(x509).toMatchObject({ ekus: [], keyUsage: [], sans: {} });
    expect(lifetimeActions).toEqual([]);
  });
});

describe('keys', () => {
  test.each([
    [{ kty: 'RSA', size: 3072 }, { type: 'RSA', bits: 3072, exponent: 65_537 }, 3072],
    [{ kty: 'RSA', size: 4096 }, { type: 'RSA', bits: 4096, exponent: 65_537 }, 4096],
    [{ kty: 'EC' }, { type: 'EC', curve: 'P-256' }, 256],
    [{ kty: 'EC', size: 384 }, { type: 'EC', curve: 'P-384' }, 384],
    [{ kty: 'EC', curve: 'P-521' }, { type: 'EC', curve: 'P-521' }, 521],
    [{ kty: 'EC', curve: 'P-256K', size: 256 }, { type: 'EC', curve: 'P-256K' }, 256],
    [{ kty: 'EC', curve: 'SECP256K1' }, { type: 'EC', curve: 'P-256K' }, 256],
  ])('%o', (key, spec, size) => {
    const policy = parsed({ key });
    expect(keySpecOf(policy)).toEqual({ spec, hsm: false });
    expect(policy.key.size).toBe(size);
  });

  test('keys in an HSM never leave it', () => {
    const policy = parsed({ key: { kty: 'RSA-HSM' } });
    expect(policy.key.exportable).toBe(false);
    expect(keySpecOf(policy)).toEqual({ spec: { type: 'RSA', bits: 2048, exponent: 65_537 }, hsm: true });
    expect(parsed({ key: { kty: 'EC-HSM', exportable: false } }).key.exportable).toBe(false);
    expect(refusal({ key: { kty: 'EC-HSM', exportable: true } })).toContain('not exportable');
  });

  test.each([
    [{ size: 1024 }, 'Unsupported key size (1024). Supported sizes are [2048, 3072, 4096]'],
    [{ size: 256 }, 'Unsupported key size (256). Supported sizes are [2048, 3072, 4096]'],
    [{ kty: 'EC', size: 4096 }, 'Unsupported key size (4096). Supported sizes are [256, 384, 521]'],
    [{ kty: 'EC', size: 384, curve: 'P-256' }, 'key_size is not that of the curve'],
    [{ kty: 'EC', curve: 'P-192' }, 'A curve is one of P-256, P-384, P-521, P-256K'],
    [{ curve: 'P-256' }, 'crv is for EC keys only'],
    [{ kty: 'oct' }, 'The key of a certificate is of type RSA, RSA-HSM, EC, EC-HSM'],
    [{ kty: 'oct-HSM' }, 'The key of a certificate is of type'],
    [{ kty: 'AKP' }, 'The key of a certificate is of type'],
    [{ kty: 'rsa' }, 'The key of a certificate is of type'],
  ])('refuses %o', (key, why) => {
    expect(refusal({ key })).toContain(why);
  });
});

describe('usages', () => {
  test('are shown in the order of the alphabet, each once', () => {
    const given = ['nonRepudiation', 'keyEncipherment', 'cRLSign', 'keyAgreement', 'nonRepudiation'];
    const { keyUsage } = parsed({ x509: { keyUsage: given } }).x509;
    expect(keyUsage).toEqual(['cRLSign', 'keyAgreement', 'keyEncipherment', 'nonRepudiation']);
    expect(refusal({ x509: { keyUsage: ['sign'] } })).toContain('A key usage is one of cRLSign');
    expect(refusal({ x509: { keyUsage: ['DigitalSignature'] } })).toContain('A key usage is one of');
  });

  test.each([
    [['digitalSignature'], ['sign', 'verify']],
    [
      ['keyCertSign', 'cRLSign', 'nonRepudiation'],
      ['sign', 'verify'],
    ],
    [['keyEncipherment'], ['wrapKey', 'unwrapKey']],
    [['dataEncipherment'], ['encrypt', 'decrypt']],
    [['encipherOnly'], ['encrypt']],
    [['decipherOnly'], ['decrypt']],
    [['keyAgreement'], []],
    [
      ['digitalSignature', 'keyAgreement', 'keyCertSign', 'keyEncipherment', 'nonRepudiation'],
      ['sign', 'verify', 'wrapKey', 'unwrapKey'],
    ],
    [[], ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey']],
  ])('%j let an RSA key %j', (keyUsage, operations) => {
    expect(keyOperationsOf(parsed({ x509: { keyUsage } }))).toEqual(operations);
  });

  test('an EC key signs and verifies, whatever else its usages allow', () => {
    expect(keyOperationsOf(parsed({ key: { kty: 'EC' } }))).toEqual(['sign', 'verify']);
    expect(keyOperationsOf(parsed({ key: { kty: 'EC' }, x509: { keyUsage: [] } }))).toEqual([
      'sign',
      'verify',
    ]);
    expect(keyOperationsOf(parsed({ key: { kty: 'EC' }, x509: { keyUsage: ['keyEncipherment'] } }))).toEqual(
      [],
    );
  });

  test('extended ones are object identifiers, each once', () => {
    const { ekus } = parsed({
      x509: { ekus: ['1.3.6.1.5.5.7.3.3', '2.5.29.37.0', '1.3.6.1.5.5.7.3.3'] },
    }).x509;
    expect(ekus).toEqual(['1.3.6.1.5.5.7.3.3', '2.5.29.37.0']);
    for (const wrong of ['serverAuth', '1', '3.1.1', '1.40.1', '1.3.', '1.3.06', '1.3.6.1 ', '', '1..3'])
      expect(refusal({ x509: { ekus: [wrong] } })).toContain('a dotted object identifier');
    const many = Array.from({ length: 65 }, (_, last) => `1.3.6.1.4.1.${last}`);
    expect(parsed({ x509: { ekus: many.slice(1) } }).x509.ekus).toHaveLength(64);
    expect(refusal({ x509: { ekus: many } })).toContain('At most 64');
  });
});

describe('subject and alternative names', () => {
  test('one of both is required', () => {
    const why = 'A subject or a subject alternative name is required.';
    for (const x509 of [{}, { subject: '' }, { subject: '  ' }, { sans: {} }, { sans: { dnsNames: [] } }])
      expect(() => parseCertificatePolicy({ x509 })).toThrow(why);
    const { x509 } = parseCertificatePolicy({ x509: { sans: { dnsNames: ['a.example'] } } });
    expect([x509.subject, x509.sans]).toEqual(['', { dnsNames: ['a.example'] }]);
  });

  test('a subject is a distinguished name, shown as it was written', () => {
    const subject = 'C=US, ST=WA, L=Redmond, O=Test Noodle, OU=a\\, b, CN=www.example.com';
    expect(parsed({ x509: { subject } }).x509.subject).toBe(subject);
    for (const wrong of ['www.example.com', 'CN=a\u0000b', 'CN=a,,', 'NOPE=a', `CN=${'a'.repeat(5000)}`])
      expect(refusal({ x509: { subject: wrong } })).toMatch(
        /^Property policy has invalid value\r\nThe subject name/,
      );
  });

  test.each([
    ['dnsNames', ['1', 'a.example', '*.a.example', 'a_b.example', `${'a'.repeat(63)}.example`]],
    ['emails', ['a@b', "o'hara.x+y@a.example"]],
    ['upns', ['a@b.example', 'ä@ö']],
    ['uris', ['https://a.example/x?y', 'urn:uuid:00000000-0000-0000-0000-000000000000', 'spiffe://a/b']],
    ['ipAddresses', ['127.0.0.1', '::1', '2001:db8::1']],
  ])('%s may be %j', (kind, names) => {
    const policy = parsed({ x509: { sans: { [kind]: names } } });
    expect(policy.x509.sans).toEqual({ [kind]: names });
    const others = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] };
    expect(contentOf(policy).sans).toEqual({ ...others, [kind]: names });
  });

  test('an authority is for certificates and their revocation, if nothing else is said', () => {
    const subject = 'CN=authority';
    expect(parsed({ x509: { subject, ca: true } }).x509).toMatchObject({
      ekus: [],
      keyUsage: ['cRLSign', 'keyCertSign'],
    });
    const said = { ekus: ['1.3.6.1.5.5.7.3.1'], keyUsage: ['digitalSignature', 'keyCertSign'] };
    expect(parsed({ x509: { subject, ca: true, ...said } }).x509).toMatchObject(said);
    // Who makes an authority of what was none keeps what it was for, as with every member that is not given.
    const previous = parsed({ x509: { subject } });
    const changed = parseCertificatePolicy({ x509: { ca: true } }, { previous }).x509;
    expect(changed.keyUsage).toEqual(previous.x509.keyUsage);
  });

  test('a request to an issuer object names the hosts of its subject as alternative names, too', () => {
    const dnsNamesFor = (subject: string, issuer: string, given: readonly string[] = [], ca = false) => {
      const x509 = { subject, ca, ...(given.length > 0 && { sans: { dnsNames: given } }) };
      return requestedContentOf(parsed({ x509, issuer: { name: issuer } })).sans.dnsNames;
    };
    const subject = 'CN=www.example.com, O=Example Ltd., CN=*.example.com';
    expect(dnsNamesFor(subject, 'acme')).toEqual(['www.example.com', '*.example.com']);
    expect(dnsNamesFor(subject, 'acme', ['WWW.example.com', 'b.example'])).toEqual([
      'WWW.example.com',
      'b.example',
      '*.example.com',
    ]);
    expect(dnsNamesFor('CN=A person, O=a.example', 'acme')).toEqual([]);
    expect(dnsNamesFor(subject, 'acme', [], true)).toEqual([]);
    for (const issuer of ['Self', 'unknown']) expect(dnsNamesFor(subject, issuer)).toEqual([]);
  });

  test.each([
    [
      'dnsNames',
      [
        '',
        '.',
        'a..b',
        '-a',
        'a-',
        '*',
        '*.*.a',
        'a.*',
        'a\u0000b',
        'ä.example',
        'a b',
        `${'a'.repeat(64)}.b`,
        `${'a.'.repeat(127)}b`,
        'a.',
        'a\n',
      ],
    ],
    ['emails', ['', 'a', '@b', 'a@', 'a@b@c', 'a b@c', 'a@b\r\nBcc: c@d', 'ä@b', 'a@*.b', '"a"@b']],
    ['upns', ['', 'a\u0000@b', 'a\n@b', '\ud800@b']],
    ['uris', ['', 'a', '/a', 'a.example', 'https://ä', 'http:', 'https://a b', 'https://a\u0000']],
    ['ipAddresses', ['', '1.2.3', '256.1.1.1', '1.2.3.4/24', 'fe80::1%eth0', '::g', '0x7f.1']],
  ])('%s may not be any of %j', (kind, names) => {
    for (const name of names) {
      const why = refusal({ x509: { sans: { [kind]: [name] } } });
      expect(why, name).toMatch(/^Property policy has invalid value\r\nAn entry of /);
    }
  });

  test('at most 100 of all kinds', () => {
    const dnsNames = Array.from({ length: 60 }, (_, at) => `a${at}`);
    const upns = Array.from({ length: 40 }, (_, at) => `a${at}`);
    expect(parsed({ x509: { sans: { dnsNames, upns } } }).x509.sans).toEqual({ dnsNames, upns });
    expect(refusal({ x509: { sans: { dnsNames, upns: [...upns, 'b'] } } })).toContain('At most 100');
  });
});

describe('the rest', () => {
  test('validity is from 1 to 12000 months', () => {
    for (const validityMonths of [1, 12_000]) {
      const policy = parsed({ x509: { validityMonths }, lifetimeActions: [] });
      expect(policy.x509.validityMonths).toBe(validityMonths);
    }
    for (const validityMonths of [-1, 12_001, 1.5])
      expect(refusal({ x509: { validityMonths } })).toContain('from 1 to 12000');
  });

  test('a content type is that of a PFX or of PEM', () => {
    expect(parsed({ contentType: 'application/x-pem-file' }).contentType).toBe('application/x-pem-file');
    expect(refusal({ contentType: 'text/plain' })).toContain('contentType is application/x-pkcs12 or');
  });

  test('an issuer has the name of an object', () => {
    expect(parsed({ issuer: { name: 'a'.repeat(127) } }).issuer.name).toHaveLength(127);
    for (const name of ['a'.repeat(128), 'a b', 'a/b', '../x'])
      expect(refusal({ issuer: { name } })).toContain('issuer');
    const issuer = { name: 'one', certificateType: 'OV-SSL', transparency: true };
    expect(parsed({ issuer }).issuer).toEqual(issuer);
    expect(refusal({ issuer: { certificateType: 'a'.repeat(65) } })).toContain('cty');
  });

  test('an authority may say how many follow it, others may not', () => {
    expect(parsed({ x509: { ca: true, pathLength: 0 } }).x509).toMatchObject({ ca: true, pathLength: 0 });
    expect(parsed({ x509: { ca: true } }).x509.pathLength).toBeUndefined();
    expect(refusal({ x509: { pathLength: 0 } })).toContain('for authorities only');
    expect(refusal({ x509: { ca: true, pathLength: -1 } })).toContain('from 0 to 255');
    expect(refusal({ x509: { ca: true, pathLength: 256 } })).toContain('from 0 to 255');
  });
});

describe('a change', () => {
  const previous = parseCertificatePolicy({
    key: { kty: 'RSA', size: 2048, exportable: true, reuse: true },
    x509: { subject: 'CN=DefaultPolicy', sans: { dnsNames: ['localhost'] }, keyUsage: ['dataEncipherment'] },
    lifetimeActions: [{ trigger: { percentage: 98 }, type: 'EmailContacts' }],
    issuer: { name: 'Self', transparency: false },
  });
  const changed = (input: PolicyInput) => parseCertificatePolicy(input, { previous });

  test('of nothing changes nothing', () => {
    for (const input of [{}, { key: {}, x509: {}, issuer: {} }, { x509: { sans: {} } }])
      expect(changed(input)).toEqual(previous);
  });

  test('of the key leaves the rest as it was (recorded)', () => {
    const key = { kty: 'EC', curve: 'P-256K', size: 256, exportable: true, reuse: false };
    expect(changed({ key })).toEqual({ ...previous, key });
  });

  test('of the type alone takes the usual key of that type', () => {
    expect(changed({ key: { kty: 'EC' } }).key).toEqual({
      kty: 'EC',
      size: 256,
      curve: 'P-256',
      exportable: true,
      reuse: true,
    });
    expect(changed({ key: { kty: 'RSA-HSM' } }).key).toMatchObject({
      kty: 'RSA-HSM',
      size: 2048,
      exportable: false,
    });
    const hsm = changed({ key: { kty: 'RSA-HSM' } });
    expect(parseCertificatePolicy({ key: { kty: 'RSA' } }, { previous: hsm }).key.exportable).toBe(true);
  });

  test('of a size keeps a curve of that size', () => {
    const koblitz = changed({ key: { kty: 'EC', curve: 'P-256K' } });
    expect(parseCertificatePolicy({ key: { size: 256 } }, { previous: koblitz }).key.curve).toBe('P-256K');
    expect(parseCertificatePolicy({ key: { size: 384 } }, { previous: koblitz }).key.curve).toBe('P-384');
    expect(parseCertificatePolicy({ key: { curve: 'P-521' } }, { previous: koblitz }).key.size).toBe(521);
  });

  test('is of single members, kinds of names among them', () => {
    const { x509 } = changed({ x509: { sans: { emails: ['a@b'] }, ekus: [] } });
    expect(x509).toEqual({ ...previous.x509, sans: { emails: ['a@b'], dnsNames: ['localhost'] }, ekus: [] });
    expect(changed({ x509: { sans: { dnsNames: [] } } }).x509.sans).toEqual({ dnsNames: [] });
    expect(changed({ issuer: { name: 'other' } }).issuer).toEqual({ ...previous.issuer, name: 'other' });
    expect(changed({ enabled: false })).toEqual({ ...previous, enabled: false });
  });

  test('leaves names alone that came with an imported certificate', () => {
    const dnsNames = Array.from({ length: 101 }, (_, at) => `odd name ${at}`);
    const imported = { ...previous, x509: { ...previous.x509, sans: { dnsNames } } };
    const { x509 } = parseCertificatePolicy(
      { x509: { sans: {}, validityMonths: 2 } },
      { previous: imported },
    );
    expect(x509.sans).toEqual({ dnsNames });
    expect(refusal({ x509: { sans: { emails: ['a@b'] } } }, imported)).toContain('At most 100');
  });

  test('that takes away every name is refused', () => {
    expect(refusal({ x509: { subject: '', sans: { dnsNames: [] } } }, previous)).toContain('is required');
  });

  test('of an authority into none takes its path length with it', () => {
    const authority = changed({ x509: { ca: true, pathLength: 2 } });
    const { x509 } = parseCertificatePolicy({ x509: { ca: false } }, { previous: authority });
    expect([x509.ca, x509.pathLength]).toEqual([false, undefined]);
  });

  test('of the validity alone is refused if an action would have no day', () => {
    const late = changed({
      x509: { validityMonths: 36 },
      lifetimeActions: [{ trigger: { daysBeforeExpiry: 972 }, type: 'AutoRenew' }],
    });
    expect(refusal({ x509: { validityMonths: 35 } }, late)).toContain('from 1 to 945');
  });
});

const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const host = fc.stringMatching(/^[a-z]{1,10}(\.[a-z]{1,10}){0,3}$/);
const inputs: fc.Arbitrary<PolicyInput> = fc.record({
  key: optional(
    fc.oneof(
      fc.record({
        kty: fc.constantFrom('RSA', 'RSA-HSM'),
        size: optional(fc.constantFrom(2048, 3072, 4096)),
        reuse: optional(fc.boolean()),
      }),
      fc.record({
        kty: fc.constantFrom('EC', 'EC-HSM'),
        curve: optional(fc.constantFrom('P-256', 'P-384', 'P-521', 'P-256K')),
      }),
      fc.record({ kty: fc.constantFrom('RSA', 'EC'), exportable: optional(fc.boolean()) }),
    ),
  ),
  contentType: optional(fc.constantFrom('application/x-pkcs12', 'application/x-pem-file')),
  x509: fc.record({
    subject: host.map((name) => `CN=${name}`),
    sans: optional(
      fc.record({
        emails: optional(
          fc.array(
            host.map((name) => `a@${name}`),
            { maxLength: 3 },
          ),
        ),
        dnsNames: optional(fc.array(host, { maxLength: 3 })),
        uris: optional(
          fc.array(
            fc.webUrl({ validSchemes: ['https'] }).filter((uri) => /^[!-~]+$/.test(uri)),
            { maxLength: 3 },
          ),
        ),
        ipAddresses: optional(fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 3 })),
      }),
    ),
    ekus: optional(fc.uniqueArray(fc.constantFrom('1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.4'))),
    keyUsage: optional(fc.uniqueArray(fc.constantFrom('digitalSignature', 'cRLSign', 'keyAgreement'))),
    validityMonths: optional(fc.integer({ min: 13, max: 1200 })),
    ca: optional(fc.boolean()),
  }),
  lifetimeActions: optional(
    fc.uniqueArray(
      fc.record({
        type: fc.constantFrom('AutoRenew', 'EmailContacts'),
        trigger: fc.oneof(
          fc.integer({ min: 1, max: 99 }).map((percentage) => ({ percentage })),
          fc.integer({ min: 1, max: 324 }).map((daysBeforeExpiry) => ({ daysBeforeExpiry })),
        ),
      }),
      { selector: ({ type }) => type },
    ),
  ),
  issuer: optional(
    fc.record({ name: fc.constantFrom('Self', 'unknown', 'ca1'), transparency: optional(fc.boolean()) }),
  ),
  enabled: optional(fc.boolean()),
});

/** A policy as the input that would say all of it. */
function said(policy: CertificatePolicy): PolicyInput {
  return { ...policy };
}

describe('for every policy', () => {
  test('what is shown, sent back, is the same policy, whatever was there before', () => {
    fc.assert(
      fc.property(inputs, inputs, (one, other) => {
        const policy = parseCertificatePolicy(one);
        expect(parseCertificatePolicy(said(policy))).toEqual(policy);
        expect(parseCertificatePolicy(said(policy), { previous: policy })).toEqual(policy);
        const before = parseCertificatePolicy(other);
        const after = parseCertificatePolicy(said(policy), { previous: before });
        // What a policy need not say stays: kinds of names, and whether certificates are published.
        const sans = { ...before.x509.sans, ...policy.x509.sans };
        const transparency = policy.issuer.transparency ?? before.issuer.transparency;
        expect(after).toEqual({
          ...policy,
          x509: { ...policy.x509, sans: Object.keys(sans).length === 0 ? after.x509.sans : sans },
          issuer: { ...policy.issuer, transparency },
        });
      }),
    );
  });

  test('it comes out of JSON as it went in', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const policy = parseCertificatePolicy(input);
        const back = fromJson(JSON.parse(JSON.stringify(policy)) as CertificatePolicy);
        expect(back).toEqual(policy);
        expect(Object.keys(back.key)).toContain('curve');
      }),
    );
  });

  test('its content, key and operations can be told', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const policy = parseCertificatePolicy(input);
        expect(contentOf(policy).subject).toBe(input.x509?.subject);
        expect(keySpecOf(policy).hsm).toBe(policy.key.kty.endsWith('-HSM'));
        expect(keySpecOf(policy).hsm && policy.key.exportable).toBe(false);
        if (policy.key.kty.startsWith('EC'))
          expect(['sign', 'verify']).toEqual(expect.arrayContaining(keyOperationsOf(policy)));
      }),
    );
  });
});
