import { execFile, spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as asn1js from 'asn1js';
import fc from 'fast-check';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createIssuer,
  type KeyKind,
  type KeyWithChain,
  keyKinds,
  keyWithChain,
  pemOf,
  pkcs8Of,
} from '../../../test/support/certificate-files.ts';
import { whereFound } from '../../../test/support/optional.ts';
import { hasOpenSsl } from '../../../test/support/software-keys.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { systemRandom } from '../random.ts';
import { parseImportedCertificate } from './certificate-import.ts';
import { pfxToPem, readPfx } from './pkcs12.ts';
import { writePem, writePfx } from './pkcs12-writing.ts';

const run = promisify(execFile);
const openssl = hasOpenSsl('the PKCS#12 files written here are not read by it');
const keytool = whereFound('PKCS#12 files read by Java', spawnSync('keytool', ['-help']).status === 0);
const passwords = ['', 'secret', 'pässwörd €𝄞'];
const made = new Map<KeyKind, KeyWithChain>();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-pfx-written-'));
  const issuer = await createIssuer();
  for (const kind of keyKinds) made.set(kind, await keyWithChain(issuer, kind));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function material(kind: KeyKind): KeyWithChain {
  const found = made.get(kind);
  if (found === undefined) throw new Error(`no ${kind}`);
  return found;
}

const secretOf = ({ key }: KeyWithChain) => new SecretBytes(pkcs8Of(key));
const keyPem = ({ key }: KeyWithChain) => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const chainPem = ({ chain }: KeyWithChain) => chain.map(pemOf).join('');

function write(of: KeyWithChain, password: string): Promise<SecretBytes> {
  return writePfx({ privateKey: secretOf(of), chain: of.chain, password, random: systemRandom });
}

async function save(pfx: SecretBytes): Promise<string> {
  const path = join(await mkdtemp(join(folder, 'file-')), 'written.pfx');
  await writeFile(path, pfx.exposeBytes());
  return path;
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');

describe('writePfx, read by our own reader', () => {
  test.each(keyKinds)('%s', async (kind) => {
    const of = material(kind);
    const { keys, certificates } = await readPfx(await write(of, ''), '');
    expect(keys.map(({ value }) => value.equals(of.key))).toEqual([true]);
    expect(certificates.map(({ value }) => hex(value.raw))).toEqual(of.chain.map(hex));
  });

  test('the key and its certificate name each other, the others do not', async () => {
    const { keys, certificates } = await readPfx(await write(material('P-256'), ''), '');
    const [name] = keys.map(({ localKeyId }) => localKeyId);
    expect(name).toMatch(/^[0-9a-f]{40}$/);
    expect(certificates.map(({ localKeyId }) => localKeyId)).toEqual([name, undefined, undefined]);
  });

  test('an order that is to be kept is kept, and the key still names its certificate', async () => {
    const of = material('P-256');
    const chain = of.chain.toReversed();
    const leaf = chain.length - 1;
    const input = { privateKey: secretOf(of), chain, leaf, password: '', random: systemRandom };
    const { keys, certificates } = await readPfx(await writePfx(input), '');
    expect(certificates.map(({ value }) => hex(value.raw))).toEqual(chain.map(hex));
    const [name] = keys.map(({ localKeyId }) => localKeyId);
    expect(certificates.map(({ localKeyId }) => localKeyId)).toEqual([undefined, undefined, name]);
    for (const place of [-1, chain.length])
      await expect(writePfx({ ...input, leaf: place })).rejects.toThrow(RangeError);
  });

  test('without a key: the certificates, in their order', async () => {
    const { chain } = material('RSA-2048');
    const pfx = await writePfx({ privateKey: undefined, chain, password: '', random: systemRandom });
    const { keys, certificates } = await readPfx(pfx, '');
    expect(keys).toEqual([]);
    expect(certificates.map(({ value }) => hex(value.raw))).toEqual(chain.map(hex));
  });

  test.each(passwords)('password %j, and no other', async (password) => {
    const of = material('P-256');
    const pfx = await write(of, password);
    expect((await pfxToPem(pfx, password)).exposeText()).toBe(keyPem(of) + chainPem(of));
    for (const other of [`${password}x`, password === '' ? ' ' : ''])
      await expect(readPfx(pfx, other)).rejects.toMatchObject({ kind: 'badParameter' });
  });

  test('a chain of no certificate is a mistake of the caller', async () => {
    const input = { privateKey: secretOf(material('P-256')), chain: [], password: '', random: systemRandom };
    await expect(writePfx(input)).rejects.toThrow(RangeError);
  });

  test("the key stays its owner's, and is nowhere in the file in clear", async () => {
    const of = material('P-384');
    const privateKey = secretOf(of);
    const before = Buffer.from(privateKey.exposeBytes());
    const pfx = await writePfx({ privateKey, chain: of.chain, password: '', random: systemRandom });
    expect(Buffer.from(privateKey.exposeBytes())).toEqual(before);
    const d = Buffer.from(String(of.key.export({ format: 'jwk' }).d), 'base64url');
    expect(before.includes(d)).toBe(true);
    expect(Buffer.from(pfx.exposeBytes()).includes(d)).toBe(false);
  });

  test('all that is random comes from the generator that was given', async () => {
    const of = material('P-256');
    let calls = 0;
    const bytes = (length: number) => {
      calls += 1;
      return Buffer.alloc(length, calls);
    };
    const random = { ...systemRandom, bytes };
    const input = { privateKey: secretOf(of), chain: of.chain, password: '', random };
    const first = hex((await writePfx(input)).exposeBytes());
    calls = 0;
    expect(hex((await writePfx(input)).exposeBytes())).toBe(first);
    expect(hex((await writePfx(input)).exposeBytes())).not.toBe(first);
  });
});

describe('writePfx, read by the PKCS#12 library', () => {
  test.each(passwords)('the MAC, password %j in UTF-16 with its closing zero', async (password) => {
    const pfx = pkijs.PFX.fromBER(Uint8Array.from((await write(material('P-256'), password)).exposeBytes()));
    const secret = new Uint8Array(Buffer.from(password)).buffer;
    await pfx.parseInternalValues({ password: secret, checkIntegrity: true });
    const wrong = new Uint8Array(Buffer.from(`${password}x`)).buffer;
    await expect(pfx.parseInternalValues({ password: wrong, checkIntegrity: true })).rejects.toThrow(
      'Integrity',
    );
  });

  test('a password that people know costs a guess more than the empty one', async () => {
    const iterations = async (password: string) => {
      const pfx = await write(material('P-256'), password);
      return pkijs.PFX.fromBER(Uint8Array.from(pfx.exposeBytes())).macData?.iterations;
    };
    // The default, one, which DER leaves out: Python's library warns of one that is written.
    expect(await iterations('')).toBeUndefined();
    expect(await iterations('secret')).toBe(100_000);
  });

  test('without a password it is in the form that every reader knows, with one in AES', async () => {
    const { PFX, AuthenticatedSafe, EncryptedData, SafeContents, PKCS8ShroudedKeyBag } = pkijs;
    const forms = async (password: string) => {
      const octets = Uint8Array.from((await write(material('P-256'), password)).exposeBytes());
      const pfx = PFX.fromBER(octets);
      const { safeContents } = AuthenticatedSafe.fromBER(pfx.authSafe.content.getValue());
      const [certificates, clear] = safeContents;
      const { encryptedContentInfo } = new EncryptedData({ schema: certificates?.content });
      const [bag] = SafeContents.fromBER(clear?.content.getValue()).safeBags;
      const key = new PKCS8ShroudedKeyBag({ schema: bag?.bagValue.toSchema() });
      return {
        // Go's reader takes no other number.
        parts: safeContents.length,
        mac: pfx.macData?.mac.digestAlgorithm.algorithmId,
        certificates: encryptedContentInfo.contentEncryptionAlgorithm.algorithmId,
        key: key.encryptionAlgorithm.algorithmId,
      };
    };
    const tripleDes = '1.2.840.113549.1.12.1.3';
    const everybodys = { parts: 2, mac: '1.3.14.3.2.26', certificates: tripleDes, key: tripleDes };
    expect(await forms('')).toEqual(everybodys);
    const pbes2 = '1.2.840.113549.1.5.13';
    const strong = { parts: 2, mac: '2.16.840.1.101.3.4.2.1', certificates: pbes2, key: pbes2 };
    expect(await forms('secret')).toEqual(strong);
  });

  test('it is DER: no part of indefinite length, no string in pieces', async () => {
    const { PFX } = pkijs;
    const octets = Uint8Array.from((await write(material('RSA-3072'), '')).exposeBytes());
    const inner = new Uint8Array(PFX.fromBER(octets).authSafe.content.getValue());
    for (const part of [octets, inner]) {
      const blocks = everyBlock(asn1js.fromBER(part).result);
      expect(blocks.length).toBeGreaterThan(10);
      expect(blocks.filter(({ lenBlock }) => lenBlock.isIndefiniteForm)).toEqual([]);
      const strings = blocks.filter((block) => block instanceof asn1js.OctetString);
      expect(strings.filter(({ idBlock }) => idBlock.isConstructed)).toEqual([]);
    }
  });
});

function everyBlock(block: asn1js.BaseBlock): asn1js.BaseBlock[] {
  const inside = block instanceof asn1js.Constructed ? block.valueBlock.value : [];
  return [block, ...inside.flatMap(everyBlock)];
}

describe('writePem', () => {
  test.each(keyKinds)('%s: the key, its certificate, the issuers', (kind) => {
    const of = material(kind);
    const pem = writePem({ privateKey: secretOf(of), chain: of.chain });
    expect(pem.exposeText()).toBe(keyPem(of) + chainPem(of));
    expect(String(pem)).toBe('[secret]');
  });

  test('without a key', () => {
    const of = material('P-256');
    expect(writePem({ privateKey: undefined, chain: of.chain }).exposeText()).toBe(chainPem(of));
  });

  test('octets that are no key, or no certificate, are refused', () => {
    const of = material('P-256');
    expect(() => writePem({ privateKey: new SecretBytes(Buffer.from('key')), chain: of.chain })).toThrow();
    expect(() => writePem({ privateKey: secretOf(of), chain: [Buffer.from('certificate')] })).toThrow();
  });
});

describe('out and in again', () => {
  const anyFile = fc.record({
    kind: fc.constantFrom(...keyKinds),
    length: fc.integer({ min: 1, max: 3 }),
    preserveOrder: fc.boolean(),
    newline: fc.constantFrom('', '\n', '\r\n'),
  });

  async function comesBack(
    { kind, length, preserveOrder, newline }: typeof anyFile extends fc.Arbitrary<infer T> ? T : never,
    password: string | undefined,
  ): Promise<void> {
    const { key, chain } = material(kind);
    const privateKey = new SecretBytes(pkcs8Of(key));
    const file = { privateKey, chain: chain.slice(0, length) };
    const pfx = await writePfx({ ...file, password: password ?? '', random: systemRandom });
    const values = [
      Buffer.from(pfx.exposeBytes()).toString('base64'),
      writePem(file).exposeText(),
      Buffer.from(writePem(file).exposeBytes()).toString('base64'),
    ];
    for (const value of values) {
      const back = await parseImportedCertificate({
        ...{ value: SecretBytes.fromText(value + newline), password, preserveOrder, contentType: undefined },
      });
      expect(back.privateKey.equals(privateKey)).toBe(true);
      expect(back.chain.map(hex)).toEqual(file.chain.map(hex));
      expect(back.leaf).toBe(0);
    }
    expect((await pfxToPem(pfx, password ?? '')).equals(writePem(file))).toBe(true);
  }

  test('with no password', { timeout: 60_000 }, async () => {
    await fc.assert(fc.asyncProperty(anyFile, fc.constantFrom('', undefined), comesBack), { numRuns: 40 });
  });

  test('with any password', async () => {
    const password = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
    await fc.assert(fc.asyncProperty(anyFile, password, comesBack), { numRuns: 4 });
  });
});

describe.skipIf(!openssl)('read by OpenSSL', () => {
  const cases = keyKinds.map((kind) => ({ kind, password: '' }));

  test.each([...cases, { kind: 'P-256', password: 'secret' } as const])(
    '$kind, password "$password"',
    async ({ kind, password }) => {
      const of = material(kind);
      const path = await save(await write(of, password));
      const { stdout } = await run('openssl', [
        'pkcs12',
        '-in',
        path,
        '-passin',
        `pass:${password}`,
        '-nodes',
      ]);
      expect(createPrivateKey(stdout).equals(of.key)).toBe(true);
      const blocks = stdout.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
      expect(blocks.join('')).toBe(chainPem(of));
    },
  );

  test('it finds the certificate of the key', async () => {
    const of = material('P-256');
    const path = await save(await write(of, ''));
    const { stdout } = await run('openssl', [
      ...['pkcs12', '-in', path, '-passin', 'pass:', '-nokeys', '-clcerts'],
    ]);
    const blocks = stdout.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
    expect(blocks).toEqual([pemOf(of.chain[0] ?? Buffer.alloc(0))]);
  });

  test('the name that was given is shown', async () => {
    const { key, chain } = material('P-256');
    const privateKey = new SecretBytes(pkcs8Of(key));
    const named = { privateKey, chain, password: '', friendlyName: 'web-server', random: systemRandom };
    const path = await save(await writePfx(named));
    const { stdout } = await run('openssl', ['pkcs12', '-in', path, '-passin', 'pass:', '-nokeys']);
    expect(stdout).toMatch(/friendlyName: web-server\n/);
  });

  test('another password is refused', async () => {
    const path = await save(await write(material('P-256'), ''));
    const reading = run('openssl', ['pkcs12', '-in', path, '-passin', 'pass:x', '-nodes']);
    await expect(reading).rejects.toMatchObject({ stderr: expect.stringContaining('Mac verify error') });
  });
});

describe.skipIf(!keytool)('read by Java', () => {
  // The language of the answer follows the machine otherwise.
  const english = ['-J-Duser.language=en', '-J-Duser.country=US'];
  const cases = [
    { kind: 'RSA-2048', password: '' },
    { kind: 'P-256', password: '' },
    { kind: 'P-256', password: 'secret' },
  ] as const;

  test.each(cases)(
    'key and chain of $kind come out of its own store, password "$password"',
    { timeout: 60_000 },
    async ({ kind, password }) => {
      const of = material(kind);
      const path = await save(await write(of, password));
      const own = `${path}.java`;
      await run('keytool', [
        ...[...english, '-importkeystore', '-noprompt'],
        ...['-srckeystore', path, '-srcstoretype', 'PKCS12', '-srcstorepass', password],
        ...['-destkeystore', own, '-deststoretype', 'PKCS12', '-deststorepass', 'changeit'],
      ]);
      const pem = await pfxToPem(new SecretBytes(await readFile(own)), 'changeit');
      const [leaf, intermediate, root] = of.chain.map(pemOf);
      expect(pem.exposeText()).toBe(keyPem(of) + leaf + intermediate + root);
    },
  );

  test('another password is refused', { timeout: 60_000 }, async () => {
    const path = await save(await write(material('P-256'), 'secret'));
    const listing = run('keytool', [...english, '-list', '-keystore', path, '-storepass', 'another']);
    await expect(listing).rejects.toMatchObject({
      stdout: expect.stringContaining('password was incorrect'),
    });
  });
});
