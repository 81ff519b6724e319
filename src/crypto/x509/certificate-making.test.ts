/** Proves that what is made is what was asked for, by OpenSSL's judgement and by linters, for every kind of key. */
import { spawnSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { optional } from '../../../test/support/optional.ts';
import { hasOpenSsl, testProvider } from '../../../test/support/software-keys.ts';
import { lintCertificate } from '../../../test/support/x509-lint.ts';
import {
  authorityContent,
  certifiedSpecs,
  makeSigner,
  noNames,
  serverContent,
  spkiOfSigner,
} from '../../../test/support/x509-signers.ts';
import { Failure } from '../../core/errors.ts';
import type { CertificateContent, X509Signer } from './certificate-content.ts';
import {
  type CertificateIssuer,
  createCertificateRequest,
  createSelfSigned,
  issueCertificate,
} from './certificate-making.ts';

const day = 86_400_000;
/** The command line judges validity by the machine's clock. */
const now = Math.floor(performance.timeOrigin);
const validity = { notBefore: now - 600_000, notAfter: now + 90 * day };
const openssl = hasOpenSsl('its checks of certificates do not run');
/** From PyPI: `pip install pkilint`. */
const linter = process.env.STRONGROOM_PKILINT ?? 'lint_pkix_cert';
const pkilint = optional('checks of certificates by pkilint', spawnSync(linter, ['--help']).status === 0);

const everyName = {
  dnsNames: ['www.example.com', '*.example.com', 'xn--bcher-kva.example', '1'],
  emails: ['someone@example.com'],
  upns: ['jürgen@example.com'],
  uris: ['https://example.com/a?b', 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
  ipAddresses: ['192.0.2.1', '2001:db8::1'],
};

const provider = testProvider();
let folder: string;
let rsa: X509Signer;
let ec: X509Signer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-certificates-'));
  rsa = await makeSigner(provider, { type: 'RSA', bits: 2048, exponent: 65537 });
  ec = await makeSigner(provider, { type: 'EC', curve: 'P-256' });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What the command line prints of the octets; throws with its complaint. */
function run(command: string, args: readonly string[], input: Uint8Array): string {
  const { status, stdout, stderr } = spawnSync(command, args, { input });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`);
  return `${stdout}${stderr}`;
}

const print = ['-inform', 'der', '-noout', '-text', '-nameopt', 'RFC2253,utf8'];
const opensslRequest = (der: Uint8Array) => run('openssl', ['req', '-verify', ...print], der);
const opensslCertificate = (der: Uint8Array) => run('openssl', ['x509', ...print], der);

/** The lines under a heading of OpenSSL's, joined. */
function under(text: string, heading: string): string | undefined {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.trim() === heading || line.trim().startsWith(`${heading}:`));
  if (at < 0) return undefined;
  const indent = (line: string) => line.length - line.trimStart().length;
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => indent(line) <= indent(lines[at] ?? ''));
  return rest
    .slice(0, end)
    .map((line) => line.trim())
    .join('|');
}

async function pem(name: string, der: Uint8Array): Promise<string> {
  const path = join(folder, `${name}-${randomBytes(6).toString('hex')}.pem`);
  await writeFile(path, new X509Certificate(der).toString());
  return path;
}

async function root(
  signer: X509Signer,
  content: Partial<CertificateContent> = {},
): Promise<CertificateIssuer> {
  const certificate = await createSelfSigned(signer, {
    content: authorityContent(content),
    notBefore: validity.notBefore,
    notAfter: now + 3650 * day,
  });
  return { signer, certificate };
}

describe.each(certifiedSpecs)('%s', (_name, spec) => {
  test.runIf(openssl)(
    'requests and self-signed certificates verify, with every extension as asked',
    async () => {
      const signer = await makeSigner(provider, spec);
      const content = serverContent({
        subject: 'C=GB, O="Example, Ltd.", CN=www.example.com',
        sans: everyName,
        keyUsage: ['digitalSignature', 'keyAgreement', 'decipherOnly'],
      });
      const request = opensslRequest(await createCertificateRequest(signer, content));
      const der = await createSelfSigned(signer, { content, ...validity });
      const certificate = opensslCertificate(der);
      expect(request).toContain('self-signature verify OK');
      expect(new X509Certificate(der).verify(new X509Certificate(der).publicKey)).toBe(true);
      for (const text of [request, certificate]) {
        expect(text).toContain('Subject: C=GB,O=Example\\, Ltd.,CN=www.example.com\n');
        expect(under(text, 'X509v3 Key Usage: critical')).toBe(
          'Digital Signature, Key Agreement, Decipher Only',
        );
        expect(under(text, 'X509v3 Extended Key Usage')).toBe(
          'TLS Web Server Authentication, TLS Web Client Authentication',
        );
        expect(under(text, 'X509v3 Basic Constraints')).toBe('CA:FALSE');
        expect(under(text, 'X509v3 Subject Alternative Name')).toBe(
          'DNS:www.example.com, DNS:*.example.com, DNS:xn--bcher-kva.example, DNS:1, email:someone@example.com, othername: UPN::jürgen@example.com, URI:https://example.com/a?b, URI:urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1',
        );
      }
      expect(under(certificate, 'X509v3 Subject Key Identifier')).toBe(
        under(certificate, 'X509v3 Authority Key Identifier'),
      );
      expect(lintCertificate(der)).toEqual([]);
    },
  );

  test.runIf(openssl)('issues certificates that OpenSSL accepts, strictly', async () => {
    const signer = await makeSigner(provider, spec);
    const authority = await root(signer);
    const end = await issueCertificate(authority, {
      ...validity,
      content: serverContent(),
      publicKey: spkiOfSigner(ec),
    });
    const ca = await pem('ca', authority.certificate);
    const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'www.example.com'];
    run('openssl', [...verify, '-CAfile', ca, await pem('end', end)], new Uint8Array());
    expect(lintCertificate(authority.certificate)).toEqual([]);
    expect(lintCertificate(end)).toEqual([]);
  });
});

/** Object identifiers, their contents in hexadecimal. */
const serverAuth = '2b06010505070301';
const clientAuth = '2b06010505070302';
const extensionRequest = '2a864886f70d01090e';
const sha256WithRsa = '2a864886f70d01010b';

/** DER of less than 128 octets: a tag and contents in hexadecimal. */
function tlv(tag: string, contents: string): string {
  return `${tag}${(contents.length / 2).toString(16).padStart(2, '0')}${contents}`;
}

describe("Azure's form", () => {
  const recordedUsages = [
    'digitalSignature',
    'nonRepudiation',
    'keyEncipherment',
    'keyAgreement',
    'keyCertSign',
  ] as const;

  test('a request has its names, extensions and algorithm in the recorded form', async () => {
    const content = serverContent({
      subject: 'C=DE, ST=BE, L=Berlin, O=Example, OU=Unit, CN=www.example.com',
      sans: noNames,
      keyUsage: recordedUsages,
    });
    const der = Buffer.from(await createCertificateRequest(rsa, content)).toString('hex');
    // The last of the text first, each as PrintableString.
    const names = [
      ['03', 'www.example.com'],
      ['0b', 'Unit'],
      ['0a', 'Example'],
      ['07', 'Berlin'],
      ['08', 'BE'],
      ['06', 'DE'],
    ].map(([attribute = '', text = '']) => {
      const value = tlv('13', Buffer.from(text).toString('hex'));
      return tlv('31', tlv('30', `06035504${attribute}${value}`));
    });
    expect(der).toContain(`020100${tlv('30', names.join(''))}30820122`);
    // Key usage, critical; extended key usage; basic constraints, which are empty.
    const extensions = [
      tlv('30', `0603551d0f0101ff0404${tlv('03', '02ec')}`),
      tlv('30', `0603551d25${tlv('04', tlv('30', `${tlv('06', serverAuth)}${tlv('06', clientAuth)}`))}`),
      tlv('30', `0603551d13${tlv('04', '3000')}`),
    ];
    const requested = tlv('31', tlv('30', extensions.join('')));
    const attributes = tlv('a0', tlv('30', `${tlv('06', extensionRequest)}${requested}`));
    const algorithm = tlv('30', `${tlv('06', sha256WithRsa)}0500`);
    expect(der).toContain(`${attributes}${algorithm}03820101${'00'}`);
  });

  test('a self-signed certificate has the recorded extensions in the recorded order', async () => {
    const content = serverContent({
      sans: { ...noNames, dnsNames: ['1', '2'] },
      keyUsage: recordedUsages,
    });
    const der = await createSelfSigned(rsa, { content, ...validity });
    const key = /([0-9A-F]{2}:?){20}/.exec(
      under(opensslCertificate(der), 'X509v3 Subject Key Identifier') ?? '',
    )?.[0];
    const identifier = key?.replaceAll(':', '').toLowerCase() ?? 'none';
    const extensions = [
      tlv('30', `0603551d0f0101ff0404${tlv('03', '02ec')}`),
      tlv('30', `0603551d13${tlv('04', '3000')}`),
      tlv('30', `0603551d25${tlv('04', tlv('30', `${tlv('06', serverAuth)}${tlv('06', clientAuth)}`))}`),
      tlv('30', `0603551d11${tlv('04', tlv('30', `${tlv('82', '31')}${tlv('82', '32')}`))}`),
      tlv('30', `0603551d23${tlv('04', tlv('30', tlv('80', identifier)))}`),
      tlv('30', `0603551d0e${tlv('04', tlv('04', identifier))}`),
    ];
    expect(Buffer.from(der).toString('hex')).toContain(extensions.join(''));
  });
});

describe('the form', () => {
  test.runIf(openssl)('names are critical when there is no subject, and not otherwise', async () => {
    const sans = { ...noNames, dnsNames: ['www.example.com'] };
    const without = opensslRequest(await createCertificateRequest(ec, serverContent({ subject: '', sans })));
    expect(without).toContain('X509v3 Subject Alternative Name: critical');
    const withSubject = opensslRequest(await createCertificateRequest(ec, serverContent({ sans })));
    expect(withSubject).toContain('X509v3 Subject Alternative Name: \n');
  });

  test.runIf(openssl)('an authority says so, with its path length, critically', async () => {
    const { certificate } = await root(ec, { pathLength: 0 });
    const text = opensslCertificate(certificate);
    expect(under(text, 'X509v3 Basic Constraints: critical')).toBe('CA:TRUE, pathlen:0');
    expect(under(text, 'X509v3 Key Usage: critical')).toBe('Certificate Sign, CRL Sign');
  });

  test.runIf(openssl)('what is not asked for is not there', async () => {
    const content = serverContent({ sans: noNames, keyUsage: [], ekus: [] });
    const text = opensslCertificate(await createSelfSigned(ec, { content, ...validity }));
    for (const heading of [
      'X509v3 Key Usage',
      'X509v3 Extended Key Usage',
      'X509v3 Subject Alternative Name',
    ])
      expect(text).not.toContain(heading);
  });

  test.runIf(openssl)('times are whole seconds, from 2050 on in the longer form', async () => {
    const notBefore = Date.UTC(2049, 11, 31, 23, 59, 59) + 999;
    const der = await createSelfSigned(ec, { content: serverContent(), notBefore, notAfter: notBefore + 1 });
    const text = opensslCertificate(der);
    expect(text).toContain('Not Before: Dec 31 23:59:59 2049 GMT');
    expect(text).toContain('Not After : Jan  1 00:00:00 2050 GMT');
    expect(lintCertificate(der)).toEqual([]);
    const hex = Buffer.from(der).toString('latin1');
    expect(hex).toContain('491231235959Z');
    expect(hex).toContain('20500101000000Z');
  });

  test('serials are of 127 random bits and never the same', async () => {
    const serials = new Set<string>();
    for (let count = 0; count < 20; count++) {
      const der = await createSelfSigned(ec, { content: serverContent(), ...validity });
      const { serialNumber } = new X509Certificate(der);
      expect(serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
      serials.add(serialNumber);
    }
    expect(serials.size).toBe(20);
  });

  test.runIf(openssl)('an issued certificate names its issuer as that is encoded', async () => {
    // A name whose parts a re-encoding would change: a set of two in another order than the text's, and BMPString.
    const authority = await root(rsa, { subject: 'O=#1e020041, OU=b + CN=a', sans: noNames });
    const der = await issueCertificate(authority, {
      ...validity,
      content: serverContent(),
      publicKey: spkiOfSigner(ec),
    });
    const text = opensslCertificate(der);
    expect(under(text, 'X509v3 Basic Constraints: critical')).toBe('CA:FALSE');
    const issuer = new X509Certificate(authority.certificate);
    expect(new X509Certificate(der).checkIssued(issuer)).toBe(true);
    run(
      'openssl',
      ['verify', '-x509_strict', '-CAfile', await pem('ca', authority.certificate), await pem('end', der)],
      new Uint8Array(),
    );
  });

  test.runIf(openssl)('name constraints bind', async () => {
    const certificate = await createSelfSigned(ec, {
      content: {
        ...authorityContent(),
        nameConstraints: { dnsNames: ['example.com'], ipRanges: ['192.0.2.0/24'] },
      },
      ...validity,
    });
    const authority = { signer: ec, certificate };
    const issue = (content: CertificateContent) =>
      issueCertificate(authority, { ...validity, content, publicKey: spkiOfSigner(rsa) });
    const sans = { ...noNames, dnsNames: ['*.example.com'], ipAddresses: ['192.0.2.9'] };
    const inside = await issue(serverContent({ sans }));
    run(
      'openssl',
      ['verify', '-x509_strict', '-CAfile', await pem('ca', certificate), await pem('end', inside)],
      new Uint8Array(),
    );
    for (const names of [
      { dnsNames: ['example.org'] },
      { ipAddresses: ['192.0.3.1'] },
      { dnsNames: ['notexample.com'] },
    ])
      await expect(issue(serverContent({ sans: { ...noNames, ...names } }))).rejects.toThrow(Failure);
  });

  test.runIf(pkilint)('pkilint finds nothing', async () => {
    const authority = await root(rsa);
    const end = await issueCertificate(authority, {
      ...validity,
      // RFC 8813 §3: an EC key enciphers no keys.
      content: serverContent({ keyUsage: ['digitalSignature'] }),
      publicKey: spkiOfSigner(ec),
    });
    for (const der of [authority.certificate, end]) {
      const path = join(folder, `${randomBytes(6).toString('hex')}.cer`);
      await writeFile(path, der);
      expect(run(linter, ['lint', '-s', 'NOTICE', path], new Uint8Array()).trim()).toBe('');
    }
  });
});

describe('what is refused', () => {
  const withNames = (names: Partial<typeof everyName>) => serverContent({ sans: { ...noNames, ...names } });

  test.each<[string, CertificateContent]>([
    ['neither subject nor names', serverContent({ subject: ' ', sans: noNames })],
    ['a subject that is no name', serverContent({ subject: 'www.example.com' })],
    ['a DNS name with NUL', withNames({ dnsNames: ['www.example.com\0.evil.org'] })],
    ['a DNS name with a space', withNames({ dnsNames: ['www example.com'] })],
    ['a DNS name that ends with a dot', withNames({ dnsNames: ['www.example.com.'] })],
    ['an empty DNS name', withNames({ dnsNames: [''] })],
    ['an empty label', withNames({ dnsNames: ['www..example.com'] })],
    ['a label of 64 characters', withNames({ dnsNames: [`${'a'.repeat(64)}.example.com`] })],
    ['a DNS name of 254 characters', withNames({ dnsNames: [`${'a.'.repeat(126)}aa`] })],
    ['a label that begins with a hyphen', withNames({ dnsNames: ['-a.example.com'] })],
    ['letters beyond ASCII', withNames({ dnsNames: ['bücher.example'] })],
    ['an A-label that is none', withNames({ dnsNames: ['xn--zzzzzzzzzzzz99999.example'] })],
    ['a wildcard alone', withNames({ dnsNames: ['*'] })],
    ['a wildcard within a label', withNames({ dnsNames: ['w*.example.com'] })],
    ['a wildcard in the second label', withNames({ dnsNames: ['www.*.com'] })],
    ['two wildcards', withNames({ dnsNames: ['*.*.example.com'] })],
    ['an e-mail address without a host', withNames({ emails: ['someone'] })],
    ['an e-mail address with a line end', withNames({ emails: ['a@example.com\nb@example.com'] })],
    ['an e-mail address beyond ASCII', withNames({ emails: ['jürgen@example.com'] })],
    ['an e-mail address in brackets', withNames({ emails: ['Someone <a@example.com>'] })],
    ['a principal name with NUL', withNames({ upns: ['a\0@example.com'] })],
    ['an empty principal name', withNames({ upns: [''] })],
    ['a URI without a scheme', withNames({ uris: ['//example.com/'] })],
    ['a URI with a space', withNames({ uris: ['https://example.com/a b'] })],
    ['a URI with a host that is none', withNames({ uris: ['https://exa mple.com/'] })],
    ['an address with a prefix', withNames({ ipAddresses: ['192.0.2.0/24'] })],
    ['an address with a zone', withNames({ ipAddresses: ['fe80::1%eth0'] })],
    ['an address with a leading zero', withNames({ ipAddresses: ['192.0.2.01'] })],
    ['a name instead of an address', withNames({ ipAddresses: ['example.com'] })],
    [
      '1001 names',
      withNames({ dnsNames: Array.from({ length: 1001 }, (_, index) => `a${index}.example.com`) }),
    ],
    ['more than 64 KiB', withNames({ uris: Array.from({ length: 100 }, () => `urn:${'a'.repeat(1000)}`) })],
    ['a usage that is no identifier', serverContent({ ekus: ['serverAuth'] })],
    ['a usage with a first arc of 3', serverContent({ ekus: ['3.6.1.5'] })],
    ['a path length without an authority', serverContent({ pathLength: 0 })],
    ['a path length below 0', authorityContent({ pathLength: -1 })],
  ])('%s', async (_what, content) => {
    const refused = expect.objectContaining({ name: 'Failure', kind: 'badParameter' });
    await expect(createCertificateRequest(ec, content)).rejects.toThrow(refused);
    await expect(createSelfSigned(ec, { content, ...validity })).rejects.toThrow(refused);
  });

  test('name constraints that are none, or of no authority', async () => {
    const make = (content: CertificateContent) => createSelfSigned(ec, { content, ...validity });
    const nameConstraints = { dnsNames: ['example.com'], ipRanges: [] };
    await expect(make(serverContent({ nameConstraints }))).rejects.toThrow(Failure);
    for (const dnsNames of [[], ['*.example.com'], ['']])
      await expect(make(authorityContent({ nameConstraints: { dnsNames, ipRanges: [] } }))).rejects.toThrow(
        Failure,
      );
  });

  test('a certificate that ends before it begins, and times that are none', async () => {
    const make = (notBefore: number, notAfter: number) =>
      createSelfSigned(ec, { content: serverContent(), notBefore, notAfter });
    await expect(make(now, now)).rejects.toThrow(RangeError);
    await expect(make(now, Number.NaN)).rejects.toThrow(RangeError);
    await expect(make(now, Date.UTC(10_000, 0, 1))).rejects.toThrow(RangeError);
    await expect(make(Date.UTC(1949, 0, 1), now)).rejects.toThrow(RangeError);
  });

  test('a handle that is not the public key’s: nothing that it signed gets out', async () => {
    const other = await makeSigner(provider, { type: 'EC', curve: 'P-256' });
    const mixed = { publicJwk: ec.publicJwk, handle: other.handle };
    await expect(createCertificateRequest(mixed, serverContent())).rejects.toThrow('did not verify');
    await expect(createSelfSigned(mixed, { content: serverContent(), ...validity })).rejects.toThrow(
      'did not verify',
    );
  });

  test('keys that sign no certificates', async () => {
    const octets = { publicJwk: {}, handle: { ...ec.handle, spec: { type: 'oct' as const, bits: 256 } } };
    await expect(createCertificateRequest(octets, serverContent())).rejects.toThrow(RangeError);
  });

  test('an issuer that may not issue', async () => {
    const issue = (authority: CertificateIssuer, content = serverContent(), notAfter = validity.notAfter) =>
      issueCertificate(authority, { notBefore: now, notAfter, content, publicKey: spkiOfSigner(rsa) });
    const leaf = await createSelfSigned(ec, {
      content: serverContent({ keyUsage: ['keyCertSign'] }),
      ...validity,
    });
    await expect(issue({ signer: ec, certificate: leaf })).rejects.toThrow('not an authority');
    const mute = await root(ec, { keyUsage: ['cRLSign'] });
    await expect(issue(mute)).rejects.toThrow('not an authority');
    const authority = await root(ec);
    await expect(issue({ ...authority, signer: rsa })).rejects.toThrow("not the issuer's");
    await expect(issue(authority, serverContent(), now + 9999 * day)).rejects.toThrow(RangeError);
    await expect(
      issueCertificate(authority, { ...validity, content: serverContent(), publicKey: randomBytes(50) }),
    ).rejects.toThrow();
    const last = await root(ec, { pathLength: 0 });
    await expect(issue(last, authorityContent())).rejects.toThrow(Failure);
    const middle = await root(ec, { pathLength: 1 });
    await expect(issue(middle, authorityContent({ pathLength: 1 }))).rejects.toThrow(Failure);
    await expect(issue(middle, authorityContent({ pathLength: 0 }))).resolves.toBeInstanceOf(Uint8Array);
  });
});
