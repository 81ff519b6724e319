import { calculateJwkThumbprint, jwtVerify, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../core/secret-bytes.ts';
import { generateTokenKey, importPrivateTokenKey, importPublicTokenKey } from './token-keys.ts';

describe('token keys', () => {
  it('names a key by its RFC 7638 thumbprint and publishes no private member', async () => {
    const { publicJwk } = await generateTokenKey();
    expect(publicJwk.kid).toBe(await calculateJwkThumbprint({ ...publicJwk }));
    expect(Object.keys(publicJwk).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
    expect(Buffer.from(publicJwk.n, 'base64url')).toHaveLength(256);
  });

  it('signs with the private half what the public half verifies', async () => {
    const { publicJwk, privateKey } = await generateTokenKey();
    const signer = await importPrivateTokenKey(privateKey);
    const token = await new SignJWT({ a: 1 }).setProtectedHeader({ alg: 'RS256' }).sign(signer);
    const { payload } = await jwtVerify(token, await importPublicTokenKey(publicJwk));
    expect(payload).toEqual({ a: 1 });
    expect(signer.extractable).toBe(false);
    const other = await generateTokenKey();
    await expect(jwtVerify(token, await importPublicTokenKey(other.publicJwk))).rejects.toThrow();
  });

  it('keeps the private half out of text and JSON', async () => {
    const pair = await generateTokenKey();
    expect(String(pair.privateKey)).toBe('[secret]');
    expect(() => JSON.stringify(pair)).toThrow(TypeError);
  });

  it('rejects bytes that are no PKCS#8', async () => {
    await expect(importPrivateTokenKey(SecretBytes.fromText('not a key'))).rejects.toThrow();
  });
});
