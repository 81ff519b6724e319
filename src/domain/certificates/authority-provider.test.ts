import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { vaultRecord } from '../../../test/contracts/rows.ts';
import { hasOpenSsl, testProvider } from '../../../test/support/software-keys.ts';
import { Failure } from '../../core/errors.ts';
import { type KeyHandle, KeyHandleClosed, type KeySpec } from '../../crypto/provider.ts';
import type { CertificateContent, X509Signer } from '../../crypto/x509/certificate-content.ts';
import {
  createCertificateRequest,
  createSelfSigned,
  issueCertificate,
  type SelfSignedInput,
} from '../../crypto/x509/certificate-making.ts';
import { readCertificate } from '../../crypto/x509/certificate-reading.ts';
import type { Vault } from '../vaults/vault.ts';
import { type AuthorityKey, createAuthorityProvider } from './authority-provider.ts';
import { type CertificateOrder, OrderPostponed, type OrderStep } from './issuer-provider.ts';

const now = Date.UTC(2027, 0, 31, 12, 0, 0);
const day = 86_400_000;
const year = 365 * day;
const vault = { ...vaultRecord(1), name: 'Contoso' } as Vault;
const openssl = hasOpenSsl('chains of the internal authority are not verified with it');

const rsa: KeySpec = { type: 'RSA', bits: 2048, exponent: 65537 };
const p256: KeySpec = { type: 'EC', curve: 'P-256' };
const noNames = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] };
const leafContent: CertificateContent = {
  subject: 'CN=www.example.com',
  sans: { ...noNames, dnsNames: ['www.example.com'] },
  keyUsage: ['digitalSignature'],
  ekus: ['1.3.6.1.5.5.7.3.1'],
  ca: false,
};
const rootContent: CertificateContent = {
  subject: 'CN=Root, O=Example',
  sans: noNames,
  keyUsage: ['keyCertSign', 'cRLSign'],
  ekus: [],
  ca: true,
};
const intermediateContent: CertificateContent = { ...rootContent, subject: 'CN=Intermediate, O=Example' };

const keys = testProvider();
const opened: KeyHandle[] = [];
/** RSA keys take long to make; what each test needs of one is only that it is one. */
const made = new Map<string, Promise<X509Signer>>();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-authority-'));
});

afterAll(async () => {
  for (const handle of opened) handle.close();
  keys.close();
  await rm(folder, { recursive: true, force: true });
});

async function makeSigner(spec: KeySpec): Promise<X509Signer> {
  const { publicJwk, material } = await keys.generate(spec);
  const handle = await keys.open({ spec, material });
  opened.push(handle);
  return { publicJwk, handle };
}

function signer(name: string, spec: KeySpec = p256): Promise<X509Signer> {
  const key = `${name} ${JSON.stringify(spec)}`;
  const known = made.get(key) ?? makeSigner(spec);
  made.set(key, known);
  return known;
}

interface Authority extends Omit<AuthorityKey, 'close'> {
  closed: number;
}

async function makeRoot(input: Partial<SelfSignedInput> = {}, spec: KeySpec = p256): Promise<Authority> {
  const key = await signer('root', spec);
  const times = { notBefore: now - year, notAfter: now + 10 * year };
  const certificate = await createSelfSigned(key, { content: rootContent, ...times, ...input });
  return { certificate, chain: [], signer: key, closed: 0 };
}

interface Ask {
  readonly content?: CertificateContent;
  readonly key?: X509Signer;
  readonly request?: Uint8Array;
  readonly months?: number;
  readonly maxDays?: number;
  readonly accountId?: string | undefined;
  readonly at?: number;
}

/** One step of an order to the authority, which the vault has as `ca-1`. */
async function order(authority: Authority | undefined, ask: Ask = {}): Promise<OrderStep> {
  const provider = createAuthorityProvider({
    keys: {
      current: async (of, name) => {
        expect(of).toBe(vault);
        if (name !== 'ca-1' || authority === undefined) return undefined;
        return { ...authority, close: () => void authority.closed++ };
      },
    },
    clock: { now: () => ask.at ?? now },
    maxDays: ask.maxDays ?? 90,
  });
  const content = ask.content ?? leafContent;
  const asked: CertificateOrder = {
    vault,
    issuer: {
      name: 'internal',
      accountId: 'accountId' in ask ? ask.accountId : 'ca-1',
      password: undefined,
      organization: undefined,
      kept: undefined,
    },
    request: ask.request ?? (await createCertificateRequest(ask.key ?? (await signer('leaf')), content)),
    content,
    validityMonths: ask.months ?? 12,
    contacts: [],
    state: undefined,
  };
  return provider.advance(asked);
}

async function issued(authority: Authority, ask: Ask = {}): Promise<Uint8Array[]> {
  const step = await order(authority, ask);
  if (step.kind !== 'issued') throw new Error(JSON.stringify(step));
  return [...step.chain];
}

/** An authority below another, issued by it. */
async function makeIntermediate(above: Authority, ask: Ask & { spec?: KeySpec } = {}): Promise<Authority> {
  const { spec = p256, ...rest } = ask;
  const content = rest.content ?? intermediateContent;
  const key = await signer(content.subject, spec);
  const [certificate = new Uint8Array(), ...chain] = await issued(above, {
    months: 36,
    ...rest,
    content,
    key,
  });
  return { certificate, chain, signer: key, closed: 0 };
}

/** What OpenSSL says to the chain, whose last certificate it trusts: `OK`, or its errors. */
async function opensslVerify(chain: readonly Uint8Array[], name = 'www.example.com'): Promise<string> {
  const pem = chain.map((der) => new X509Certificate(der).toString());
  const file = (part: string) => join(folder, `${crypto.randomUUID()}-${part}.pem`);
  const [leaf, untrusted, root] = [file('leaf'), file('untrusted'), file('root')];
  await writeFile(leaf, pem[0] ?? '');
  await writeFile(untrusted, pem.slice(1, -1).join(''));
  await writeFile(root, pem.at(-1) ?? '');
  const times = ['-attime', String(now / 1000), '-x509_strict', '-purpose', 'sslserver'];
  const between = chain.length > 2 ? ['-untrusted', untrusted] : [];
  const args = ['verify', ...times, '-verify_hostname', name, '-CAfile', root, ...between, leaf];
  try {
    return execFileSync('openssl', args, { stdio: 'pipe' }).toString().endsWith(': OK\n') ? 'OK' : 'not OK';
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error);
  }
}

describe('what it issues', () => {
  const specs: [string, KeySpec][] = [
    ['RSA', rsa],
    ['P-256', p256],
    ['P-384', { type: 'EC', curve: 'P-384' }],
    ['P-521', { type: 'EC', curve: 'P-521' }],
    ['P-256K', { type: 'EC', curve: 'P-256K' }],
  ];
  test.each(specs)('a chain of root, intermediate and leaf, signed with %s', async (_, spec) => {
    const root = await makeRoot({ content: { ...rootContent, pathLength: 1 } }, spec);
    const intermediate = await makeIntermediate(root, { spec });
    const chain = await issued(intermediate, { key: await signer('leaf', spec) });
    expect(chain).toEqual([chain[0], intermediate.certificate, root.certificate]);
    const [leaf, above] = await Promise.all(chain.map((der) => readCertificate(der)));
    expect(leaf?.content).toEqual(leafContent);
    expect(leaf?.issuer).toBe(above?.subject);
    expect(above?.content).toEqual({ ...intermediateContent, pathLength: 0 });
    expect(leaf?.publicJwk).toEqual((await signer('leaf', spec)).publicJwk);
    expect(new X509Certificate(chain[0] ?? '').verify(new X509Certificate(chain[1] ?? '').publicKey)).toBe(
      true,
    );
    expect([root.closed, intermediate.closed]).toEqual([1, 1]);
    if (openssl) expect(await opensslVerify(chain)).toBe('OK');
  });

  test('the key comes from the request, and only from a request that its own key has signed', async () => {
    const root = await makeRoot();
    const request = await createCertificateRequest(await signer('leaf'), leafContent);
    const forged = Uint8Array.from(request);
    const last = forged.length - 1;
    forged[last] = (forged[last] ?? 0) ^ 1;
    expect(await order(root, { request: forged })).toMatchObject({ kind: 'failed', code: 'RequestNotValid' });
    expect(await order(root, { request: request.subarray(0, 40) })).toMatchObject({
      code: 'RequestNotValid',
    });
    expect(await order(root, { request })).toMatchObject({ kind: 'issued' });
    expect(root.closed).toBe(3);
  });

  test('names and usages come from the policy, whatever the request asks for', async () => {
    const wish = { ...rootContent, subject: 'CN=wish', sans: { ...noNames, dnsNames: ['bank.example.net'] } };
    const request = await createCertificateRequest(await signer('leaf'), wish);
    const [leaf = new Uint8Array()] = await issued(await makeRoot(), { request });
    expect((await readCertificate(leaf)).content).toEqual(leafContent);
  });
});

describe('lifetimes', () => {
  const times = async (chain: readonly Uint8Array[]) => {
    const { notBefore, notAfter } = await readCertificate(chain[0] ?? new Uint8Array());
    return [notBefore * 1000, notAfter * 1000];
  };

  test('a leaf lives for the bound at most, from ten minutes ago', async () => {
    const root = await makeRoot();
    expect(await times(await issued(root))).toEqual([now - 600_000, now + 90 * day]);
    expect(await times(await issued(root, { maxDays: 7 }))).toEqual([now - 600_000, now + 7 * day]);
  });

  test('months are by the calendar, where they are shorter', async () => {
    const chain = await issued(await makeRoot(), { months: 1 });
    // From the 31st of January.
    expect(await times(chain)).toEqual([now - 600_000, Date.UTC(2027, 1, 28, 12, 0, 0)]);
  });

  test('an authority below is not held to the bound of leaves', async () => {
    const { certificate } = await makeIntermediate(await makeRoot(), { months: 24 });
    expect(await times([certificate])).toEqual([now - 600_000, Date.UTC(2029, 0, 31, 12, 0, 0)]);
  });

  test('nothing lives beyond its issuer, nor beyond an issuer of that, nor begins before them', async () => {
    const root = await makeRoot({ notBefore: now - 1000, notAfter: now + 30 * day });
    expect(await times(await issued(root))).toEqual([now - 1000, now + 30 * day]);
    const intermediate = await makeIntermediate(root);
    expect(await times([intermediate.certificate])).toEqual([now - 1000, now + 30 * day]);
    expect(await times(await issued(intermediate))).toEqual([now - 1000, now + 30 * day]);
    // A chain in which the one below outlives the one above, as others may issue it.
    const short = await makeRoot({ notAfter: now + 5 * day });
    expect(await times(await issued({ ...intermediate, chain: [short.certificate] }))).toEqual([
      now - 1000,
      now + 5 * day,
    ]);
  });

  test('an authority that has ended, or that ends within a day, issues nothing', async () => {
    for (const notAfter of [now - 1000, now + day - 1000]) {
      const root = await makeRoot({ notAfter });
      expect(await order(root)).toMatchObject({ kind: 'failed', code: 'AuthorityExpired' });
      expect(root.closed).toBe(1);
    }
    expect(await order(await makeRoot({ notAfter: now + day }))).toMatchObject({ kind: 'issued' });
  });

  test('one that has not begun is waited for', async () => {
    const root = await makeRoot({ notBefore: now + 90_000 });
    const error = await order(root).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OrderPostponed);
    expect(error).toMatchObject({ code: 'AuthorityNotYetValid', seconds: 90 });
    expect(root.closed).toBe(1);
    expect(await order(root, { at: now + 90_000 })).toMatchObject({ kind: 'issued' });
  });
});

describe('path length', () => {
  const below = (pathLength: number | undefined) => ({ ...intermediateContent, pathLength });

  test('an authority below says a length below that of its issuer, its own or the most that is left', async () => {
    const root = await makeRoot({ content: { ...rootContent, pathLength: 3 } });
    const lengths = async (pathLength: number | undefined) => {
      const { certificate } = await makeIntermediate(root, { content: below(pathLength) });
      return (await readCertificate(certificate)).content.pathLength;
    };
    expect([await lengths(undefined), await lengths(2), await lengths(0)]).toEqual([2, 2, 0]);
    expect(await order(root, { content: below(3) })).toMatchObject({
      kind: 'failed',
      code: 'NotCertifiable',
    });
  });

  test('without a bound above there is none below', async () => {
    const { certificate } = await makeIntermediate(await makeRoot(), { content: below(undefined) });
    expect((await readCertificate(certificate)).content.pathLength).toBeUndefined();
  });

  test('an authority of length 0 issues leaves and no authorities', async () => {
    const root = await makeRoot({ content: { ...rootContent, pathLength: 0 } });
    expect(await order(root)).toMatchObject({ kind: 'issued' });
    expect(await order(root, { content: below(undefined) })).toMatchObject({ code: 'NotCertifiable' });
  });

  test('the bound of an issuer further up holds', async () => {
    const free = await makeRoot();
    const intermediate = await makeIntermediate(free);
    // The same key and name, in a certificate that allows one authority below it, or none.
    const tight = await makeRoot({ content: { ...rootContent, pathLength: 1 } });
    const none = await makeRoot({ content: { ...rootContent, pathLength: 0 } });
    const content = { ...below(undefined), subject: 'CN=Third' };
    expect(await order({ ...intermediate, chain: [free.certificate] }, { content })).toMatchObject({
      kind: 'issued',
    });
    expect(await order({ ...intermediate, chain: [tight.certificate] }, { content })).toMatchObject({
      code: 'NotCertifiable',
    });
    expect(await order({ ...intermediate, chain: [tight.certificate] })).toMatchObject({ kind: 'issued' });
    expect(await order({ ...intermediate, chain: [none.certificate] })).toMatchObject({
      code: 'AuthorityNotUsable',
    });
  });
});

describe('name constraints', () => {
  const nameConstraints = { dnsNames: ['example.com'], ipRanges: ['10.0.0.0/8'] };
  const named = (sans: Partial<CertificateContent['sans']>, subject = 'CN=a name') => ({
    ...leafContent,
    subject,
    sans: { ...noNames, ...sans },
  });

  test('names within them are issued, by the root and below it, and OpenSSL agrees', async () => {
    const root = await makeRoot({ content: { ...rootContent, nameConstraints } });
    const intermediate = await makeIntermediate(root);
    const content = named({ dnsNames: ['www.example.com', '*.example.com'], ipAddresses: ['10.1.2.3'] });
    for (const authority of [root, intermediate]) {
      const chain = await issued(authority, { content });
      if (openssl) expect(await opensslVerify(chain)).toBe('OK');
    }
  });

  test.each<[string, CertificateContent]>([
    ['another domain', named({ dnsNames: ['example.org'] })],
    ['a domain that ends alike', named({ dnsNames: ['badexample.com'] })],
    ['one good name and one bad', named({ dnsNames: ['www.example.com', 'example.org'] })],
    ['a wildcard above', named({ dnsNames: ['*.com'] })],
    ['another address', named({ ipAddresses: ['11.0.0.1'] })],
    ['an IPv6 address', named({ ipAddresses: ['::1'] })],
    ['IPv4 inside IPv6', named({ ipAddresses: ['::ffff:10.0.0.1'] })],
    ['a common name that looks like a host', named({ emails: ['a@b.example'] }, 'CN=www.example.org')],
  ])('%s is not issued', async (_, content) => {
    const root = await makeRoot({ content: { ...rootContent, nameConstraints } });
    // Below it, the constraints of the root still hold.
    for (const authority of [root, await makeIntermediate(root)])
      expect(await order(authority, { content })).toMatchObject({ kind: 'failed', code: 'NotCertifiable' });
  });

  test('an authority below may carry constraints of its own, which hold with those above', async () => {
    const root = await makeRoot({ content: { ...rootContent, nameConstraints } });
    const own = { dnsNames: ['a.example.com', 'example.org'], ipRanges: [] };
    const intermediate = await makeIntermediate(root, {
      content: { ...intermediateContent, nameConstraints: own },
    });
    expect((await readCertificate(intermediate.certificate)).content.nameConstraints).toEqual(own);
    const content = named({ dnsNames: ['x.a.example.com'] });
    const chain = await issued(intermediate, { content });
    if (openssl) expect(await opensslVerify(chain, 'x.a.example.com')).toBe('OK');
    for (const dnsName of ['www.example.com', 'example.org'])
      expect(await order(intermediate, { content: named({ dnsNames: [dnsName] }) })).toMatchObject({
        code: 'NotCertifiable',
      });
  });

  test.runIf(openssl)('what is refused here OpenSSL refuses too', async () => {
    const root = await makeRoot({ content: { ...rootContent, nameConstraints } });
    const intermediate = await makeIntermediate(root);
    const content = named({ dnsNames: ['example.org'] });
    // The intermediate by itself has no constraints: one that forgets who is above it.
    const forgetful = { ...intermediate, chain: [] };
    const [leaf = new Uint8Array()] = await issued(forgetful, { content });
    const verdict = await opensslVerify([leaf, intermediate.certificate, root.certificate], 'example.org');
    expect(verdict).toContain('permitted subtree violation');
  });
});

describe('refusals', () => {
  test('a certificate that is no authority, or whose key usage says so, signs nothing', async () => {
    for (const change of [
      { ca: false, keyUsage: [] },
      { keyUsage: ['digitalSignature', 'cRLSign'] },
    ] as const) {
      const root = await makeRoot({ content: { ...rootContent, ...change } });
      expect(await order(root)).toMatchObject({ kind: 'failed', code: 'AuthorityNotUsable' });
    }
  });

  test.each([
    ['no certificate', Uint8Array.of(0x30, 0x00)],
    ['a truncated one', undefined],
  ])('%s above, or in its place', async (_, garbage) => {
    const root = await makeRoot();
    const octets = garbage ?? root.certificate.subarray(0, -1);
    for (const broken of [
      { ...root, certificate: octets },
      { ...root, chain: [octets] },
    ])
      expect(await order(broken)).toMatchObject({ kind: 'failed', code: 'AuthorityNotUsable' });
  });

  test('keyCertSign goes to authorities only', async () => {
    const content = { ...leafContent, keyUsage: ['digitalSignature', 'keyCertSign'] as const };
    expect(await order(await makeRoot(), { content })).toMatchObject({
      kind: 'failed',
      code: 'NotCertifiable',
    });
  });

  test('an authority for some extended key usages issues for no others', async () => {
    const root = await makeRoot({ content: { ...rootContent, ekus: ['1.3.6.1.5.5.7.3.1'] } });
    expect(await order(root)).toMatchObject({ kind: 'issued' });
    const content = { ...leafContent, ekus: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.3'] };
    const step = await order(root, { content });
    expect(step).toMatchObject({ kind: 'failed', code: 'NotCertifiable' });
    expect(step).toMatchObject({ message: expect.stringContaining('1.3.6.1.5.5.7.3.3') });
    const any = await makeRoot({ content: { ...rootContent, ekus: ['2.5.29.37.0'] } });
    expect(await order(any, { content })).toMatchObject({ kind: 'issued' });
  });

  test('the name of an authority of the chain is not given to another', async () => {
    const root = await makeRoot();
    const intermediate = await makeIntermediate(root);
    for (const subject of ['CN=Root, O=Example', 'CN="Root",O=Example', 'cn=Intermediate, o=Example'])
      expect(await order(intermediate, { content: { ...leafContent, subject } })).toMatchObject({
        code: 'NotCertifiable',
      });
  });

  test('of the certificates that an authority came with, only its issuers count, in whatever order', async () => {
    const root = await makeRoot();
    const intermediate = await makeIntermediate(root);
    const third = await makeIntermediate(intermediate, {
      content: { ...intermediateContent, subject: 'CN=Third' },
    });
    const times = { notBefore: now - year, notAfter: now + year };
    const other = await makeRoot({ content: { ...rootContent, subject: 'CN=Other' } });
    // Of the same name, which signed nothing here, and would allow nothing.
    const content = {
      ...rootContent,
      pathLength: 0,
      nameConstraints: { dnsNames: ['none.example'], ipRanges: [] },
    };
    const impostor = await createSelfSigned(await signer('impostor'), { content, ...times });
    const chain = [
      root.certificate,
      other.certificate,
      impostor,
      intermediate.certificate,
      third.certificate,
    ];
    expect((await issued({ ...third, chain })).slice(1)).toEqual([
      third.certificate,
      intermediate.certificate,
      root.certificate,
    ]);
  });

  test.each<[string, KeySpec, 'n' | 'x']>([
    ['another key', rsa, 'n'],
    ['a key that is none', p256, 'x'],
  ])('nor one with the name and the key identifier of its issuer, and %s', async (_, spec, member) => {
    const root = await makeRoot({}, spec);
    const intermediate = await makeIntermediate(root);
    const forged = Buffer.from(root.certificate);
    const at = forged.indexOf(Buffer.from(root.signer.publicJwk[member] ?? '', 'base64url')) + 20;
    forged[at] = (forged[at] ?? 0) ^ 1;
    expect(await issued({ ...intermediate, chain: [forged] })).toHaveLength(2);
    expect(await issued({ ...intermediate, chain: [forged, root.certificate] })).toHaveLength(3);
  });

  test('two authorities that certified each other make no endless chain', async () => {
    const root = await makeRoot();
    const intermediate = await makeIntermediate(root);
    const crossed = await issueCertificate(intermediate, {
      content: rootContent,
      publicKey: (await readCertificate(root.certificate)).spki,
      notBefore: now - day,
      notAfter: now + year,
    });
    const chain = [crossed, intermediate.certificate];
    expect((await issued({ ...intermediate, chain })).slice(1)).toEqual([intermediate.certificate, crossed]);
  });

  test('a key that is not the certificate’s never gets a certificate out', async () => {
    const root = await makeRoot();
    const { publicJwk, handle } = await signer('another');
    const other = { ...root, signer: { publicJwk, handle } };
    const mixed = { ...root, signer: { publicJwk: root.signer.publicJwk, handle } };
    await expect(order(other)).rejects.toThrow(RangeError);
    await expect(order(mixed)).rejects.toThrow('did not verify');
    expect([other.closed, mixed.closed]).toEqual([1, 1]);
  });

  test.each([
    ['no account', undefined],
    ['a name that no certificate has', 'ca-2'],
    ['no name', 'ca_1'],
    ['a version', 'https://contoso.vault.example.com/certificates/ca-1/0123456789abcdef0123456789abcdef'],
    ['another vault', 'https://fabrikam.vault.example.com/certificates/ca-1'],
    ['a key', 'https://contoso.vault.example.com/keys/ca-1'],
    ['no TLS', 'http://contoso.vault.example.com/certificates/ca-1'],
  ])('an issuer that names %s', async (_, accountId) => {
    const root = await makeRoot();
    expect(await order(root, { accountId })).toMatchObject({ kind: 'failed', code: 'AuthorityNotFound' });
  });

  test('the id of the certificate is as good as its name', async () => {
    const accountId = 'https://CONTOSO.vault.example.com:8443/certificates/ca-1';
    expect(await order(await makeRoot(), { accountId })).toMatchObject({ kind: 'issued' });
  });

  test('an authority that was deleted or disabled', async () => {
    expect(await order(undefined)).toMatchObject({ kind: 'failed', code: 'AuthorityNotFound' });
  });

  test.each([
    ['is closed meanwhile', new KeyHandleClosed()],
    ['is in an HSM that does not answer', new Failure('unavailable', 'secret place of the HSM')],
  ])('a key that %s is tried again, and is let go of', async (_, thrown) => {
    const root = await makeRoot();
    const handle = { ...root.signer.handle, spec: p256, sign: () => Promise.reject(thrown) };
    const authority = { ...root, signer: { ...root.signer, handle } };
    const error = await order(authority).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(OrderPostponed);
    expect(error).toMatchObject({
      code: 'AuthorityUnavailable',
      message: expect.not.stringContaining('secret'),
    });
    expect(authority.closed).toBe(1);
  });
});
