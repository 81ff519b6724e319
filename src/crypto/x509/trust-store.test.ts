import { execFile, spawnSync } from 'node:child_process';
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import { fromBER } from 'asn1js';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { createAuthority, issueLeaf } from './authority.ts';
import { pfxToPem } from './pkcs12.ts';
import { createTrustStore } from './trust-store.ts';

const run = promisify(execFile);
const now = 1_800_000_000_000;
const password = 'changeit';
const keytool = spawnSync('keytool', ['-help']).status === 0;
if (!keytool) process.stdout.write('skipped: no keytool command, trust stores are not read by Java\n');

let folder: string;
let authorityPem: string;
let leafKeyPem: string;
let everyRoot: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-trust-'));
  const authority = await createAuthority({
    commonName: 'Trésor 𝄞 authority',
    permittedDnsNames: ['example.com'],
    permittedIpRanges: [],
    now,
    validityDays: 30,
  });
  const leaf = await issueLeaf(authority, {
    dnsNames: ['example.com'],
    ipAddresses: [],
    now,
    validityDays: 5,
  });
  authorityPem = authority.certificatePem;
  leafKeyPem = leaf.privateKeyPem.exposeText();
  everyRoot = [...rootCertificates, authorityPem];
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Entry {
  readonly certificate: Buffer;
  readonly attributes: Readonly<Record<string, string[]>>;
}

/** Without a look into octet strings: that of all roots at once exceeds the ASN.1 library's limit of nodes. */
const parse = (der: Uint8Array) => fromBER(der, { parseEmbedded: false }).result;

/** Reads a store with the PKCS#12 library; throws when the MAC does not verify with the password. */
async function readStore(store: Uint8Array, withPassword = password): Promise<Entry[]> {
  const pfx = new pkijs.PFX({ schema: parse(store) });
  const authenticated = new Uint8Array(pfx.authSafe.content.getValue());
  const { macData } = pfx;
  if (macData?.iterations === undefined) throw new Error('no MAC');
  expect(macData.mac.digestAlgorithm.algorithmId).toBe('2.16.840.1.101.3.4.2.1');
  const intact = await pkijs.getCrypto(true).verifyDataStampedWithPassword({
    password: new Uint8Array(Buffer.from(withPassword)).buffer,
    hashAlgorithm: 'SHA-256',
    salt: macData.macSalt.getValue(),
    iterationCount: macData.iterations,
    contentToVerify: authenticated.buffer,
    signatureToVerify: macData.mac.digest.getValue(),
  });
  if (!intact) throw new Error('the MAC does not verify');
  const { safeContents } = new pkijs.AuthenticatedSafe({ schema: parse(authenticated) });
  return safeContents.flatMap(({ contentType, content }) => {
    expect(contentType).toBe(pkijs.ContentInfo.DATA);
    const schema = parse(new Uint8Array(content.getValue()));
    return new pkijs.SafeContents({ schema }).safeBags.map(readBag);
  });
}

function readBag(bag: pkijs.SafeBag): Entry {
  if (!(bag.bagValue instanceof pkijs.CertBag) || !('getValue' in bag.bagValue.certValue)) {
    throw new Error(`not a certificate: ${bag.bagId}`);
  }
  const attributes = (bag.bagAttributes ?? []).map(({ type, values }) => [
    type,
    values.map((value) => value.getValue()),
  ]);
  return {
    certificate: Buffer.from(bag.bagValue.certValue.getValue()),
    attributes: Object.fromEntries(attributes),
  };
}

const readAlias = (entry: Entry): string => entry.attributes['1.2.840.113549.1.9.20']?.[0] ?? '';

async function selfSigned(commonNames: string[]): Promise<string> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: new x509.Name(commonNames.map((utf8String) => ({ CN: [{ utf8String }] }))),
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(now),
      notAfter: new Date(now + 1000),
    },
    webcrypto,
  );
  return new X509Certificate(Buffer.from(certificate.rawData)).toString();
}

describe('read back by the PKCS#12 library', () => {
  test('every certificate, octet by octet and in order', async () => {
    const entries = await readStore(await createTrustStore(everyRoot, password));
    const expected = everyRoot.map((pem) => new X509Certificate(pem).raw.toString('hex'));
    expect(entries.map(({ certificate }) => certificate.toString('hex'))).toEqual(expected);
  });

  test('each is trusted for any usage and has a name of its own', async () => {
    const entries = await readStore(await createTrustStore(everyRoot, password));
    for (const entry of entries) {
      expect(entry.attributes).toEqual({
        '1.2.840.113549.1.9.20': [readAlias(entry)],
        '2.16.840.1.113894.746875.1.1': ['2.5.29.37.0'],
      });
    }
    expect(new Set(entries.map((entry) => readAlias(entry).toLowerCase())).size).toBe(everyRoot.length);
  });

  test('a name is the common name and the fingerprint, whatever its characters', async () => {
    const entries = await readStore(await createTrustStore([authorityPem], password));
    const fingerprint = new X509Certificate(authorityPem).fingerprint256.replaceAll(':', '').toLowerCase();
    expect(entries.map(readAlias)).toEqual([`trésor 𝄞 authority ${fingerprint}`]);
  });

  test('two authorities of one subject are two entries, one given twice is one', async () => {
    const twins = [await selfSigned(['Twin']), await selfSigned(['TWIN'])];
    const entries = await readStore(await createTrustStore([...twins, ...twins], password));
    expect(entries).toHaveLength(2);
    expect(new Set(entries.map(readAlias)).size).toBe(2);
  });

  test('an empty subject and a very long one', async () => {
    const pems = [await selfSigned([]), await selfSigned(['x'.repeat(40_000)])];
    const aliases = (await readStore(await createTrustStore(pems, password))).map(readAlias);
    expect(aliases[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(aliases[1]).toMatch(/^x{40000} [0-9a-f]{64}$/);
  });

  test('text around the certificate does not reach the file', async () => {
    const store = await createTrustStore([`# remark\n${authorityPem}remark\n`], password);
    expect(Buffer.from(store).includes('remark')).toBe(false);
    expect(await readStore(store)).toHaveLength(1);
  });

  test('the MAC fails for another password', async () => {
    const store = await createTrustStore([authorityPem], password);
    await expect(readStore(store, 'changed')).rejects.toThrow('the MAC does not verify');
  });

  test('the MAC fails for a changed certificate', async () => {
    const store = Buffer.from(await createTrustStore([authorityPem], password));
    const inside = store.indexOf(new X509Certificate(authorityPem).raw) + 20;
    store.writeUInt8(store.readUInt8(inside) ^ 1, inside);
    await expect(readStore(store)).rejects.toThrow('the MAC does not verify');
  });

  test('no two files share a salt', async () => {
    const salts = [1, 2].map(async () => {
      const { macData } = pkijs.PFX.fromBER(await createTrustStore([authorityPem], password));
      return Buffer.from(macData?.macSalt.getValue() ?? new ArrayBuffer()).toString('hex');
    });
    const [first, second] = await Promise.all(salts);
    expect(first).toMatch(/^([0-9a-f]{2}){8,}$/);
    expect(first).not.toBe(second);
  });

  test.each(['', password, 'pässwörd €𝄞'])('read by our own importer, password %j', async (own) => {
    const store = await createTrustStore([authorityPem], own);
    expect((await pfxToPem(new SecretBytes(store), own)).exposeText()).toBe(authorityPem);
  });
});

describe('refused texts', () => {
  async function refusal(pem: string): Promise<unknown> {
    return createTrustStore([authorityPem, pem], password).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  test.each([
    ['empty', () => ''],
    ['no PEM', () => 'certificate'],
    ['a private key', () => leafKeyPem],
    ['a certificate with its private key', () => authorityPem + leafKeyPem],
    ['two certificates', () => authorityPem + authorityPem],
    ['a certificate cut short', () => authorityPem.slice(0, 200)],
    ['no certificate inside', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('%s', async (_name, makePem) => {
    const error = await refusal(makePem());
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toMatch(/certificate 2 of 2 is not (exactly one|a) certificate in PEM$/);
  });

  test('no certificates at all', async () => {
    await expect(createTrustStore([], password)).rejects.toThrow(RangeError);
  });
});

describe.skipIf(!keytool)('read by Java', () => {
  const list = async (name: string, store: Uint8Array, more: string[]) => {
    const path = join(folder, name);
    await writeFile(path, store);
    // The language of the answer follows the machine otherwise.
    const locale = ['-J-Duser.language=en', '-J-Duser.country=US', '-J-Dfile.encoding=UTF-8'];
    return run('keytool', [...locale, '-list', '-storetype', 'PKCS12', '-keystore', path, ...more]);
  };

  test('every certificate is a trusted one', { timeout: 60_000 }, async () => {
    const store = await createTrustStore(everyRoot, password);
    const { stdout } = await list('all.p12', store, ['-storepass', password]);
    expect(stdout.match(/, trustedCertEntry,/g)).toHaveLength(everyRoot.length);
    const fingerprints = everyRoot.map((pem) => new X509Certificate(pem).fingerprint256);
    expect(stdout.match(/([0-9A-F]{2}:){31}[0-9A-F]{2}/g)?.toSorted()).toEqual(fingerprints.toSorted());
  });

  test('another password is refused', { timeout: 60_000 }, async () => {
    const store = await createTrustStore([authorityPem], password);
    await expect(list('one.p12', store, ['-storepass', 'changed'])).rejects.toMatchObject({
      stdout: expect.stringContaining('integrity'),
    });
  });
});
