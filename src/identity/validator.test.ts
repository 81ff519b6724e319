import { exportSPKI, generateKeyPair, importJWK, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { manualClock, memorySigningKeyStore } from '../../test/support/identity.ts';
import { directoryOf, principalRecord } from '../../test/support/principals.ts';
import { createChangeHub } from '../core/changes.ts';
import { silentLog } from '../core/log.ts';
import { generateTokenKey, importPrivateTokenKey } from '../crypto/token-keys.ts';
import { azureIssuerNames, ownIssuerNames } from './issuer-names.ts';
import { createKeyRing } from './key-ring.ts';
import type { PrincipalRecord } from './principals.ts';
import { createTrustedIssuers } from './trusted-issuers.ts';
import { createTokenValidator } from './validator.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';
const oid = '33333333-3333-4333-8333-333333333333';
const appid = '44444444-4444-4444-8444-444444444444';
const expected = {
  audiences: ['https://vault.azure.net', 'https://vault.strongroom.localhost:8443'],
  tenantId,
};

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8').toString('base64url');

const noNetwork = () => Promise.reject(new Error('no network'));
const known = principalRecord({ objectId: oid, tenantId });

async function setup(options: { cacheSize?: number; principals?: PrincipalRecord[] } = {}) {
  const principals = options.principals ?? [known];
  const clock = manualClock();
  const keys = createKeyRing({ store: memorySigningKeyStore(), clock, feed: createChangeHub() });
  let lookUps = 0;
  const ownKeys = {
    has: keys.has,
    find: (kid: string) => {
      lookUps += 1;
      return keys.find(kid);
    },
  };
  const ownIssuers = [azureIssuerNames, ownIssuerNames('https://login.strongroom.localhost:8443')];
  const trusted = createTrustedIssuers(
    { ownKeys, clock, log: silentLog, fetch: noNetwork },
    { ownIssuers, externalIssuers: [] },
  );
  const validator = createTokenValidator(
    { trusted, directory: directoryOf(principals), clock },
    { ownIssuers, ...options },
  );
  const { kid, key } = await keys.signer();
  const now = Math.floor(clock.now() / 1000);
  const claims = {
    aud: 'https://vault.azure.net',
    iss: `https://sts.windows.net/${tenantId}/`,
    iat: now,
    nbf: now,
    exp: now + 3600,
    appid,
    appidacr: '1',
    idtyp: 'app',
    oid,
    sub: oid,
    tid: tenantId,
    ver: '1.0',
  };
  const header = { typ: 'JWT', alg: 'RS256', kid };
  /** A token with a good signature, whatever it says: header and payload may be objects or raw JSON. */
  const sign = async (payload: unknown, head: unknown = header) => {
    const input = `${encode(head)}.${encode(payload)}`;
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key, Buffer.from(input));
    return `${input}.${Buffer.from(signature).toString('base64url')}`;
  };
  return { clock, keys, validator, claims, header, kid, sign, now, lookUps: () => lookUps };
}

const refusal = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({ name: 'Failure', kind: 'unauthorized' });
  return (error as Error).message;
};

describe('token validator', () => {
  it('tells who calls, by v1.0 and v2.0 tokens and by both families of names', async () => {
    const { validator, claims, sign } = await setup();
    const who = {
      objectId: oid,
      tenantId,
      appId: appid,
      kind: 'application',
      userName: undefined,
      groups: [],
    };
    expect(await validator.validate(await sign(claims), expected)).toEqual({ ...who, issuer: claims.iss });
    const { appid: azp, ...rest } = claims;
    const iss = `https://login.strongroom.localhost:8443/${tenantId}/v2.0`;
    const v2 = await sign({ ...rest, azp, iss, ver: '2.0', aud: 'https://vault.strongroom.localhost:8443/' });
    expect(await validator.validate(v2, expected)).toEqual({ ...who, issuer: iss });
  });

  it('reads users with their names and groups, ids in lower case', async () => {
    const { validator, claims, sign } = await setup();
    const groups = ['AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA', '/not-a-guid'];
    const token = await sign({
      ...claims,
      idtyp: undefined,
      scp: 'user_impersonation',
      upn: 'ada@example.com',
      groups,
      oid: oid.toUpperCase(),
    });
    expect(await validator.validate(token, expected)).toMatchObject({
      kind: 'user',
      objectId: oid,
      userName: 'ada@example.com',
      groups: ['aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'],
    });
  });

  it('accepts tokens of the previous key until they expire', async () => {
    const { validator, claims, sign, keys } = await setup();
    const token = await sign(claims);
    await keys.rotateNow({ revoke: false });
    expect(await validator.validate(token, expected)).toMatchObject({ objectId: oid });
  });
});

describe('signatures', () => {
  it('refuses a token that nobody signed, in every spelling of none', async () => {
    const { validator, claims, header } = await setup();
    for (const alg of ['none', 'None', 'NONE', '']) {
      const input = `${encode({ ...header, alg })}.${encode(claims)}`;
      await refusal(validator.validate(`${input}.`, expected));
      await refusal(validator.validate(`${input}.AA`, expected));
      await refusal(validator.validate(input, expected));
    }
  });

  it('refuses HS256 with the public key as the secret', async () => {
    const { validator, claims, header, keys, kid } = await setup();
    const [jwk] = await keys.published();
    const publicKey = await importJWK({ ...jwk }, 'RS256');
    const spki = await exportSPKI(publicKey as Awaited<ReturnType<typeof importPrivateTokenKey>>);
    for (const secret of [spki, spki.trim(), JSON.stringify(jwk), jwk?.n ?? '']) {
      const forged = await new SignJWT(claims)
        .setProtectedHeader({ ...header, alg: 'HS256', kid })
        .sign(Buffer.from(secret));
      expect(await refusal(validator.validate(forged, expected))).toContain('algorithm');
    }
  });

  it('refuses another RSA algorithm with the right key: the key decides', async () => {
    const { validator, claims, sign, header } = await setup();
    for (const alg of ['RS384', 'RS512', 'PS256', 'ES256', 'EdDSA', 'RSA-OAEP']) {
      const message = await refusal(validator.validate(await sign(claims, { ...header, alg }), expected));
      expect(message).toContain('algorithm');
    }
    for (const alg of [undefined, null, 5, ['RS256'], 'rs256']) {
      await refusal(validator.validate(await sign(claims, { ...header, alg }), expected));
    }
  });

  it("refuses a stranger's signature under our key id, and altered claims", async () => {
    const { validator, claims, header, sign } = await setup();
    const stranger = await importPrivateTokenKey((await generateTokenKey()).privateKey);
    const forged = await new SignJWT(claims).setProtectedHeader(header).sign(stranger);
    expect(await refusal(validator.validate(forged, expected))).toContain('signature');
    const [head, , signature] = (await sign(claims)).split('.');
    const altered = `${head}.${encode({ ...claims, oid: appid })}.${signature}`;
    expect(await refusal(validator.validate(altered, expected))).toContain('signature');
  });

  it("refuses a header that brings its own key or points to one, with the stranger's good signature", async () => {
    const { validator, claims, header } = await setup();
    const pair = await generateTokenKey();
    const stranger = await importPrivateTokenKey(pair.privateKey);
    for (const extra of [
      { jwk: pair.publicJwk },
      { jku: 'https://evil.example/keys' },
      { x5u: 'https://evil.example/chain' },
      { x5c: ['AAAA'] },
      { b64: true },
      { zip: 'DEF' },
    ]) {
      for (const kid of [header.kid, pair.publicJwk.kid]) {
        const forged = await new SignJWT(claims)
          .setProtectedHeader({ ...header, kid, ...extra })
          .sign(stranger);
        expect(await refusal(validator.validate(forged, expected))).toContain('header parameter');
      }
    }
  });

  it('refuses critical extensions, known or not, well signed', async () => {
    const { validator, claims, header, sign } = await setup();
    for (const crit of [['exp'], ['b64'], [], 'x']) {
      await refusal(validator.validate(await sign(claims, { ...header, crit, exp: 1, b64: true }), expected));
    }
  });

  it('refuses an unknown key id with AKV10046, and one that is missing or no text', async () => {
    const { validator, claims, header, sign } = await setup();
    const strange = { ...header, kid: '../../etc/passwd' };
    expect(await refusal(validator.validate(await sign(claims, strange), expected))).toBe(
      `AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '${encode(strange)}'.`,
    );
    expect(
      await refusal(validator.validate(await sign(claims, { ...header, kid: undefined }), expected)),
    ).toContain('AKV10046');
    await refusal(validator.validate(await sign(claims, { ...header, kid: [header.kid] }), expected));
    const long = await refusal(
      validator.validate(await sign(claims, { ...header, kid: 'k'.repeat(1000) }), expected),
    );
    expect(long.length).toBeLessThan(400);
  });

  it('refuses what is not typed as an access token of ours', async () => {
    const { validator, claims, header, sign } = await setup();
    for (const typ of [undefined, 'at+jwt', 'JOSE', 'dpop+jwt', 'logout+jwt', 5]) {
      await refusal(validator.validate(await sign(claims, { ...header, typ }), expected));
    }
  });
});

describe('form', () => {
  it('refuses everything that is not three parts of canonical base64url', async () => {
    const { validator, claims, sign } = await setup();
    const token = await sign(claims);
    const [head = '', payload = '', signature = ''] = token.split('.');
    const last = signature.at(-1) ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // The same bytes, spelled with the two unused bits of the last character set.
    const respelled = `${head}.${payload}.${signature.slice(0, -1)}${alphabet[alphabet.indexOf(last) + 1]}`;
    const bad = ['', '.', '..', head, `${head}.${payload}`, `${token}.`, `${token}.x`, `.${token}`];
    const dressed = [
      `${token}=`,
      ` ${token}`,
      `${token}\n`,
      `${token} `,
      token.replace('.', '。'),
      `${token}é`,
    ];
    const odd = [
      `Bearer ${token}`,
      `${head}.${payload}.${signature}==`,
      `${head}.${payload}.${signature.slice(1)}`,
    ];
    for (const text of [...bad, ...dressed, ...odd, respelled]) {
      await refusal(validator.validate(text, expected));
      expect(validator.cached(text, expected)).toBeUndefined();
    }
    await validator.validate(token, expected);
  });

  it('refuses a token of more than 16 KiB, however well signed', async () => {
    const { validator, claims, sign } = await setup();
    const fits = await sign({ ...claims, padding: 'x'.repeat(8 * 1024) });
    await validator.validate(fits, expected);
    const large = await sign({ ...claims, padding: 'x'.repeat(13 * 1024) });
    expect(large.length).toBeGreaterThan(16 * 1024);
    expect(await refusal(validator.validate(large, expected))).toContain('longer');
    expect(validator.cached(large, expected)).toBeUndefined();
  });

  it('refuses members that are named twice, escaped or not, at any depth, in header and claims', async () => {
    const { validator, claims, header, sign } = await setup();
    const json = JSON.stringify(claims);
    for (const extra of [
      `"oid":"${appid}"`,
      '"oi\\u0064":"x"',
      '"x":[{"a":1,"a":2}]',
      '"__proto__":1,"__proto__":2',
    ]) {
      const message = await refusal(
        validator.validate(await sign(`${json.slice(0, -1)},${extra}}`), expected),
      );
      expect(message).toContain('twice');
    }
    const head = JSON.stringify(header);
    await refusal(validator.validate(await sign(claims, `${head.slice(0, -1)},"alg":"none"}`), expected));
    // Braces, colons and quotes inside of strings are no structure, and equal names in two objects are fine.
    const innocent = { ...claims, x: '{"a":1,"a":2}', y: '\\"oid":', z: [{ a: 1 }, { a: 1 }], oid2: 'oid' };
    await validator.validate(await sign(innocent), expected);
  });

  it('refuses claims that are no JSON object in UTF-8', async () => {
    const { validator, header, kid } = await setup();
    for (const bytes of [
      '[]',
      'null',
      '"x"',
      '1',
      '{',
      '',
      '\uFEFF{}',
      '{"a":1}{"b":2}',
      `{"iss":"${kid}"`,
    ]) {
      await refusal(validator.validate(`${encode(header)}.${encode(bytes)}.AAAA`, expected));
      await refusal(validator.validate(`${encode(bytes)}.${encode('{}')}.AAAA`, expected));
    }
    const notUtf8 = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url');
    expect(await refusal(validator.validate(`${encode(header)}.${notUtf8}.AAAA`, expected))).toContain(
      'UTF-8',
    );
  });
});

describe('claims', () => {
  it('refuses claims that are missing or of another type', async () => {
    const { validator, claims, sign } = await setup();
    for (const name of ['exp', 'iat', 'nbf', 'aud', 'iss', 'oid', 'tid', 'appid', 'ver', 'idtyp'] as const) {
      for (const value of [
        undefined,
        null,
        true,
        {},
        [claims[name]],
        name === 'exp' ? '9999999999' : 'x'.repeat(2000),
      ]) {
        // A list with one audience is a form that the RFC allows.
        if (name === 'aud' && Array.isArray(value)) continue;
        await refusal(validator.validate(await sign({ ...claims, [name]: value }), expected));
      }
    }
    for (const extra of [{ aud: [] }, { aud: [5] }, { groups: 'admins' }, { groups: [5] }, { upn: 5 }]) {
      await refusal(validator.validate(await sign({ ...claims, ...extra }), expected));
    }
    for (const extra of [
      { idtyp: 'device' },
      { idtyp: 'user' },
      { scp: 'user_impersonation' },
      { idtyp: undefined },
      { ver: '2.0' },
      { oid: 'not-a-guid' },
    ]) {
      await refusal(validator.validate(await sign({ ...claims, ...extra }), expected));
    }
  });

  it('allows five minutes of skew around nbf and exp, and not a second more', async () => {
    const { validator, claims, sign, now } = await setup();
    const at = async (times: object) => validator.validate(await sign({ ...claims, ...times }), expected);
    await at({ exp: now - 299 });
    expect(await refusal(at({ exp: now - 300 }))).toContain('expired');
    await at({ nbf: now + 300, iat: now + 300 });
    expect(await refusal(at({ nbf: now + 301 }))).toBe('Token not yet valid');
    expect(await refusal(at({ iat: now + 301 }))).toContain('issued in the future');
  });

  it('refuses a token that lives longer than any that is issued, or for ever', async () => {
    const { validator, claims, sign, now } = await setup();
    await validator.validate(await sign({ ...claims, exp: now + 86_400 }), expected);
    expect(
      await refusal(validator.validate(await sign({ ...claims, exp: now + 86_701 }), expected)),
    ).toContain('too far');
    const forever = JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999');
    await refusal(validator.validate(await sign(forever), expected));
  });

  it('refuses another audience with AKV10022', async () => {
    const { validator, claims, sign } = await setup();
    const graph = await sign({ ...claims, aud: 'https://graph.microsoft.com' });
    expect(await refusal(validator.validate(graph, expected))).toBe(
      'AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://graph.microsoft.com.',
    );
  });

  it('refuses another issuer and another tenant with AKV10032', async () => {
    const { validator, claims, sign } = await setup();
    const text = `AKV10032: Invalid issuer. Expected one of https://sts.windows.net/${tenantId}/, https://login.strongroom.localhost:8443/${tenantId}/, found `;
    const at = async (extra: object) =>
      refusal(validator.validate(await sign({ ...claims, ...extra }), expected));
    expect(await at({ iss: 'https://evil.example/' })).toBe(`${text}https://evil.example/.`);
    const foreign = `https://sts.windows.net/${otherTenant}/`;
    expect(await at({ iss: foreign, tid: otherTenant })).toBe(`${text}${foreign}.`);
    // Issuer and tenant that do not belong together, and an issuer that a tenant id would write into.
    expect(await at({ iss: foreign })).toContain('AKV10032');
    expect(await at({ tid: otherTenant })).toContain('AKV10032');
    expect(await at({ iss: 'https://sts.windows.net/x/../y/', tid: 'x/../y' })).toContain('AKV10032');
    expect(await at({ iss: 'https://sts.windows.net/{tid}/', tid: '{tid}' })).toContain('AKV10032');
    expect(await at({ iss: undefined })).toBe(`${text}(none).`);
  });

  it('quotes nothing that could forge a log line or a page, nor the token', async () => {
    const { validator, claims, sign } = await setup();
    for (const hostile of [
      'x\r\nSet-Cookie: a=b',
      '<script>alert(1)</script>',
      '\u001b[2J',
      'ü',
      'x'.repeat(300),
    ]) {
      for (const extra of [{ iss: hostile }, { aud: hostile }]) {
        const token = await sign({ ...claims, ...extra });
        const message = await refusal(validator.validate(token, expected));
        expect(message).toContain('(not shown)');
        expect(message).toMatch(/^[\x20-\x7e]{1,400}$/);
        for (const part of token.split('.')) expect(message).not.toContain(part);
      }
    }
  });
});

describe('cache of verified tokens', () => {
  it('answers at once for a token that was verified, and never for one that was refused', async () => {
    const { validator, claims, sign } = await setup();
    const token = await sign(claims);
    expect(validator.cached(token, expected)).toBeUndefined();
    const principal = await validator.validate(token, expected);
    expect(validator.cached(token, expected)).toBe(principal);
    const bad = `${token.slice(0, -8)}AAAAAAAA`;
    await refusal(validator.validate(bad, expected));
    expect(validator.cached(bad, expected)).toBeUndefined();
  });

  it('verifies once', async () => {
    const { validator, claims, sign, lookUps } = await setup();
    const token = await sign(claims);
    for (const _ of [1, 2, 3]) await validator.validate(token, expected);
    expect(lookUps()).toBe(1);
  });

  it('compares audience and tenant on every hit', async () => {
    const { validator, claims, sign } = await setup();
    const token = await sign(claims);
    await validator.validate(token, expected);
    const hsm = { ...expected, audiences: ['https://managedhsm.azure.net'] };
    const foreign = { ...expected, tenantId: otherTenant };
    expect(validator.cached(token, hsm)).toBeUndefined();
    expect(validator.cached(token, foreign)).toBeUndefined();
    expect(await refusal(validator.validate(token, hsm))).toContain('AKV10022');
    expect(await refusal(validator.validate(token, foreign))).toContain('AKV10032');
    expect(validator.cached(token, expected)).toMatchObject({ objectId: oid });
  });

  it('forgets a token when it expires', async () => {
    const { validator, claims, sign, clock } = await setup();
    const token = await sign(claims);
    await validator.validate(token, expected);
    clock.advance(3600 * 1000 - 1);
    expect(validator.cached(token, expected)).toBeDefined();
    clock.advance(1);
    expect(validator.cached(token, expected)).toBeUndefined();
    clock.advance(300 * 1000);
    expect(await refusal(validator.validate(token, expected))).toContain('expired');
  });

  it('forgets the tokens of a key that is revoked', async () => {
    const { validator, claims, sign, keys } = await setup();
    const token = await sign(claims);
    await validator.validate(token, expected);
    await keys.rotateNow({ revoke: true });
    expect(validator.cached(token, expected)).toBeUndefined();
    expect(await refusal(validator.validate(token, expected))).toContain('AKV10046');
  });

  it('holds so many tokens and no more, and keeps those in use', async () => {
    const { validator, claims, sign } = await setup({ cacheSize: 2 });
    const tokens = await Promise.all(['a', 'b', 'c'].map((uti) => sign({ ...claims, uti })));
    const [a = '', b = '', c = ''] = tokens;
    await validator.validate(a, expected);
    await validator.validate(b, expected);
    expect(validator.cached(a, expected)).toBeDefined();
    await validator.validate(c, expected);
    expect(tokens.map((token) => validator.cached(token, expected) !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe('who is in the directory', () => {
  it('is asked each time: the disabled and the deleted are refused at once', async () => {
    const principals = [known];
    const { validator, claims, sign } = await setup({ principals });
    const token = await sign(claims);
    await validator.validate(token, expected);
    expect(validator.cached(token, expected)).toBeDefined();
    principals[0] = { ...known, enabled: false };
    expect(validator.cached(token, expected)).toBeUndefined();
    expect(await refusal(validator.validate(token, expected))).toContain('disabled');
    principals[0] = { ...known, tenantId: otherTenant };
    expect(await refusal(validator.validate(token, expected))).toContain('disabled');
    principals.pop();
    expect(validator.cached(token, expected)).toBeUndefined();
    expect(await refusal(validator.validate(token, expected))).toContain('deleted');
    principals.push(known);
    await validator.validate(token, expected);
  });

  it('does not know the tokens that are for clients to read', async () => {
    const { validator, claims, sign } = await setup();
    const { appid: _client, appidacr: _proof, idtyp: _type, ...idToken } = claims;
    await refusal(validator.validate(await sign(idToken), expected));
  });
});

describe('keys of other kinds', () => {
  it('verifies ES256 where the key is one', async () => {
    const clock = manualClock();
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const ownKeys = { has: () => true, find: async () => ({ key: publicKey, algorithm: 'ES256' }) };
    const ownIssuers = [azureIssuerNames];
    const trusted = createTrustedIssuers(
      { ownKeys, clock, log: silentLog, fetch: noNetwork },
      { ownIssuers, externalIssuers: [] },
    );
    const validator = createTokenValidator(
      { trusted, directory: directoryOf([known]), clock },
      { ownIssuers },
    );
    const now = Math.floor(clock.now() / 1000);
    const token = await new SignJWT({ oid, tid: tenantId, appid, ver: '1.0', idtyp: 'app' })
      .setProtectedHeader({ typ: 'JWT', alg: 'ES256', kid: 'ec' })
      .setIssuer(`https://sts.windows.net/${tenantId}/`)
      .setAudience('https://vault.azure.net')
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(now + 60)
      .sign(privateKey);
    expect(await validator.validate(token, expected)).toMatchObject({ objectId: oid });
  });
});
