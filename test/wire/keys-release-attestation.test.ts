/**
 * Proves what an attestation must be for a key to be released: of an authority of the policy, signed, in time, with
 * claims that satisfy the policy and a key to wrap for; and that every other is refused in the same words.
 */
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type AttestationAuthority,
  signingKeyId,
  signToken,
  startAttestationAuthority,
} from '../support/attestation-authority.ts';
import { manualClock } from '../support/identity.ts';
import {
  badParameter,
  condition,
  exportable,
  goodClaims,
  notVerified,
  openRelease,
  type ReleaseServer,
  said,
  startReleaseServer,
} from '../support/key-release.ts';
import type { RawResponse } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const hour = 3600;

let it: ReleaseServer;
let authority: AttestationAuthority;
let other: AttestationAuthority;
let call: VaultCaller;
beforeAll(async () => {
  it = await startReleaseServer({ clock });
  ({ authority, call } = it);
  other = await startAttestationAuthority();
  await create('usual', authority.policy(condition));
});
afterAll(async () => {
  await it.close();
  await other.close();
});
afterEach(() => {
  authority.answer = undefined;
});

const second = () => Math.floor(clock.now() / 1000);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString());
const mint = (claims: object = goodClaims, header: object = {}) =>
  authority.mint(clock.now(), { ...claims }, { ...header });

async function create(name: string, data: string): Promise<void> {
  const made = await call('POST', `/keys/${name}/create`, exportable(data));
  if (made.status !== 200) throw new Error(made.text);
}

function release(name: string, target: string): Promise<RawResponse> {
  return call('POST', `/keys/${name}/release`, { target });
}

/** Whether the environment got a key that it can open. */
function isReleased({ status, json }: RawResponse): boolean {
  return status === 200 && openRelease(it, json.value).key.length > 0;
}

describe('a token is refused', () => {
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const header = { alg: 'RS256', typ: 'JWT', kid: signingKeyId };
  const claims = (more: object = {}) => ({ ...decode(mint().split('.')[1]), ...more });
  const signedBy = (key: KeyObject) => signToken(key, { header, claims: claims() });
  const altered = (part: 0 | 1, more: object) => {
    const parts = mint().split('.');
    parts[part] = encode({ ...decode(parts[part]), ...more });
    return parts.join('.');
  };
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  const environment = (...keys: object[]) => mint({ ...goodClaims, 'x-ms-runtime': { keys } });

  const tokens: Record<string, () => string> = {
    'without the claim': () => mint({}),
    'with another value of the claim': () => mint({ 'sdk-test': false }),
    'with the claim where it does not belong': () => mint({ nested: goodClaims }),
    'that has expired': () => mint({ ...goodClaims, exp: second() - hour }),
    'that never expires': () => mint({ ...goodClaims, exp: undefined }),
    'that is not valid yet': () => mint({ ...goodClaims, nbf: second() + hour }),
    'from the future': () => mint({ ...goodClaims, iat: second() + hour }),
    'of an authority that the policy does not name': () => other.mint(clock.now(), goodClaims),
    'of another authority that says it is of the policy': () =>
      other.mint(clock.now(), { ...goodClaims, iss: `${authority.url}/` }),
    'without an issuer': () => mint({ ...goodClaims, iss: undefined }),
    'of the host of the authority at another path': () => mint({ ...goodClaims, iss: `${authority.url}/a` }),
    'signed by somebody': () => signedBy(stranger),
    'whose claims were changed': () => altered(1, { 'sdk-test': true, more: 1 }),
    'whose header was changed': () => altered(0, { typ: 'at+jwt' }),
    'whose signature was cut off': () => mint().replace(/[^.]+$/, ''),
    'of another key id': () => mint(goodClaims, { kid: 'nosuch' }),
    'without a signature': () => `${encode({ ...header, alg: 'none' })}.${encode(claims())}.`,
    'that says it has no signature': () => altered(0, { alg: 'none' }),
    'signed with the public key as a secret': () => {
      const pem = createPublicKey({ key: authority.keys[0] ?? {}, format: 'jwk' }).export({
        format: 'pem',
        type: 'spki',
      });
      const input = `${encode({ ...header, alg: 'HS256' })}.${encode(claims())}`;
      return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
    },
    'without a key of the environment': () => mint({ ...goodClaims, 'x-ms-runtime': {} }),
    'with a weak key of the environment': () => environment({ ...weak, kid: 'weak', key_ops: ['encrypt'] }),
    'with a key that is for signatures': () =>
      environment({ ...authority.environment.jwk, key_ops: ['verify'], use: 'sig' }),
    'that is no token': () => 'a.b.c',
    'that is a list': () => `${encode([])}.${encode([])}.AA`,
    'that is far too long': () => mint({ ...goodClaims, padding: 'x'.repeat(100_000) }),
  };
  test.each(Object.entries(tokens))('%s', async (_, make) => {
    expect(said(await release('usual', make()))).toEqual([403, notVerified]);
    expect(isReleased(await release('usual', mint()))).toBe(true);
  });
});

describe('a policy', () => {
  const branch = (of: AttestationAuthority, rest: object) => ({ authority: of.url, ...rest });
  const policy = (...anyOf: object[]) => encode({ version: '1.0.0', anyOf });
  const claim = (name: string, equals: unknown) => ({ claim: name, equals });

  test.each<[what: string, rest: object, yes: object[], no: object[]]>([
    [
      'all of several',
      { allOf: [claim('a', 1), claim('b', 'x')] },
      [{ a: 1, b: 'x' }],
      [{ a: 1 }, { b: 'x' }, { a: 1, b: 'y' }, {}],
    ],
    [
      'any of several',
      { anyOf: [claim('a', 1), claim('b', 'x')] },
      [{ a: 1 }, { b: 'x', a: 2 }, { a: 1, b: 'x' }],
      [{ a: 2, b: 'y' }, {}],
    ],
    [
      'any within all',
      { allOf: [claim('a', 1), { anyOf: [claim('b', 1), { allOf: [claim('c', 1), claim('d', 1)] }] }] },
      [
        { a: 1, b: 1 },
        { a: 1, c: 1, d: 1 },
      ],
      [{ a: 1, c: 1 }, { b: 1 }, { c: 1, d: 1 }],
    ],
    [
      'nested claims, as hardware reports them',
      { allOf: [claim('x-ms-isolation-tee.x-ms-compliance-status', 'azure-compliant-cvm')] },
      [{ 'x-ms-isolation-tee': { 'x-ms-compliance-status': 'azure-compliant-cvm' } }],
      [{ 'x-ms-isolation-tee': [{ 'x-ms-compliance-status': 'azure-compliant-cvm' }] }],
    ],
    [
      'the other operators',
      {
        allOf: [
          { claim: 'svn', greaterOrEquals: 3 },
          { claim: 'svn', less: 10 },
          { claim: 'debug', notEquals: true },
          { claim: 'revoked', exists: false },
        ],
      },
      [
        { svn: 3, debug: false },
        { svn: 9, debug: 'false' },
      ],
      [
        { svn: 2, debug: false },
        { svn: 10, debug: false },
        { svn: 3 },
        { svn: 3, debug: true },
        { svn: 3, debug: false, revoked: 0 },
        { svn: '3.5', debug: false },
      ],
    ],
  ])('that asks for %s', async (what, rest, yes, no) => {
    const name = what.replaceAll(/\W+/g, '-');
    await create(name, policy(branch(authority, rest)));
    for (const claims of yes)
      expect([claims, isReleased(await release(name, mint(claims)))]).toEqual([claims, true]);
    for (const claims of no) {
      expect([claims, ...said(await release(name, mint(claims)))]).toEqual([claims, 403, notVerified]);
    }
  });

  test('of two authorities takes the word of either, for what it asks of that one', async () => {
    const either = policy(
      branch(authority, { allOf: [claim('a', 1)] }),
      branch(other, { allOf: [claim('b', 1)] }),
    );
    await create('either', either);
    const keys = [authority.environment.jwk];
    const byOther = (claims: object) =>
      release('either', other.mint(clock.now(), { ...claims, 'x-ms-runtime': { keys } }));
    expect(isReleased(await release('either', mint({ a: 1 })))).toBe(true);
    expect(isReleased(await byOther({ b: 1 }))).toBe(true);
    expect(said(await release('either', mint({ b: 1 })))).toEqual([403, notVerified]);
    expect(said(await byOther({ a: 1 }))).toEqual([403, notVerified]);
  });

  test('of one version is not that of another', async () => {
    await create('by-version', policy(branch(authority, { allOf: [claim('a', 1)] })));
    const [first] = (await call('GET', '/keys/by-version/versions')).json.value;
    await create('by-version', policy(branch(authority, { allOf: [claim('a', 2)] })));
    const old = (first.kid as string).split('/')[5];
    for (const [path, a] of [
      [`by-version/${old}`, 1],
      ['by-version', 2],
    ] as const) {
      expect(isReleased(await release(path, mint({ a })))).toBe(true);
      expect(said(await release(path, mint({ a: 3 - a })))).toEqual([403, notVerified]);
    }
  });
});

describe('an authority', () => {
  const unreachable = badParameter('AKV.SKR.1012: The specified attestation service  cannot be reached.');

  test('that is down cannot be reached, and a key is made all the same', async () => {
    const down = await startAttestationAuthority();
    await down.close();
    await create('down', down.policy(condition));
    expect(said(await release('down', down.mint(clock.now(), goodClaims)))).toEqual(unreachable);
  });

  test.each<[what: string, answer: AttestationAuthority['answer']]>([
    ['fails', (_, response) => response.writeHead(500).end('broken: secret of the authority')],
    ['sends us elsewhere', (_, response) => response.writeHead(302, { location: `${other.url}/keys` }).end()],
    ['answers no JSON', (_, response) => response.end('<html>')],
    ['publishes nothing', (_, response) => response.end('{"keys":[]}')],
  ])('that %s cannot be reached, and nothing of its answer is told', async (_, answer) => {
    const ill = await startAttestationAuthority();
    const asked = other.asked.length;
    ill.answer = answer;
    try {
      await create('ill', ill.policy(condition));
      expect(said(await release('ill', ill.mint(clock.now(), goodClaims)))).toEqual(unreachable);
      expect(other.asked).toHaveLength(asked);
    } finally {
      await ill.close();
    }
  });

  test('is asked once for many releases, and not at all for a token that names none of the policy', async () => {
    const counted = await startAttestationAuthority();
    try {
      await create('counted', counted.policy(condition));
      expect(counted.asked).toEqual([]);
      await release('counted', mint());
      expect(counted.asked).toEqual([]);
      const keys = [authority.environment.jwk];
      for (let n = 0; n < 3; n += 1) {
        const token = counted.mint(clock.now(), { ...goodClaims, 'x-ms-runtime': { keys } });
        expect(isReleased(await release('counted', token))).toBe(true);
      }
      expect(counted.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
    } finally {
      await counted.close();
    }
  });
});
