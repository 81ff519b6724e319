/**
 * The key of an account at an authority: P-256, one per issuer, so that what one authority has us prove can never be
 * used at another. Signs requests as RFC 8555 §6.2 has them; the issuer keeps it, sealed.
 */
import { calculateJwkThumbprint, exportJWK, FlattenedSign, generateKeyPair, importJWK, type JWK } from 'jose';
import * as v from 'valibot';
import { SecretBytes } from '../core/secret-bytes.ts';

const coordinate = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/));
const keptAccount = v.object({
  /** Where the account is, and for which credentials it was made: it is of no use elsewhere. */
  directory: v.string(),
  externalKeyId: v.optional(v.string()),
  jwk: v.object({
    kty: v.literal('EC'),
    crv: v.literal('P-256'),
    x: coordinate,
    y: coordinate,
    d: coordinate,
  }),
  /** Undefined until the authority has said it. */
  url: v.optional(v.string()),
});

/** What is kept with an issuer. */
export type KeptAccount = v.InferOutput<typeof keptAccount>;

/** Makes a new key, for an account that is to be registered. */
export async function makeAccount(
  of: Pick<KeptAccount, 'directory' | 'externalKeyId'>,
): Promise<KeptAccount> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  return v.parse(keptAccount, { ...of, jwk: await exportJWK(pair.privateKey) });
}

export function keepAccount(account: KeptAccount): SecretBytes {
  return SecretBytes.fromText(JSON.stringify(account));
}

/** What was kept; undefined for nothing, and for what is not of this form. */
export function readAccount(kept: SecretBytes | undefined): KeptAccount | undefined {
  if (kept === undefined) return undefined;
  try {
    return v.parse(keptAccount, JSON.parse(kept.exposeText()));
  } catch {
    return undefined;
  }
}

/** Who a request is signed as: by the account's URL, or, to register, by the key itself. */
export interface SignedAs {
  readonly url: string;
  readonly nonce: string;
  readonly kid?: string | undefined;
}

export interface AccountSigner {
  /** The body of a POST; `payload` undefined is POST-as-GET, whose payload is empty. */
  sign(payload: object | undefined, as: SignedAs): Promise<string>;
  /** RFC 8555 §7.3.4: proves to the authority which of its customers the account is for. */
  bindExternally(key: ExternalKey, url: string): Promise<object>;
  /** RFC 8555 §8.1. */
  keyAuthorization(token: string): string;
}

/** An account of the authority's own making, by which it knows its customer. */
export interface ExternalKey {
  readonly id: string;
  readonly mac: Uint8Array;
}

export async function openAccountKey(jwk: KeptAccount['jwk']): Promise<AccountSigner> {
  const { kty, crv, x, y } = jwk;
  const publicJwk: JWK = { kty, crv, x, y };
  const key = await importJWK(jwk, 'ES256');
  const thumbprint = await calculateJwkThumbprint(publicJwk, 'sha256');
  return {
    async sign(payload, { url, nonce, kid }) {
      const header = { alg: 'ES256', nonce, url, ...(kid === undefined ? { jwk: publicJwk } : { kid }) };
      const bytes = Buffer.from(payload === undefined ? '' : JSON.stringify(payload));
      return JSON.stringify(await new FlattenedSign(bytes).setProtectedHeader(header).sign(key));
    },
    async bindExternally({ id, mac }, url) {
      const bytes = Buffer.from(JSON.stringify(publicJwk));
      return new FlattenedSign(bytes).setProtectedHeader({ alg: 'HS256', kid: id, url }).sign(mac);
    },
    keyAuthorization: (token) => `${token}.${thumbprint}`,
  };
}
