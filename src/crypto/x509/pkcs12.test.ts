import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHmac, createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as pkijs from 'pkijs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { createAuthority, issueLeaf } from './authority.ts';
import { pfxToPem } from './pkcs12.ts';
import { derivePkcs12, newWorkBudget, pkcs12Purpose } from './pkcs12-kdf.ts';

const run = promisify(execFile);
const now = 1_800_000_000_000;
const openssl = spawnSync('openssl', ['version']).stdout?.toString().startsWith('OpenSSL 3') ?? false;
if (!openssl) process.stdout.write('skipped: no OpenSSL 3 command, its PKCS#12 files are not read\n');
const legacy = openssl && spawnSync('openssl', ['list', '-providers', '-provider', 'legacy']).status === 0;
if (!legacy) process.stdout.write('skipped: no OpenSSL legacy provider, RC2 files are not read\n');

interface Material {
  readonly keyPem: string;
  readonly leafPem: string;
  readonly chainPem: string;
}

let folder: string;
let ec: Material;
let rsa: Material;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-pfx-'));
  const authority = await createAuthority({
    commonName: 'PFX authority',
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
  const chainPem = authority.certificatePem;
  ec = {
    keyPem: leaf.privateKeyPem.exposeText(),
    leafPem: leaf.chainPem.slice(0, leaf.chainPem.length - chainPem.length),
    chainPem,
  };
  rsa = await selfSignedRsa();
  for (const [name, material] of Object.entries({ ec, rsa })) {
    await writeFile(join(folder, `${name}.key`), material.keyPem);
    await writeFile(join(folder, `${name}.pem`), material.leafPem);
  }
  await writeFile(join(folder, 'chain.pem'), ec.chainPem);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function selfSignedRsa(): Promise<Material> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-256',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
    },
    true,
    ['sign', 'verify'],
  );
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    { name: 'CN=rsa', keys, notBefore: new Date(now), notAfter: new Date(now + 1000) },
    webcrypto,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({
    format: 'pem',
    type: 'pkcs8',
  });
  return { keyPem, leafPem: new X509Certificate(Buffer.from(certificate.rawData)).toString(), chainPem: '' };
}

const expectedPem = (material: Material) => material.keyPem + material.leafPem + material.chainPem;

const toBuffer = (text: string): ArrayBuffer => new Uint8Array(Buffer.from(text)).buffer;

function certBag(pem: string): pkijs.SafeBag {
  const parsedValue = pkijs.Certificate.fromBER(new X509Certificate(pem).raw);
  return new pkijs.SafeBag({
    bagId: '1.2.840.113549.1.12.10.1.3',
    bagValue: new pkijs.CertBag({ parsedValue }),
  });
}

const pbes2 = (password: string, iterationCount = 10) => ({
  password: toBuffer(password),
  contentEncryptionAlgorithm: { name: 'AES-CBC', length: 256 },
  hmacHashAlgorithm: 'SHA-256',
  iterationCount,
});

function parseKey(pem: string): pkijs.PrivateKeyInfo {
  return pkijs.PrivateKeyInfo.fromBER(createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' }));
}

async function shroudedKeyBag(pem: string, password: string, iterations?: number): Promise<pkijs.SafeBag> {
  const bagValue = new pkijs.PKCS8ShroudedKeyBag({ parsedValue: parseKey(pem) });
  await bagValue.makeInternalValues(pbes2(password, iterations));
  return new pkijs.SafeBag({ bagId: '1.2.840.113549.1.12.10.1.2', bagValue });
}

interface Made {
  readonly keyBags: pkijs.SafeBag[];
  readonly certificates: string[];
  readonly password: string;
}

/** A file made without OpenSSL: keys in a clear safe (their bags may be encrypted), certificates in an encrypted one. */
async function makePfx({ keyBags, certificates, password }: Made): Promise<pkijs.PFX> {
  const safes = [
    { privacyMode: 1, safeBags: certificates.map(certBag), parameters: pbes2(password) },
    { privacyMode: 0, safeBags: keyBags, parameters: {} },
  ].filter((safe) => safe.safeBags.length > 0);
  const safeContents = safes.map(({ privacyMode, safeBags }) => ({
    privacyMode,
    value: new pkijs.SafeContents({ safeBags }),
  }));
  const authenticatedSafe = new pkijs.AuthenticatedSafe({ parsedValue: { safeContents } });
  await authenticatedSafe.makeInternalValues({ safeContents: safes.map((safe) => safe.parameters) });
  const pfx = new pkijs.PFX({ parsedValue: { integrityMode: 0, authenticatedSafe } });
  await pfx.makeInternalValues({
    password: toBuffer(password),
    iterations: 10,
    pbkdf2HashAlgorithm: { name: 'SHA-256' },
    hmacHashAlgorithm: 'SHA-256',
  });
  return pfx;
}

async function makeEcPfx(password: string, certificates = [ec.leafPem, ec.chainPem]): Promise<pkijs.PFX> {
  return makePfx({ keyBags: [await shroudedKeyBag(ec.keyPem, password)], certificates, password });
}

const encode = (pfx: pkijs.PFX) => new SecretBytes(new Uint8Array(pfx.toSchema().toBER()));

async function read(pfx: SecretBytes, password: string): Promise<string> {
  return (await pfxToPem(pfx, password)).exposeText();
}

/** Expects the one kind of refusal, with a text that holds nothing of the file. */
async function refusal(pfx: SecretBytes, password: string): Promise<string> {
  const error = await pfxToPem(pfx, password).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Failure)) throw new Error('not refused with a Failure', { cause: error });
  expect(error.kind).toBe('badParameter');
  return error.message;
}

describe('files of the PKCS#12 library', () => {
  test.each(['', 'secret', 'pässwörd €𝄞'])('PBES2 with AES-256, password %j', async (password) => {
    expect(await read(encode(await makeEcPfx(password)), password)).toBe(expectedPem(ec));
  });

  test('a key that is not encrypted on its own, RSA', async () => {
    const keyBag = new pkijs.SafeBag({ bagId: '1.2.840.113549.1.12.10.1.1', bagValue: parseKey(rsa.keyPem) });
    const pfx = await makePfx({ keyBags: [keyBag], certificates: [rsa.leafPem], password: 'x' });
    expect(await read(encode(pfx), 'x')).toBe(expectedPem(rsa));
  });

  test('the leaf comes first, its issuers next and strangers last, whatever the order of the file', async () => {
    const pfx = await makeEcPfx('', [ec.chainPem, rsa.leafPem, ec.leafPem, ec.chainPem]);
    expect(await read(encode(pfx), '')).toBe(ec.keyPem + ec.leafPem + ec.chainPem + rsa.leafPem);
  });

  test('two keys come before all certificates', async () => {
    const keyBags = [await shroudedKeyBag(ec.keyPem, 'x'), await shroudedKeyBag(rsa.keyPem, 'x')];
    const pfx = await makePfx({
      keyBags,
      certificates: [ec.chainPem, ec.leafPem, rsa.leafPem],
      password: 'x',
    });
    const certificates = ec.leafPem + rsa.leafPem + ec.chainPem;
    expect(await read(encode(pfx), 'x')).toBe(ec.keyPem + rsa.keyPem + certificates);
  });

  test('without a key, as for a certificate whose key does not leave the vault', async () => {
    const pfx = await makePfx({ keyBags: [], certificates: [ec.chainPem, ec.leafPem], password: '' });
    expect(await read(encode(pfx), '')).toBe(ec.leafPem + ec.chainPem);
  });

  test('holding neither keys nor certificates is refused', async () => {
    const secretValue = new pkijs.AlgorithmIdentifier({ algorithmId: '1.2.3' });
    const bagValue = new pkijs.SecretBag({ secretTypeId: '1.2.3', secretValue });
    const other = new pkijs.SafeBag({ bagId: '1.2.840.113549.1.12.10.1.5', bagValue });
    const pfx = await makePfx({ keyBags: [other], certificates: [], password: '' });
    expect(await refusal(encode(pfx), '')).toContain('neither a key nor a certificate');
  });

  test('the result is secret and has LF line ends', async () => {
    const pem = await pfxToPem(encode(await makeEcPfx('')), '');
    expect(String(pem)).toBe('[secret]');
    expect(pem.exposeText()).not.toContain('\r');
    expect(pem.exposeText().endsWith('-----END CERTIFICATE-----\n')).toBe(true);
  });
});

describe('an empty password written as no octets', () => {
  /** Stamps the file anew, with the derivation that `pkcs12-kdf.test.ts` proves with OpenSSL's results. */
  async function stampWithoutOctets(pfx: pkijs.PFX): Promise<void> {
    const macData = pfx.macData;
    if (macData === undefined) throw new Error('the file has no MAC');
    const key = await derivePkcs12(newWorkBudget(), {
      digest: { name: 'sha256', block: 64, output: 32 },
      purpose: pkcs12Purpose.mac,
      password: new Uint8Array(),
      salt: new Uint8Array(macData.macSalt.getValue()),
      iterations: macData.iterations ?? 1,
      length: 32,
    });
    const covered = new Uint8Array(pfx.authSafe.content.getValue());
    const mac = createHmac('sha256', key).update(covered).digest();
    macData.mac.digest.valueBlock.valueHexView = new Uint8Array(mac);
  }

  test('is read', async () => {
    const pfx = await makeEcPfx('');
    await stampWithoutOctets(pfx);
    expect(await read(encode(pfx), '')).toBe(expectedPem(ec));
    expect(await refusal(encode(pfx), 'x')).toContain('password is wrong');
  });

  test.skipIf(!openssl)('is what OpenSSL takes it for (openssl pkcs12)', async () => {
    const pfx = await makeEcPfx('');
    await stampWithoutOctets(pfx);
    const file = join(folder, 'no-octets.pfx');
    await writeFile(file, encode(pfx).exposeBytes());
    const { stdout } = await run('openssl', ['pkcs12', '-in', file, '-passin', 'pass:', '-nodes']);
    expect(stdout).toContain(ec.keyPem);
  });
});

describe.skipIf(!openssl)('files of OpenSSL (skipped without OpenSSL 3)', () => {
  async function exportPfx(name: 'ec' | 'rsa', password: string, flags: string[]): Promise<SecretBytes> {
    const out = join(folder, `${name}-${password}-${flags.join('')}.pfx`.replaceAll('/', ''));
    const chain = name === 'ec' ? ['-certfile', join(folder, 'chain.pem')] : [];
    const input = ['-inkey', join(folder, `${name}.key`), '-in', join(folder, `${name}.pem`), ...chain];
    await run('openssl', [
      'pkcs12',
      '-export',
      ...input,
      '-out',
      out,
      '-passout',
      `pass:${password}`,
      ...flags,
    ]);
    return new SecretBytes(await readFile(out));
  }

  const tripleDes = ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'];
  const forms = [
    { form: 'AES-256 and SHA-256, the default', flags: [] },
    { form: 'AES-128', flags: ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC'] },
    { form: '3DES and SHA-1', flags: tripleDes },
    { form: '3DES with two keys', flags: ['-keypbe', 'PBE-SHA1-2DES', '-certpbe', 'PBE-SHA1-2DES'] },
    { form: 'certificates in clear', flags: ['-certpbe', 'NONE'] },
    { form: 'nothing encrypted', flags: ['-certpbe', 'NONE', '-keypbe', 'NONE'] },
    { form: 'MAC with SHA-384', flags: ['-macalg', 'sha384'] },
    { form: 'MAC with SHA-512', flags: ['-macalg', 'sha512'] },
    { form: 'one iteration', flags: ['-noiter', '-nomaciter'] },
    { form: 'a name', flags: ['-name', 'Zertifikat für Ünïcode', '-CSP', 'Some Provider'] },
  ];
  const passwords = ['', 'secret', 'pässwörd€'];
  const cases = forms.flatMap((row) => passwords.map((password) => ({ ...row, password })));

  test.each(cases)('$form, EC, password $password', async ({ flags, password }) => {
    expect(await read(await exportPfx('ec', password, flags), password)).toBe(expectedPem(ec));
  });

  test.each([{ flags: [] }, { flags: tripleDes }])('RSA $flags', async ({ flags }) => {
    expect(await read(await exportPfx('rsa', '', flags), '')).toBe(expectedPem(rsa));
  });

  test('without a MAC is refused', async () => {
    expect(await refusal(await exportPfx('ec', '', ['-nomac']), '')).toContain('no MAC');
  });

  test('a cipher outside the table is refused by its identifier', async () => {
    const pfx = await exportPfx('ec', 'x', ['-keypbe', 'CAMELLIA-256-CBC', '-certpbe', 'CAMELLIA-256-CBC']);
    expect(await refusal(pfx, 'x')).toContain('1.2.392.200011.61.1.1.1.4');
  });

  const rc2 = [
    { form: 'RC2-40 certificates and a 3DES key, as of Windows', flags: ['-legacy'] },
    { form: 'RC2-128', flags: ['-legacy', '-keypbe', 'PBE-SHA1-RC2-128', '-certpbe', 'PBE-SHA1-RC2-128'] },
    { form: 'RC2-40', flags: ['-legacy', '-keypbe', 'PBE-SHA1-RC2-40', '-certpbe', 'PBE-SHA1-RC2-40'] },
  ].flatMap((row) => passwords.map((password) => ({ ...row, password })));

  test.skipIf(!legacy).each(rc2)('$form, password $password', async ({ flags, password }) => {
    const pfx = await exportPfx('ec', password, flags);
    expect(await read(pfx, password)).toBe(expectedPem(ec));
    expect(await refusal(pfx, `${password}x`)).toContain('password is wrong');
  });

  test.skipIf(!legacy)('RC2 is refused with advice where OpenSSL cannot be called', async () => {
    const pfx = await exportPfx('ec', 'x', ['-legacy']);
    const script = `
      import { readFileSync } from 'node:fs';
      import { SecretBytes } from ${JSON.stringify(new URL('../../core/secret-bytes.ts', import.meta.url).href)};
      import { pfxToPem } from ${JSON.stringify(new URL('./pkcs12.ts', import.meta.url).href)};
      const answer = await pfxToPem(new SecretBytes(readFileSync(0)), 'x').catch((error) => error.message);
      process.stdout.write(String(answer));`;
    // Without --allow-addons no addon loads.
    const flags = ['--permission', '--allow-fs-read=*', '--input-type=module', '-e', script];
    const answer = execFileSync(process.execPath, flags, {
      input: pfx.exposeBytes(),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    expect(answer.toString()).toMatch(/obsolete cipher RC2\. Export it again/);
  });
});

describe('hostile files', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('-----BEGIN CERTIFICATE-----')],
    ['zeros', Buffer.alloc(1000)],
    ['an endless length', Buffer.from('3084ffffffff', 'hex')],
    ['deep nesting', Buffer.alloc(20_000, Buffer.from('3080', 'hex'))],
  ])('%s', async (_, octets) => {
    expect(await refusal(new SecretBytes(octets), '')).toBe('Format of Pkcs12 value is invalid.');
  });

  test('a wrong password', async () => {
    const message = 'Pkcs12 value is invalid: the password is wrong or the content was changed.';
    expect(await refusal(encode(await makeEcPfx('right')), 'wrong')).toBe(message);
    expect(await refusal(encode(await makeEcPfx('right')), '')).toBe(message);
    expect(await refusal(encode(await makeEcPfx('')), 'wrong')).toBe(message);
  });

  test('any octet changed gives a refusal or no difference, never another key or certificate', async () => {
    const octets = encode(await makeEcPfx('')).exposeBytes();
    let refused = 0;
    for (let i = 0; i < octets.length; i += 3) {
      const changed = Buffer.from(octets);
      changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
      const result = await read(new SecretBytes(changed), '').catch((error: unknown) => error);
      if (result instanceof Failure) refused += 1;
      else expect(result).toBe(expectedPem(ec));
    }
    // What the MAC does not cover is the frame around it: versions, NULLs, the tags of optional fields.
    expect(refused).toBeGreaterThan((octets.length / 3) * 0.95);
  });

  test('cut short anywhere', async () => {
    const octets = encode(await makeEcPfx('')).exposeBytes();
    for (let length = 1; length < octets.length; length += 13) {
      expect(await refusal(new SecretBytes(Buffer.from(octets.subarray(0, length))), '')).toContain(
        'Pkcs12 value is',
      );
    }
  });

  test('a MAC of no octets proves nothing', async () => {
    const pfx = await makeEcPfx('');
    if (pfx.macData !== undefined) pfx.macData.mac.digest = new pkijs.DigestInfo().digest;
    expect(await refusal(encode(pfx), '')).toContain('content was changed');
  });

  test('a MAC that was taken away', async () => {
    const pfx = await makeEcPfx('');
    delete pfx.macData;
    expect(await refusal(encode(pfx), '')).toContain('no MAC');
  });

  test('a MAC with an obsolete hash', async () => {
    const pfx = await makeEcPfx('');
    if (pfx.macData !== undefined) pfx.macData.mac.digestAlgorithm.algorithmId = '1.2.840.113549.2.5';
    expect(await refusal(encode(pfx), '')).toContain('MAC with 1.2.840.113549.2.5');
  });

  test.each([0, -1, 1_000_001, 2_000_000_000, 2 ** 40])('a MAC of %d iterations', async (iterations) => {
    const pfx = await makeEcPfx('');
    if (pfx.macData !== undefined) pfx.macData.iterations = iterations;
    expect(await refusal(encode(pfx), '')).toMatch(/iteration count/);
  });

  test('a key that needs too many iterations under a MAC that is right', async () => {
    const keyBags = [await shroudedKeyBag(ec.keyPem, '', 1_000_001)];
    const pfx = await makePfx({ keyBags, certificates: [ec.leafPem], password: '' });
    expect(await refusal(encode(pfx), '')).toContain('iteration counts are too large');
  });

  test('a key that is no key, under a MAC that is right', async () => {
    const bagValue = parseKey(ec.keyPem);
    bagValue.privateKey = new pkijs.DigestInfo().digest;
    const keyBag = new pkijs.SafeBag({ bagId: '1.2.840.113549.1.12.10.1.1', bagValue });
    const pfx = await makePfx({ keyBags: [keyBag], certificates: [], password: '' });
    expect(await refusal(encode(pfx), '')).toBe('Format of Pkcs12 value is invalid.');
  });
});
