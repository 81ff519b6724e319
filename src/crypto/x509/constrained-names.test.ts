import { execFileSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { X509Certificate as PeculiarCertificate } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasOpenSsl } from '../../../test/support/software-keys.ts';
import { type ConstrainedContent, mayCertifyNames } from './constrained-names.ts';

const now = Date.UTC(2027, 0, 1);
const day = 86_400_000;
const openssl = hasOpenSsl('its judgement of name constraints is not compared');
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

type Form = 'dns' | 'email' | 'url' | 'ip' | 'dn' | 'upn';
type Names = readonly (readonly [Form, string])[];
interface Constraints {
  readonly permitted?: Names;
  readonly excluded?: Names;
}

let folder: string;
let caKeys: webcrypto.CryptoKeyPair;
let leafKeys: webcrypto.CryptoKeyPair;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-constraints-'));
  caKeys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
  leafKeys = await webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function load() {
  await import('reflect-metadata');
  return { x509: await import('@peculiar/x509'), pki: await import('pkijs'), asn1: await import('asn1js') };
}

async function subtree([form, base]: readonly [Form, string], extra: object = {}) {
  const { x509, pki, asn1 } = await load();
  if (form === 'upn') {
    const value = [
      new asn1.ObjectIdentifier({ value: '1.3.6.1.4.1.311.20.2.3' }),
      new asn1.Constructed({
        idBlock: { tagClass: 3, tagNumber: 0 },
        value: [new asn1.Utf8String({ value: base })],
      }),
    ];
    const name = new asn1.Constructed({ idBlock: { tagClass: 3, tagNumber: 0 }, value });
    return new asn1.Sequence({ value: [name] });
  }
  // The library refuses what is no whole name, such as `.example.com`.
  const types = { dns: 2, email: 1, url: 6 } as const;
  const generalName =
    form === 'ip' || form === 'dn'
      ? pki.GeneralName.fromBER(new x509.GeneralName(form, base).rawData)
      : new pki.GeneralName({ type: types[form], value: base });
  return new pki.GeneralSubtree({ base: generalName, ...extra }).toSchema();
}

async function encode({ permitted, excluded }: Constraints, extra: object = {}): Promise<ArrayBuffer> {
  const { asn1 } = await load();
  const part = async (tagNumber: number, names: Names | undefined) =>
    names === undefined
      ? []
      : [
          new asn1.Constructed({
            idBlock: { tagClass: 3, tagNumber },
            value: await Promise.all(names.map((name) => subtree(name, extra))),
          }),
        ];
  return new asn1.Sequence({ value: [...(await part(0, permitted)), ...(await part(1, excluded))] }).toBER();
}

/** An authority of another maker, whose constraints may be of any kind. */
async function makeAuthority(constraints: ArrayBuffer | undefined): Promise<PeculiarCertificate> {
  const { x509 } = await load();
  const extensions = [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey, false, webcrypto),
    ...(constraints === undefined ? [] : [new x509.Extension('2.5.29.30', true, constraints)]),
  ];
  return x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Authority',
      notBefore: new Date(now - day),
      notAfter: new Date(now + day),
      keys: caKeys,
      signingAlgorithm: ecdsa,
      extensions,
    },
    webcrypto,
  );
}

/** Whether OpenSSL accepts a certificate with these names, as the authority's key could sign it unasked. */
async function opensslAccepts(
  authority: PeculiarCertificate,
  { subject, sans }: ConstrainedContent,
): Promise<boolean> {
  const { x509 } = await load();
  const names = [
    ...sans.dnsNames.map((value) => ({ type: x509.DNS, value })),
    ...sans.emails.map((value) => ({ type: x509.EMAIL, value })),
    ...sans.uris.map((value) => ({ type: x509.URL, value })),
    ...sans.ipAddresses.map((value) => ({ type: x509.IP, value })),
    ...sans.upns.map((value) => ({ type: x509.UPN, value })),
  ];
  const leaf = await x509.X509CertificateGenerator.create(
    {
      issuer: authority.subjectName,
      subject,
      notBefore: new Date(now - day),
      notAfter: new Date(now + day),
      publicKey: leafKeys.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: ecdsa,
      extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
    },
    webcrypto,
  );
  const [caFile, leafFile] = [`${crypto.randomUUID()}.pem`, `${crypto.randomUUID()}.pem`].map((name) =>
    join(folder, name),
  );
  await writeFile(caFile ?? '', authority.toString('pem'));
  await writeFile(leafFile ?? '', leaf.toString('pem'));
  try {
    const args = ['verify', '-attime', String(now / 1000), '-CAfile', caFile ?? '', leafFile ?? ''];
    execFileSync('openssl', args, { stdio: 'pipe' });
    return true;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr);
    // Anything else would be a mistake of this test.
    if (!/subtree violation|unsupported name constraint|unsupported or invalid name/.test(said)) throw error;
    return false;
  }
}

function names(sans: Partial<ConstrainedContent['sans']>, subject = 'CN=subject'): ConstrainedContent {
  return { subject, sans: { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [], ...sans } };
}

const dns = (...dnsNames: string[]) => names({ dnsNames });
const mail = (...emails: string[]) => names({ emails });
const url = (...uris: string[]) => names({ uris });
const ip = (...ipAddresses: string[]) => names({ ipAddresses });

const inExample: Constraints = { permitted: [['dns', 'example.com']] };
const notSecret: Constraints = { excluded: [['dns', 'secret.example.com']] };
const tenNet: Constraints = { permitted: [['ip', '10.0.0.0/8']] };
const notTenNet: Constraints = { excluded: [['ip', '10.0.0.0/8']] };

/** Constraints, names, whether they are allowed; `stricter` where OpenSSL would accept what is refused here. */
const rows: readonly (readonly [
  string,
  Constraints | undefined,
  ConstrainedContent,
  boolean,
  'stricter'?,
])[] = [
  ['no constraints', undefined, dns('anything.example'), true],
  ['the domain itself', inExample, dns('example.com'), true],
  ['a host below it, in capitals', inExample, dns('A.B.EXAMPLE.com'), true],
  ['a wildcard below it', inExample, dns('*.example.com'), true],
  ['a name that ends alike', inExample, dns('badexample.com'), false],
  ['its parent', inExample, dns('com'), false],
  ['a wildcard of its parent', inExample, dns('*.com'), false],
  ['the domain as a prefix', inExample, dns('example.com.evil.net'), false],
  ['one of two', inExample, dns('www.example.com', 'www.example.org'), false],
  ['names of other kinds than the constrained', inExample, mail('a@evil.example'), true],
  [
    'a domain with a dot in front: below it',
    { permitted: [['dns', '.example.com']] },
    dns('a.example.com'),
    true,
  ],
  [
    'a domain with a dot in front: itself',
    { permitted: [['dns', '.example.com']] },
    dns('example.com'),
    false,
  ],
  [
    'one of two permitted',
    {
      permitted: [
        ['dns', 'a.example'],
        ['dns', 'b.example'],
      ],
    },
    dns('x.b.example'),
    true,
  ],
  ['an excluded name', notSecret, dns('secret.example.com'), false],
  ['a name below an excluded one', notSecret, dns('x.secret.example.com'), false],
  ['a name beside an excluded one', notSecret, dns('open.example.com'), true],
  ['a wildcard that covers an excluded name', notSecret, dns('*.example.com'), false, 'stricter'],
  ['permitted, but excluded below', { ...inExample, ...notSecret }, dns('x.secret.example.com'), false],
  ['all DNS names excluded', { excluded: [['dns', '']] }, dns('example.com'), false],
  ['a common name that is read as a host', inExample, names({}, 'CN=www.example.org'), false],
  ['a common name within', inExample, names({}, 'CN=www.example.com'), true],
  ['a common name that is no host', inExample, names({}, 'CN=Jane Doe'), true],
  [
    'a common name beside DNS names',
    inExample,
    names({ dnsNames: ['example.com'] }, 'CN=www.example.org'),
    true,
  ],
  ['an address in the range', tenNet, ip('10.255.0.1'), true],
  ['an address outside', tenNet, ip('11.0.0.1'), false],
  ['an address of the other family', tenNet, ip('a00::1'), false],
  ['an excluded address', notTenNet, ip('10.1.1.1'), false],
  ['beside an excluded range', notTenNet, ip('11.1.1.1'), true],
  ['an IPv4 address inside IPv6', notTenNet, ip('::ffff:10.1.1.1'), false, 'stricter'],
  ['an IPv6 range', { permitted: [['ip', 'fd00::/16']] }, ip('fd00:0:1::2'), true],
  ['mail at the host', { permitted: [['email', 'example.com']] }, mail('A@Example.com'), true],
  ['mail at a host below it', { permitted: [['email', 'example.com']] }, mail('a@mail.example.com'), false],
  ['mail below the domain', { permitted: [['email', '.example.com']] }, mail('a@mail.example.com'), true],
  ['mail at the domain itself', { permitted: [['email', '.example.com']] }, mail('a@example.com'), false],
  ['one mailbox', { permitted: [['email', 'ops@example.com']] }, mail('ops@EXAMPLE.com'), true],
  ['another mailbox', { permitted: [['email', 'ops@example.com']] }, mail('Ops@example.com'), false],
  ['an excluded host of mail', { excluded: [['email', 'example.com']] }, mail('a@example.com'), false],
  [
    'an address in the subject',
    { permitted: [['email', 'example.com']] },
    names({}, 'E=a@evil.example'),
    false,
  ],
  ['a URI at the host', { permitted: [['url', 'example.com']] }, url('https://example.com/x'), true],
  ['a URI with a user', { permitted: [['url', 'example.com']] }, url('https://u@example.com:8443/x'), false],
  [
    'a URI with a user, where one is excluded',
    { excluded: [['url', 'example.com']] },
    url('https://u@example.com/'),
    false,
    'stricter',
  ],
  ['a URI with a port', { permitted: [['url', 'example.com']] }, url('https://example.com:8443/x'), true],
  [
    'the host as a user',
    { permitted: [['url', 'example.com']] },
    url('https://example.com@evil.example/'),
    false,
  ],
  ['a URI below', { permitted: [['url', '.example.com']] }, url('https://a.example.com/'), true],
  ['a URI at another host', { permitted: [['url', 'example.com']] }, url('https://a.example.com/'), false],
  ['a URI without a host', { permitted: [['url', 'example.com']] }, url('urn:a:b'), false],
  [
    'a URI without a host, where one is excluded',
    { excluded: [['url', 'example.com']] },
    url('urn:a:b'),
    false,
  ],
  [
    'constraints on directory names',
    { permitted: [['dn', 'CN=subject']] },
    dns('example.com'),
    false,
    'stricter',
  ],
  ['constraints on principal names', { excluded: [['upn', 'x@y']] }, dns('example.com'), false, 'stricter'],
];

describe.each(rows.map((row) => [row[0], row] as const))('%s', (_, row) => {
  const [, constraints, content, allowed, stricter] = row;
  const authority = async () =>
    makeAuthority(constraints === undefined ? undefined : await encode(constraints));

  test(allowed ? 'is allowed' : 'is refused', async () => {
    const { rawData } = await authority();
    expect(await mayCertifyNames(new Uint8Array(rawData), content)).toBe(allowed);
  });

  test.runIf(openssl)('as OpenSSL judges it, or stricter', async () => {
    expect(await opensslAccepts(await authority(), content)).toBe(stricter === undefined ? allowed : true);
  });
});

test('malformed constraints, and those with a minimum, allow nothing', async () => {
  const { rawData: garbage } = await makeAuthority(Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x05).buffer);
  const { rawData: minimum } = await makeAuthority(await encode(inExample, { minimum: 1 }));
  for (const der of [garbage, minimum])
    expect(await mayCertifyNames(new Uint8Array(der), dns('www.example.com'))).toBe(false);
});
