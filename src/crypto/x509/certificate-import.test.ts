import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createIssuer,
  generateKey,
  type Issuer,
  type KeyKind,
  type KeyWithChain,
  keyKinds,
  keyWithChain,
  pemOf,
  pkcs8Of,
} from '../../../test/support/certificate-files.ts';
import { hasOpenSsl } from '../../../test/support/software-keys.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { systemRandom } from '../random.ts';
import {
  type CertificateImport,
  type ImportedCertificate,
  parseImportedCertificate,
} from './certificate-import.ts';
import { writePfx } from './pkcs12-writing.ts';

const openssl = hasOpenSsl('certificate files of its making are not imported');
const legacy = spawnSync('openssl', ['list', '-providers', '-provider', 'legacy']).status === 0;
if (!legacy) process.stdout.write('skipped: no OpenSSL legacy provider, RC2 files are not imported\n');

let issuer: Issuer;
let folder: string;
const made = new Map<KeyKind, KeyWithChain>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-import-'));
  issuer = await createIssuer();
  for (const kind of keyKinds) made.set(kind, await keyWithChain(issuer, kind));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function material(kind: KeyKind): KeyWithChain {
  const found = made.get(kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

type Options = Partial<Omit<CertificateImport, 'value'>>;

function importText(text: string, options: Options = {}): Promise<ImportedCertificate> {
  const defaults = { password: undefined, contentType: undefined, preserveOrder: false };
  return parseImportedCertificate({ ...defaults, ...options, value: SecretBytes.fromText(text) });
}

async function refusal(text: string, options: Options = {}): Promise<string> {
  const error = await importText(text, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Failure)) throw new Error('not refused with a Failure', { cause: error });
  expect(error.kind).toBe('badParameter');
  return error.message;
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');
const keyPem = (key: KeyObject) => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const base64 = (pfx: SecretBytes) => Buffer.from(pfx.exposeBytes()).toString('base64');

function expectKey(imported: ImportedCertificate, key: KeyObject): void {
  const der = Buffer.from(imported.privateKey.exposeBytes());
  expect(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).equals(key)).toBe(true);
}

async function pfxOf(of: KeyWithChain, password = ''): Promise<string> {
  const privateKey = new SecretBytes(pkcs8Of(of.key));
  return base64(await writePfx({ privateKey, chain: of.chain, password, random: systemRandom }));
}

describe('PEM', () => {
  test.each(keyKinds)('%s, key and certificates in every order', async (kind) => {
    const { key, chain } = material(kind);
    const [leaf = '', intermediate = '', root = ''] = chain.map(pemOf);
    const orders = [
      [keyPem(key), leaf, intermediate, root],
      [root, intermediate, leaf, keyPem(key)],
      [intermediate, keyPem(key), root, leaf],
    ];
    for (const blocks of orders) {
      const imported = await importText(blocks.join(''));
      expectKey(imported, key);
      expect(imported.chain.map(hex)).toEqual(chain.map(hex));
      expect(imported).toMatchObject({ leaf: 0, format: 'application/x-pem-file' });
    }
  });

  test('the order of the text is kept when asked for, and says where the leaf is', async () => {
    const { key, chain } = material('P-256');
    const text = [...chain].reverse().map(pemOf).join('') + keyPem(key);
    const imported = await importText(text, { preserveOrder: true });
    expect(imported.chain.map(hex)).toEqual([...chain].reverse().map(hex));
    expect(imported.leaf).toBe(2);
  });

  test('certificates of others come last, and each comes once', async () => {
    const { key, chain } = material('P-256');
    const other = material('P-384').chain[0] ?? Buffer.alloc(0);
    const text = [other, ...chain, ...chain, other].map(pemOf).join('') + keyPem(key);
    const expected = [...chain, other].map(hex);
    expect((await importText(text)).chain.map(hex)).toEqual(expected);
    const kept = await importText(text, { preserveOrder: true });
    expect(kept.chain.map(hex)).toEqual([other, ...chain].map(hex));
    expect(kept.leaf).toBe(1);
  });

  test.each([
    ['CRLF', (text: string) => text.replaceAll('\n', '\r\n')],
    ['one line a block', (text: string) => text.replace(/(?<=[A-Za-z0-9+/])\n(?=[A-Za-z0-9+/=])/g, '')],
    ['text around the blocks', (text: string) => `Bag Attributes\r\n\tcn = ü\r\n${text}# the end`],
    ['a mark of the byte order', (text: string) => `\ufeff${text}`],
    ['base64 of the text', (text: string) => Buffer.from(text).toString('base64')],
    ['base64 in lines', (text: string) => Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\r\n')],
    ['spaces at the end of lines', (text: string) => text.replaceAll('\n', ' \t\n')],
    ['labels of X.509', (text: string) => text.replaceAll(' CERTIFICATE-', ' X509 CERTIFICATE-')],
  ])('%s', async (_, change) => {
    const { key, chain } = material('RSA-2048');
    const imported = await importText(change(keyPem(key) + chain.map(pemOf).join('')));
    expectKey(imported, key);
    expect(imported.chain.map(hex)).toEqual(chain.map(hex));
    expect(imported.format).toBe('application/x-pem-file');
  });

  test('PKCS#1, and SEC 1 with its curve before it', async () => {
    const rsa = material('RSA-2048');
    const pkcs1 = rsa.key.export({ format: 'pem', type: 'pkcs1' }).toString();
    expectKey(await importText(pkcs1 + rsa.chain.map(pemOf).join('')), rsa.key);
    const ec = material('P-384');
    const parameters = '-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n';
    const sec1 = ec.key.export({ format: 'pem', type: 'sec1' }).toString();
    expectKey(await importText(parameters + sec1 + ec.chain.map(pemOf).join('')), ec.key);
  });

  test.each(['', 'secret', 'pässwörd €𝄞'])('encrypted PKCS#8, password %j', async (password) => {
    const { key, chain } = material('P-521');
    const cipher = { cipher: 'aes-256-cbc', passphrase: password };
    const encrypted = key.export({ format: 'pem', type: 'pkcs8', ...cipher }).toString();
    expect(encrypted).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const text = encrypted + chain.map(pemOf).join('');
    expectKey(await importText(text, { password }), key);
    expect(await refusal(text, { password: `${password}x` })).toContain('the password is wrong or');
    if (password !== '') expect(await refusal(text)).toContain('the password is wrong or');
  });

  test('a password that nothing needs is passed over', async () => {
    const { key, chain } = material('P-256');
    expectKey(await importText(keyPem(key) + chain.map(pemOf).join(''), { password: 'x' }), key);
  });

  test('an encrypted key that asks for too much work', async () => {
    const { key, chain } = material('P-256');
    const parsedValue = pkijs.PrivateKeyInfo.fromBER(Uint8Array.from(pkcs8Of(key)));
    const bag = new pkijs.PKCS8ShroudedKeyBag({ parsedValue });
    await bag.makeInternalValues({
      ...{ password: new ArrayBuffer(), hmacHashAlgorithm: 'SHA-1', iterationCount: 1_000_001 },
      contentEncryptionAlgorithm: { name: 'AES-CBC', length: 256 },
    });
    const body = Buffer.from(bag.toSchema().toBER()).toString('base64');
    const block = `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${body}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
    expect(await refusal(block + chain.map(pemOf).join(''))).toContain('iteration counts are too large');
  });
});

describe('PFX', () => {
  test.each(keyKinds)('%s', async (kind) => {
    const of = material(kind);
    const imported = await importText(await pfxOf(of));
    expectKey(imported, of.key);
    expect(imported.chain.map(hex)).toEqual(of.chain.map(hex));
    expect(imported).toMatchObject({ leaf: 0, format: 'application/x-pkcs12' });
  });

  test.each([
    ['a newline at the end, as az sends it', (text: string) => `${text}\n`],
    ['lines of 76', (text: string) => text.replace(/.{76}/g, '$&\r\n')],
  ])('base64 with %s', async (_, change) => {
    const of = material('P-256');
    expectKey(await importText(change(await pfxOf(of))), of.key);
  });

  test('no password and the empty one are one; a wrong one is refused like damage', async () => {
    const of = material('P-256');
    const [open, closed] = [await pfxOf(of), await pfxOf(of, 'right')];
    expectKey(await importText(open, { password: '' }), of.key);
    expectKey(await importText(open, { password: undefined }), of.key);
    expectKey(await importText(closed, { password: 'right' }), of.key);
    const octets = Buffer.from(closed, 'base64');
    octets[octets.length - 40] = (octets[octets.length - 40] ?? 0) ^ 1;
    const texts = [
      await refusal(open, { password: 'wrong' }),
      await refusal(closed, { password: 'wrong' }),
      await refusal(closed, { password: '' }),
      await refusal(closed),
      await refusal(octets.toString('base64'), { password: 'right' }),
    ];
    expect(new Set(texts)).toEqual(
      new Set(['Pkcs12 value is invalid: the password is wrong or the content was changed.']),
    );
  });

  test('of two certificates of the key, the leaf is the one that the key names', async () => {
    const { privateKey, publicKey } = generateKey('P-256');
    const [older, newer] = [await issuer.issue(publicKey, 'older'), await issuer.issue(publicKey, 'newer')];
    const pfx = await namedPfx(privateKey, { older, newer });
    expect((await importText(pfx)).chain.map(hex)).toEqual([newer, older].map(hex));
    const kept = await importText(pfx, { preserveOrder: true });
    expect(kept.chain.map(hex)).toEqual([older, newer].map(hex));
    expect(kept.leaf).toBe(1);
  });

  /**
   * A file in clear with the older certificate first, in which the key has the name of the newer one. The names look like
   * PEM, and must not make the file one.
   */
  async function namedPfx(key: KeyObject, { older, newer }: { older: Uint8Array; newer: Uint8Array }) {
    const named = (name: number) => [
      new pkijs.Attribute({
        type: '1.2.840.113549.1.9.21',
        values: [new asn1js.OctetString({ valueHex: Uint8Array.from(Buffer.from(`-----BEGIN ${name}`)) })],
      }),
    ];
    const certificate = (der: Uint8Array, name: number) =>
      new pkijs.SafeBag({
        bagId: '1.2.840.113549.1.12.10.1.3',
        bagValue: new pkijs.CertBag({ parsedValue: pkijs.Certificate.fromBER(Uint8Array.from(der)) }),
        bagAttributes: named(name),
      });
    const bagValue = pkijs.PrivateKeyInfo.fromBER(Uint8Array.from(pkcs8Of(key)));
    const bagAttributes = named(2);
    const keyBag = new pkijs.SafeBag({ bagId: '1.2.840.113549.1.12.10.1.1', bagValue, bagAttributes });
    const value = new pkijs.SafeContents({
      safeBags: [certificate(older, 1), certificate(newer, 2), keyBag],
    });
    const authenticatedSafe = new pkijs.AuthenticatedSafe({
      parsedValue: { safeContents: [{ privacyMode: 0, value }] },
    });
    await authenticatedSafe.makeInternalValues({ safeContents: [{}] });
    const pfx = new pkijs.PFX({ parsedValue: { integrityMode: 0, authenticatedSafe } });
    await pfx.makeInternalValues({
      ...{ password: new ArrayBuffer(), iterations: 10, hmacHashAlgorithm: 'SHA-256' },
      pbkdf2HashAlgorithm: { name: 'SHA-256' },
    });
    return Buffer.from(pfx.toSchema().toBER()).toString('base64');
  }
});

describe('what does not fit together', () => {
  const mismatch =
    'The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.';

  test.each(['RSA-2048', 'P-256', 'P-256K'] as const)('a certificate of another key, %s', async (kind) => {
    const { chain } = material(kind);
    const { privateKey } = generateKey(kind);
    expect(await refusal(keyPem(privateKey) + chain.map(pemOf).join(''))).toBe(mismatch);
    expect(await refusal(await pfxOf({ key: privateKey, chain }))).toBe(mismatch);
  });

  test('a key and certificates of another type', async () => {
    const text = keyPem(material('RSA-2048').key) + material('P-256').chain.map(pemOf).join('');
    expect(await refusal(text)).toBe(mismatch);
  });

  test('several keys are refused, one key twice is one', async () => {
    const { key, chain } = material('P-256');
    const pem = keyPem(key) + chain.map(pemOf).join('');
    expect(await refusal(pem + keyPem(material('P-384').key))).toContain('several private keys');
    expectKey(await importText(pem + keyPem(key)), key);
  });

  test('no key, no certificate, neither', async () => {
    const { key, chain } = material('P-256');
    expect(await refusal(chain.map(pemOf).join(''))).toContain('it holds no private key');
    expect(await refusal(keyPem(key))).toContain('it holds no certificate');
    const input = { privateKey: undefined, chain, password: '', random: systemRandom };
    expect(await refusal(base64(await writePfx(input)))).toContain('it holds no private key');
  });

  test.each([
    ['Ed25519', generateKeyPairSync('ed25519')],
    ['a curve of 192 bits', generateKeyPairSync('ec', { namedCurve: 'prime192v1' })],
  ])('a key that is not served: %s', async (_, { privateKey, publicKey }) => {
    const leaf = await issuer.issue(publicKey, 'unserved');
    expect(await refusal(keyPem(privateKey) + pemOf(leaf))).toContain('neither RSA nor EC');
  });

  test('the content type of the other format', async () => {
    const of = material('P-256');
    const pem = keyPem(of.key) + of.chain.map(pemOf).join('');
    const [pkcs12, pemFile] = ['application/x-pkcs12', 'application/x-pem-file'] as const;
    expect(await refusal(pem, { contentType: pkcs12 })).toMatch(
      /^Format of Pkcs12 value is invalid: it is PEM/,
    );
    expect(await refusal(await pfxOf(of), { contentType: pemFile })).toContain('it is not PEM');
    expectKey(await importText(pem, { contentType: pemFile }), of.key);
    expectKey(await importText(await pfxOf(of), { contentType: pkcs12 }), of.key);
  });
});

describe('malformed values', () => {
  const marker = 'TWFya2VyT2ZUaGVDb250ZW50'.repeat(4);
  const block = (label: string, body: string) =>
    `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;

  test.each([
    ['nothing', '', 'it is not base64'],
    ['spaces', ' \r\n\t', 'it is not base64'],
    ['no base64', `${marker}*`, 'it is not base64'],
    ['base64 of the URL alphabet', `${marker}-_==`, 'it is not base64'],
    ['base64 without its padding', `${marker}A`, 'it is not base64'],
    ['base64 of no PFX', marker, 'Format of Pkcs12 value is invalid.'],
    ['a block that does not end', `-----BEGIN PRIVATE KEY-----\n${marker}`, 'a block does not end'],
    ['a label that does not end', `-----BEGIN ${marker}`, 'a block does not end'],
    ['another label at the end', block('CERTIFICATE', marker).replace('END C', 'END X'), 'does not end'],
    ['a block that is not base64', block('CERTIFICATE', `${marker}!`), 'a block is not base64'],
    ['an empty block', block('CERTIFICATE', ''), 'a block is not base64'],
    ['a block in a block', block('CERTIFICATE', block('PRIVATE KEY', marker)), 'a block is not base64'],
    ['a certificate that is none', block('CERTIFICATE', marker), 'a certificate can not be read'],
    ['a key that is none', block('PRIVATE KEY', marker), 'a private key can not be read'],
    ['an RSA key that is none', block('RSA PRIVATE KEY', marker), 'a private key can not be read'],
    ['an EC key that is none', block('EC PRIVATE KEY', marker), 'a private key can not be read'],
    ['an encrypted key that is none', block('ENCRYPTED PRIVATE KEY', marker), 'can not be read'],
    ['a block of another kind', block('PUBLIC KEY', marker), 'neither a certificate nor a private key'],
    ['a block named as an object is', block('constructor', marker), 'neither a certificate nor'],
    ['a key of SSH', block('OPENSSH PRIVATE KEY', marker), 'neither a certificate nor a private key'],
  ])('%s', async (_, text, expected) => {
    const message = await refusal(text);
    expect(message).toContain(expected);
    expect(message).not.toContain(marker.slice(0, 8));
  });

  test('a key that is encrypted in the old way of PEM', async () => {
    const { key, chain } = material('RSA-2048');
    const old = { format: 'pem', type: 'pkcs1', cipher: 'aes-128-cbc', passphrase: 'x' } as const;
    const text = key.export(old).toString() + chain.map(pemOf).join('');
    expect(text).toContain('Proc-Type: 4,ENCRYPTED');
    expect(await refusal(text, { password: 'x' })).toContain('convert it to PKCS#8');
  });

  test('a certificate with an octet after it', async () => {
    const { key, chain } = material('P-256');
    const longer = Buffer.concat([chain[0] ?? Buffer.alloc(0), Buffer.of(0)]).toString('base64');
    expect(await refusal(keyPem(key) + block('CERTIFICATE', longer))).toContain(
      'a certificate can not be read',
    );
  });

  test('PEM inside a block is not read as PEM', async () => {
    const { key, chain } = material('P-256');
    const inside = Buffer.from(chain.map(pemOf).join('')).toString('base64');
    expect(await refusal(keyPem(key) + block('CERTIFICATE', inside))).toContain(
      'a certificate can not be read',
    );
  });

  test('cut short anywhere', async () => {
    const of = material('P-256');
    const pem = keyPem(of.key) + pemOf(of.chain[0] ?? Buffer.alloc(0));
    const pfx = await pfxOf(of);
    for (const text of [pem, pfx]) {
      // The last line end of PEM is not missed.
      for (let length = 0; length < text.length - 1; length += 37)
        expect(await refusal(text.slice(0, length))).toMatch(/invalid|unexpected format/);
    }
  });
});

describe('bounds', () => {
  test('a value above 1 MiB is refused unread', async () => {
    expect(await refusal('A'.repeat(1024 * 1024 + 4))).toContain('longer than 1 MiB');
  });

  test('a hundred blocks are read, one more is refused', async () => {
    const { key, chain } = material('P-256');
    const leaf = pemOf(chain[0] ?? Buffer.alloc(0));
    expectKey(await importText(keyPem(key) + leaf.repeat(99)), key);
    expect(await refusal(keyPem(key) + leaf.repeat(100))).toContain('more than 100 blocks');
  });

  test('a chain of 32 certificates is read, one more is refused', async () => {
    const { privateKey, publicKey } = generateKey('P-256');
    const pems: string[] = [];
    for (let at = 0; at < 33; at += 1) pems.push(pemOf(await issuer.issue(publicKey, `number ${at}`)));
    const text = (count: number) => keyPem(privateKey) + pems.slice(0, count).join('');
    expect((await importText(text(32))).chain).toHaveLength(32);
    expect(await refusal(text(33))).toContain('more than 32 certificates');
  });

  test.each([
    ['beginnings', '-----BEGIN CERTIFICATE-----\n'],
    ['beginnings without a label', '-----BEGIN '],
    ['ends', '-----END CERTIFICATE-----\n'],
    ['dashes', '-----'],
  ])('a million octets of %s', async (_, part) => {
    const text = part.repeat(Math.floor(1_000_000 / part.length));
    expect(await refusal(text)).toMatch(/invalid|unexpected format/);
  });
});

describe.skipIf(!openssl)('files of OpenSSL', () => {
  async function exported(flags: readonly string[]): Promise<{ of: KeyWithChain; out: string }> {
    const of = material('RSA-2048');
    const directory = await mkdtemp(join(folder, 'openssl-'));
    const path = (name: string) => join(directory, name);
    await writeFile(path('key'), keyPem(of.key));
    await writeFile(path('certificates'), of.chain.map(pemOf).join(''));
    const places = { KEY: path('key'), CERTIFICATES: path('certificates'), OUT: path('out') };
    const resolved = flags.map((flag) => places[flag as keyof typeof places] ?? flag);
    execFileSync('openssl', resolved, { stdio: 'ignore' });
    return { of, out: path('out') };
  }

  const forms: [string, string[]][] = [
    ['as of today', []],
    ['3DES, as of Windows', ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
  ];
  const rc2Forms: [string, string[]][] = [
    ['RC2 of 40 bits and 3DES, as of Windows before', ['-legacy']],
    ['RC2 of 128 bits', ['-legacy', '-certpbe', 'PBE-SHA1-RC2-128', '-keypbe', 'PBE-SHA1-RC2-128']],
  ];

  test.each([...forms, ...(legacy ? rc2Forms : [])])('PFX %s', async (_, flags) => {
    for (const password of ['', 'secret']) {
      const { of, out } = await exported([
        ...['pkcs12', '-export', '-inkey', 'KEY', '-in', 'CERTIFICATES', '-out', 'OUT'],
        ...['-passout', `pass:${password}`, ...flags],
      ]);
      const imported = await importText((await readFile(out)).toString('base64'), { password });
      expectKey(imported, of.key);
      expect(imported.chain.map(hex)).toEqual(of.chain.map(hex));
    }
  });

  test.each([
    ['PBES2', ['-v2', 'aes-256-cbc']],
    ['PBES2 over SHA-1', ['-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA1']],
    ['PBES2 over SHA-512', ['-v2', 'aes-192-cbc', '-v2prf', 'hmacWithSHA512']],
    ['3DES of PKCS#12, as Azure was seen to take it', ['-v1', 'PBE-SHA1-3DES']],
  ])('PEM with a key encrypted in %s', async (_, flags) => {
    const { of, out } = await exported([
      ...['pkcs8', '-topk8', '-in', 'KEY', '-out', 'OUT', '-passout', 'pass:1234', ...flags],
    ]);
    const text = (await readFile(out, 'utf8')) + of.chain.map(pemOf).join('');
    expectKey(await importText(text, { password: '1234' }), of.key);
    expect(await refusal(text, { password: '1235' })).toContain('the password is wrong or');
  });
});
