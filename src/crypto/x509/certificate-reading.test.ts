/** Proves what is read out of certificates and requests, what hostile ones meet with, and which chain a merge takes. */
import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasOpenSsl, testProvider } from '../../../test/support/software-keys.ts';
import {
  authorityContent,
  certifiedSpecs,
  makeSigner,
  noNames,
  serverContent,
  spkiOfSigner,
} from '../../../test/support/x509-signers.ts';
import { Failure } from '../../core/errors.ts';
import type { CertificateContent, KeyUsage, X509Signer } from './certificate-content.ts';
import { createCertificateRequest, createSelfSigned, issueCertificate } from './certificate-making.ts';
import { parseX5c, readCertificate, readCertificateRequest } from './certificate-reading.ts';

const texts = {
  unreadable: 'Certificate can not be read. Please check if certificate is valid.',
  tooLong: 'value is too long.',
  noLeaf: 'Unable to parse X5c certificate chain and locate leaf certificate',
  otherKey:
    'The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.',
};

const validity = { notBefore: Date.UTC(2026, 0, 1), notAfter: Date.UTC(2027, 0, 1) };
const openssl = hasOpenSsl('PKCS#7 files of its making are not read');
const provider = testProvider();
let signer: X509Signer;
let certificate: Uint8Array;

beforeAll(async () => {
  signer = await makeSigner(provider, { type: 'EC', curve: 'P-256' });
  certificate = await createSelfSigned(signer, { content: serverContent(), ...validity });
});

function refusal(message: string) {
  return expect.objectContaining({ name: 'Failure', kind: 'badParameter', message });
}

describe('what is read', () => {
  test.each(certifiedSpecs)('of a certificate and a request for %s', async (_name, spec) => {
    const owner = await makeSigner(provider, spec);
    const der = await createSelfSigned(owner, { content: serverContent(), ...validity });
    const key = { spec, publicJwk: owner.publicJwk, spki: spkiOfSigner(owner), content: serverContent() };
    const facts = await readCertificate(der);
    expect(facts).toEqual({
      ...key,
      der,
      x5t: createHash('sha1').update(der).digest('base64url'),
      serial: new X509Certificate(der).serialNumber.toLowerCase(),
      subject: 'CN=www.example.com',
      issuer: 'CN=www.example.com',
      notBefore: validity.notBefore / 1000,
      notAfter: validity.notAfter / 1000,
      isSelfSigned: true,
    });
    const request = await createCertificateRequest(owner, serverContent());
    expect(await readCertificateRequest(request)).toEqual({ ...key, der: request });
  });

  test('a certificate that another key signed is not self-signed, even under its own name', async () => {
    const owner = await makeSigner(provider, { type: 'EC', curve: 'P-384' });
    const authority = await createSelfSigned(signer, { content: authorityContent(), ...validity });
    const der = await issueCertificate(
      { signer, certificate: authority },
      { ...validity, content: authorityContent(), publicKey: spkiOfSigner(owner) },
    );
    const facts = await readCertificate(der);
    expect(facts).toMatchObject({ isSelfSigned: false, subject: facts.issuer });
  });

  test('any content comes back from certificate and request as it went in', async () => {
    const word = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);
    const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((labels) =>
      labels
        .filter((one) => !one.startsWith('xn--'))
        .concat('com')
        .join('.'),
    );
    const plain = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((text) => text.isWellFormed() && !/[\p{Cc}\u2028\u2029]/u.test(text));
    const value = fc.stringMatching(/^[a-zA-Z0-9äöüЖ漢*@_]{1,20}$/);
    const arc = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
    const usages: KeyUsage[] = [
      'digitalSignature',
      'nonRepudiation',
      'keyEncipherment',
      'dataEncipherment',
      'keyAgreement',
      'keyCertSign',
      'cRLSign',
      'encipherOnly',
      'decipherOnly',
    ];
    const content: fc.Arbitrary<CertificateContent> = fc
      .record({
        subject: fc
          .array(fc.tuple(fc.constantFrom('CN', 'O', 'OU', 'L', 'S', 'UID'), value), {
            minLength: 1,
            maxLength: 4,
          })
          .map((parts) => parts.map(([type, text]) => `${type}=${text}`).join(', ')),
        sans: fc.record({
          emails: fc.array(
            fc.tuple(word, name).map((parts) => parts.join('@')),
            { maxLength: 3 },
          ),
          dnsNames: fc.array(
            fc.tuple(fc.constantFrom('', '*.'), name).map((parts) => parts.join('')),
            { maxLength: 3 },
          ),
          upns: fc.array(plain, { maxLength: 3 }),
          uris: fc.array(
            name.map((host) => `https://${host}/`),
            { maxLength: 2 },
          ),
          ipAddresses: fc.array(
            fc.oneof(
              fc.ipV4(),
              fc.constantFrom('::', '::1', '2001:db8::2', 'fe80::1:0:0:1', '::ffff:192.0.2.1'),
            ),
            { maxLength: 3 },
          ),
        }),
        keyUsage: fc.subarray(usages),
        ekus: fc.array(
          fc
            .tuple(fc.constantFrom('1.3.6.1', '2.25', '2.999', '0.9'), arc)
            .map(([start, end]) => `${start}.${end}`),
          { maxLength: 3 },
        ),
        ca: fc.boolean(),
        depth: fc.option(fc.nat(127)),
      })
      .map(({ depth, ...rest }) => (rest.ca && depth !== null ? { ...rest, pathLength: depth } : rest));
    await fc.assert(
      fc.asyncProperty(content, async (wanted) => {
        const der = await createSelfSigned(signer, { content: wanted, ...validity });
        expect((await readCertificate(der)).content).toEqual(wanted);
        expect(
          (await readCertificateRequest(await createCertificateRequest(signer, wanted))).content,
        ).toEqual(wanted);
      }),
      { numRuns: 100 },
    );
  });
});

/** The certificate with octets of it replaced by others of the same length. */
function altered(from: string, to: string): Buffer {
  const hex = Buffer.from(certificate).toString('hex');
  if (from.length !== to.length || !hex.includes(from)) throw new Error('nothing to alter');
  return Buffer.from(hex.replaceAll(from, to), 'hex');
}

const hexOf = (text: string) => Buffer.from(text).toString('hex');
/** `depth` sequences, one in the other. */
function nested(depth: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let level = 0; level < depth; level++) {
    const length = inner.length < 0x80 ? [inner.length] : [0x82, inner.length >> 8, inner.length & 0xff];
    inner = Buffer.concat([Buffer.from([0x30, ...length]), inner]);
  }
  return inner;
}

describe('hostile octets', () => {
  test.each<[string, () => Uint8Array]>([
    ['nothing', () => new Uint8Array()],
    ['text', () => Buffer.from('certificate')],
    ['PEM', () => Buffer.from(new X509Certificate(certificate).toString())],
    ['an octet too many', () => Buffer.concat([certificate, Buffer.alloc(1)])],
    ['two certificates', () => Buffer.concat([certificate, certificate])],
    ['deep nesting', () => nested(5000)],
    ['indefinite lengths', () => Buffer.concat([Buffer.alloc(3000, '3080', 'hex')])],
    ['a length of four gigabytes', () => Buffer.from('3084ffffffff', 'hex')],
    [
      'a length of lengths of 126',
      () => Buffer.concat([Buffer.from('30fe', 'hex'), Buffer.alloc(126, 0xff)]),
    ],
    [
      'thousands of empty values',
      () => Buffer.concat([Buffer.from('3082ea60', 'hex'), Buffer.alloc(60_000, '0500', 'hex')]),
    ],
    [
      'a DNS name with NUL',
      () => altered(`820f${hexOf('www.example.com')}`, `820f${hexOf('www\0example.com')}`),
    ],
    [
      'a DNS name beyond ASCII',
      () => altered(`820f${hexOf('www.example.com')}`, `820f${hexOf('www.examplé.om')}`),
    ],
    ['an extension twice', () => altered('0603551d25', '0603551d0f')],
    ['key usage that is no bit string', () => altered('0404030205a0', '0404040205a0')],
    ['key usage with octets behind it', () => altered('0404030205a0', '0404030105a0')],
    ['names that are no list', () => altered(`3011820f`, `3111820f`)],
  ])('%s is refused as a certificate', async (_what, octets) => {
    await expect(readCertificate(octets())).rejects.toThrow(
      expect.objectContaining({ name: 'Failure', kind: 'badParameter' }),
    );
    await expect(readCertificateRequest(octets())).rejects.toThrow(Failure);
  });

  test('labels and names that are too long are refused', async () => {
    // The library writes what it is given; only our own checks stand before it.
    const pki = await import('pkijs');
    const asn1 = await import('asn1js');
    const parsed = pki.Certificate.fromBER(Uint8Array.from(certificate));
    for (const dnsName of [`${'a'.repeat(64)}.com`, 'a.'.repeat(128)]) {
      const altNames = [new pki.GeneralName({ type: 2, value: dnsName })];
      const extnValue = new pki.AltName({ altNames }).toSchema().toBER();
      parsed.extensions = [new pki.Extension({ extnID: '2.5.29.17', critical: false, extnValue })];
      const forged = new asn1.Sequence({ value: parsed.toSchema(true).valueBlock.value });
      await expect(readCertificate(new Uint8Array(forged.toBER()))).rejects.toThrow('too long');
    }
  });

  test('every shortening is refused', async () => {
    for (let length = 0; length < certificate.length; length += 7)
      await expect(readCertificate(certificate.subarray(0, length))).rejects.toThrow(
        refusal(texts.unreadable),
      );
  });

  test('any octet changed is a certificate or a refusal, never another error', async () => {
    const request = await createCertificateRequest(signer, serverContent());
    const { der: _der, ...signed } = await readCertificateRequest(request);
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (place, mask) => {
        const changed = Uint8Array.from(certificate);
        changed[place % changed.length] = (changed[place % changed.length] ?? 0) ^ mask;
        await readCertificate(changed).catch((error) => expect(error).toBeInstanceOf(Failure));
        const other = Uint8Array.from(request);
        other[place % other.length] = (other[place % other.length] ?? 0) ^ mask;
        // No change of what is signed is believed. The form of the signature itself is not: the parameters that its
        // algorithm has none of, and bits that it does not use.
        const read = await readCertificateRequest(other).catch((error: unknown) => {
          expect(error).toBeInstanceOf(Failure);
          return undefined;
        });
        if (read !== undefined) expect(read).toMatchObject(signed);
      }),
      { numRuns: 500 },
    );
  });

  test('more than 64 KiB is not looked at', async () => {
    const large = Buffer.alloc(64 * 1024 + 1);
    await expect(readCertificate(large)).rejects.toThrow(refusal(texts.tooLong));
    await expect(readCertificateRequest(large)).rejects.toThrow(refusal(texts.tooLong));
  });

  test('a refusal repeats nothing of what was sent', async () => {
    const error = await readCertificate(Buffer.from('secret-marker')).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Failure);
    expect(String(error)).not.toContain('secret-marker');
  });

  test('a request signed by another key is refused', async () => {
    const other = await makeSigner(provider, { type: 'EC', curve: 'P-256' });
    const mine = Buffer.from(await createCertificateRequest(signer, serverContent())).toString('hex');
    const forged = mine.replace(
      Buffer.from(spkiOfSigner(signer)).toString('hex'),
      Buffer.from(spkiOfSigner(other)).toString('hex'),
    );
    expect(forged).not.toBe(mine);
    await expect(readCertificateRequest(Buffer.from(forged, 'hex'))).rejects.toThrow('signature');
  });
});

describe('merging', () => {
  let folder: string;
  let chain: { root: Uint8Array; middle: Uint8Array; leaf: Uint8Array };
  let owner: X509Signer;
  let spki: Uint8Array;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'strongroom-merge-'));
    owner = await makeSigner(provider, { type: 'RSA', bits: 2048, exponent: 65537 });
    spki = spkiOfSigner(owner);
    const middle = await makeSigner(provider, { type: 'EC', curve: 'P-384' });
    const top = await createSelfSigned(signer, { content: authorityContent(), ...validity });
    const between = await issueCertificate(
      { signer, certificate: top },
      { ...validity, content: authorityContent({ subject: 'CN=Between' }), publicKey: spkiOfSigner(middle) },
    );
    const leaf = await issueCertificate(
      { signer: middle, certificate: between },
      { ...validity, content: serverContent(), publicKey: spki },
    );
    chain = { root: top, middle: between, leaf };
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const base64 = (octets: Uint8Array) => Buffer.from(octets).toString('base64');
  const pem = (octets: Uint8Array) => new X509Certificate(octets).toString();
  const merge = (x5c: readonly string[], preserveOrder = false) => parseX5c(x5c, { spki, preserveOrder });

  test.each<[string, readonly ('root' | 'middle' | 'leaf')[], readonly ('root' | 'middle' | 'leaf')[]]>([
    ['the leaf alone', ['leaf'], ['leaf']],
    ['in order', ['leaf', 'middle', 'root'], ['leaf', 'middle', 'root']],
    ['upside down', ['root', 'middle', 'leaf'], ['leaf', 'middle', 'root']],
    ['mixed', ['middle', 'leaf', 'root'], ['leaf', 'middle', 'root']],
    ['with a gap', ['root', 'leaf'], ['leaf', 'root']],
    ['with repetitions', ['leaf', 'root', 'leaf', 'middle', 'root'], ['leaf', 'middle', 'root']],
  ])('a list of certificates, %s', async (_what, given, expected) => {
    const merged = await merge(given.map((one) => base64(chain[one])));
    expect(merged.map(base64)).toEqual(expected.map((one) => base64(chain[one])));
  });

  test('the order is kept where that is asked for', async () => {
    const given = [chain.middle, chain.root, chain.leaf].map(base64);
    expect((await merge(given, true)).map(base64)).toEqual(given);
  });

  test('base64 of PEM, of one certificate and of the whole chain', async () => {
    const all = [chain.root, chain.leaf, chain.middle].map(pem).join('');
    const expected = [chain.leaf, chain.middle, chain.root].map(base64);
    expect((await merge([base64(Buffer.from(all))])).map(base64)).toEqual(expected);
    const single = [chain.leaf, chain.middle, chain.root].map((one) => base64(Buffer.from(pem(one))));
    expect((await merge(single)).map(base64)).toEqual(expected);
  });

  test.runIf(openssl)('PKCS#7, in DER', async () => {
    const file = join(folder, 'chain.pem');
    await writeFile(file, [chain.root, chain.leaf, chain.middle].map(pem).join(''));
    const { stdout } = spawnSync('openssl', ['crl2pkcs7', '-nocrl', '-certfile', file, '-outform', 'der']);
    expect(stdout.length).toBeGreaterThan(1000);
    const merged = await merge([base64(stdout)]);
    expect(merged.map(base64)).toEqual([chain.leaf, chain.middle, chain.root].map(base64));
    for (let length = 0; length < stdout.length; length += 97)
      await expect(merge([base64(stdout.subarray(0, length))])).rejects.toThrow(Failure);
  });

  test('line ends within base64 do not matter', async () => {
    const wrapped = base64(chain.leaf).replace(/(.{64})/g, '$1\r\n');
    expect((await merge([wrapped])).map(base64)).toEqual([base64(chain.leaf)]);
  });

  test("an authority's own certificate can be merged for its key", async () => {
    const merged = await parseX5c([base64(chain.root)], { spki: spkiOfSigner(signer), preserveOrder: false });
    expect(merged.map(base64)).toEqual([base64(chain.root)]);
  });

  test.each<[string, () => readonly string[], string]>([
    ['nothing', () => [], texts.noLeaf],
    ['a self-signed authority alone', () => [base64(chain.root)], texts.noLeaf],
    ['the certificate of another key', () => [base64(certificate)], texts.otherKey],
    [
      'the certificate of another key, with authorities',
      () => [chain.root, certificate].map(base64),
      texts.otherKey,
    ],
    ['an empty text', () => [''], texts.unreadable],
    ['text that is not base64', () => ['----'], texts.unreadable],
    [
      'base64url',
      () => [base64(chain.leaf).replaceAll('+', '-').replaceAll('/', '_').replace(/^/, '-')],
      texts.unreadable,
    ],
    ['base64 of anything', () => [base64(Buffer.from('anything'))], texts.unreadable],
    [
      'octets behind a certificate',
      () => [base64(Buffer.concat([chain.leaf, Buffer.alloc(2)]))],
      texts.unreadable,
    ],
    ['half a certificate', () => [base64(chain.leaf.subarray(0, 300))], texts.unreadable],
    ['one that can be read and one that cannot', () => [base64(chain.leaf), 'AAAA'], texts.unreadable],
    [
      'PEM of a request',
      () => [
        base64(Buffer.from('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n')),
      ],
      texts.unreadable,
    ],
    [
      'PKCS#7 of another content',
      () => [base64(Buffer.from('300f06092a864886f70d010701a0020400', 'hex'))],
      texts.unreadable,
    ],
    [
      'PKCS#7 without certificates',
      () => [
        base64(
          Buffer.from(
            '302006092a864886f70d010702a0133011020101310030090607' + '2a864886f70d01' + '3100',
            'hex',
          ),
        ),
      ],
      texts.unreadable,
    ],
    ['33 texts', () => new Array(33).fill(base64(chain.leaf)), texts.tooLong],
    ['a text of more than 4 MiB', () => ['A'.repeat(4 * 1024 * 1024 + 4)], texts.tooLong],
    ['deep nesting', () => [base64(nested(5000))], texts.unreadable],
  ])('refused: %s', async (_what, x5c, message) => {
    const error = await merge(x5c()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Failure);
    expect(error).toMatchObject({ kind: 'badParameter' });
    expect([message, texts.noLeaf]).toContain((error as Failure).message);
    if (message !== texts.unreadable) expect((error as Failure).message).toBe(message);
  });

  test('33 certificates in one text are refused', async () => {
    const many = await Promise.all(
      Array.from({ length: 33 }, () =>
        createSelfSigned(signer, { content: serverContent({ sans: noNames }), ...validity }),
      ),
    );
    await expect(merge([base64(Buffer.from(many.map(pem).join('')))])).rejects.toThrow(
      refusal(texts.tooLong),
    );
  });

  test('a private key among the certificates is refused, and not repeated', async () => {
    const { generateKeyPairSync } = await import('node:crypto');
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'pem',
      type: 'pkcs8',
    });
    await expect(merge([base64(Buffer.from(pem(chain.leaf) + key))])).rejects.toThrow(
      refusal(texts.unreadable),
    );
  });
});
