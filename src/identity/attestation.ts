/**
 * Verifies attestation tokens with the keys that their authority publishes. Which authority is asked is decided by the
 * key's policy and by this server's configuration, never by the token: its `iss` only picks one of them, and its `jku`,
 * `x5u` and `x5c` are not looked at. Nothing of what an authority answers reaches the caller.
 */
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importJWK,
  importX509,
  type JWTPayload,
  jwtVerify,
} from 'jose';
import { Failure } from '../core/errors.ts';
import { authorityKey } from '../core/names.ts';
import { LruMap } from './lru.ts';
import {
  createRemoteSet,
  fetchObject,
  isShortRsa,
  mostKeys,
  type RemoteKeysDeps,
  type RemoteSet,
  UnexpectedStatus,
} from './remote-keys.ts';
import { clockSkew } from './signing-keys.ts';

/** Verifies tokens of attestation authorities: what key release calls an attestation verifier. */
export interface AttestationVerifier {
  /**
   * The claims of a token that one of `authorities` has signed, and which, in the form that compares. Fails with
   * `accessDenied` for a token that cannot be verified, with `badParameter` for an authority that cannot be reached or
   * is not trusted by this server.
   */
  verify(token: string, authorities: readonly string[]): Promise<VerifiedAttestation>;
  /** Fails with `badParameter` unless this server trusts every authority. Asks none of them. */
  assertTrusted(authorities: readonly string[]): void;
}

export interface VerifiedAttestation {
  readonly authority: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface AttestationOptions {
  /**
   * The authorities that this server asks, as https URLs. `any` asks whichever a policy names, and so lets everyone
   * who may create keys choose where requests go: for development only.
   */
  readonly allowed: 'any' | readonly string[];
}

/** Characters of the longest token that is looked at; those of Azure's authorities stay under 16 KiB. */
const longestAttestation = 64 * 1024;
/** Authorities whose keys are kept. */
const mostAuthorities = 64;
/** By JWS algorithm: the only kind of key that it is used with. Nothing symmetric, and not `none`. */
const algorithms: Readonly<Record<string, string>> = {
  ...{ RS256: 'RSA', RS384: 'RSA', RS512: 'RSA', PS256: 'RSA', PS384: 'RSA', PS512: 'RSA' },
  ...{ ES256: 'EC P-256', ES384: 'EC P-384', ES512: 'EC P-521' },
};

/** A published key before it is known which algorithm it is to be used with; `certificate` is in base64. */
interface PublishedKey {
  readonly type: string;
  readonly algorithm: string | undefined;
  readonly jwk: Readonly<Record<string, string>> | undefined;
  readonly certificate: string | undefined;
}

/** Makes a verifier; nothing is fetched before it is needed. Throws `TypeError` for allowed ones that are no https URLs. */
export function createAttestationVerifier(
  deps: RemoteKeysDeps,
  { allowed }: AttestationOptions,
): AttestationVerifier {
  const known = new LruMap<RemoteSet<PublishedKey>>(mostAuthorities);
  const trusted = allowed === 'any' ? undefined : new Set(allowed.map(requireKey));

  function keysOf(authority: string): RemoteSet<PublishedKey> {
    if (trusted !== undefined && !trusted.has(authority)) throw notTrusted();
    const there = known.get(authority);
    if (there !== undefined) return there;
    const made = createRemoteSet(deps, { issuer: authority, load: () => fetchKeys(deps, authority) });
    known.set(authority, made);
    return made;
  }

  return {
    async verify(token, authorities) {
      const { authority, kid, alg } = readUnverified(token, authorities);
      const keys = keysOf(authority);
      const published = await keys.find(kid);
      if (published === undefined) {
        throw keys.isAtHand() ? notVerified('the authority has no such key') : unreachable();
      }
      const key = await importKey(published, alg);
      return { authority, claims: await verifySignature(token, { key, alg, now: deps.clock.now() }) };
    },

    assertTrusted(authorities) {
      for (const text of authorities) {
        const authority = authorityKey(text);
        if (authority === undefined) throw unreachable();
        if (trusted !== undefined && !trusted.has(authority)) throw notTrusted();
      }
    },
  };
}

/** What a token says of itself: enough to choose the authority and the key, and good for nothing else. */
function readUnverified(
  token: string,
  authorities: readonly string[],
): { authority: string; kid: string; alg: string } {
  if (token.length > longestAttestation) throw notVerified('the token is too long');
  let header: { kid?: unknown; alg?: unknown };
  let issuer: unknown;
  try {
    header = decodeProtectedHeader(token);
    issuer = decodeJwt(token).iss;
  } catch (error) {
    throw notVerified('the token is not a signed JWT in compact form', error);
  }
  const { kid, alg } = header;
  if (typeof alg !== 'string' || !Object.hasOwn(algorithms, alg))
    throw notVerified('its algorithm is not accepted');
  if (typeof kid !== 'string' || kid === '' || kid.length > 512) throw notVerified('it names no key');
  const authority = typeof issuer === 'string' ? authorityKey(issuer) : undefined;
  if (authority === undefined || !authorities.some((one) => authorityKey(one) === authority)) {
    throw notVerified('its issuer is no authority of the policy');
  }
  return { authority, kid, alg };
}

async function verifySignature(
  token: string,
  { key, alg, now }: { key: CryptoKey; alg: string; now: number },
): Promise<VerifiedAttestation['claims']> {
  let claims: JWTPayload;
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [alg],
      requiredClaims: ['exp'],
      currentDate: new Date(now),
      clockTolerance: clockSkew,
    });
    claims = payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw notVerified('its signature or times are wrong', error);
  }
  if (claims.iat !== undefined && claims.iat > now / 1000 + clockSkew) {
    throw notVerified('it was issued in the future');
  }
  return claims;
}

async function fetchKeys(
  deps: RemoteKeysDeps,
  authority: string,
): Promise<ReadonlyMap<string, PublishedKey>> {
  const set = await fetchObject(deps, await keySetAddress(deps, authority));
  if (!Array.isArray(set.keys)) throw new Error('the reply is no JWK set');
  const found = new Map<string, PublishedKey>();
  for (const jwk of set.keys.slice(0, mostKeys)) {
    const [kid, key] = publishedKey(jwk) ?? [];
    // The first key of an id stays: which one is meant by a repeated id is not for us to guess.
    if (kid !== undefined && key !== undefined && !found.has(kid)) found.set(kid, key);
  }
  if (found.size === 0) throw new Error('the JWK set has no usable key');
  return found;
}

/**
 * By OpenID Connect discovery; without a document, Azure Attestation's own address. The keys of an authority are
 * its own host's: a document that could send us anywhere would make this server a probe of its own network.
 */
async function keySetAddress(deps: RemoteKeysDeps, authority: string): Promise<string> {
  const usual = `${authority}/certs`;
  let document: Record<string, unknown>;
  try {
    document = await fetchObject(deps, `${authority}/.well-known/openid-configuration`);
  } catch (error) {
    if (error instanceof UnexpectedStatus && error.status === 404) return usual;
    throw error;
  }
  const { issuer, jwks_uri: address } = document;
  // Azure's own documents leave the issuer out.
  if (issuer !== undefined && (typeof issuer !== 'string' || authorityKey(issuer) !== authority)) {
    throw new Error('the discovery document names another issuer');
  }
  if (address === undefined) return usual;
  if (
    typeof address !== 'string' ||
    authorityKey(address) === undefined ||
    !isSameOrigin(address, authority)
  ) {
    throw new Error("jwks_uri is not an https address of the authority's own host");
  }
  return address;
}

function isSameOrigin(one: string, other: string): boolean {
  return new URL(one).origin === new URL(other).origin;
}

/** A signature key of the set, by its public members or, as Azure Attestation publishes them, in a certificate. */
function publishedKey(jwk: unknown): [kid: string, key: PublishedKey] | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kid, kty, crv, use, alg, n, e, x, y, x5c } = jwk as Record<string, unknown>;
  if (typeof kid !== 'string' || kid === '' || (use !== undefined && use !== 'sig')) return undefined;
  if (alg !== undefined && typeof alg !== 'string') return undefined;
  const members = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
  const isWhole = Object.values(members).every((value) => typeof value === 'string');
  const certificate = Array.isArray(x5c) && typeof x5c[0] === 'string' ? x5c[0] : undefined;
  if (!isWhole && (certificate === undefined || !/^[A-Za-z0-9+/]+=*$/.test(certificate))) return undefined;
  return [
    kid,
    {
      type: kty === 'EC' && typeof crv === 'string' ? `EC ${crv}` : String(kty),
      algorithm: alg,
      jwk: isWhole ? (members as Record<string, string>) : undefined,
      certificate,
    },
  ];
}

/** The key, for the algorithm that the token names, if that is one for this kind of key and no other was published. */
async function importKey(published: PublishedKey, alg: string): Promise<CryptoKey> {
  const { type, algorithm, jwk, certificate } = published;
  const fits = type === algorithms[alg] || (jwk === undefined && type === algorithms[alg]?.split(' ')[0]);
  if (!fits || (algorithm !== undefined && algorithm !== alg))
    throw notVerified('its algorithm is not that of the key');
  let key: CryptoKey | Uint8Array;
  try {
    const pem = () => `-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----`;
    key = await (jwk === undefined ? importX509(pem(), alg) : importJWK(jwk, alg));
  } catch (error) {
    throw notVerified("the authority's key cannot be read", error);
  }
  if (key instanceof Uint8Array || key.type !== 'public' || isShortRsa(key.algorithm)) {
    throw notVerified("the authority's key is too weak");
  }
  return key;
}

function requireKey(text: string): string {
  const key = authorityKey(text);
  if (key === undefined) throw new TypeError(`the attestation authority ${text} is no https URL`);
  return key;
}

/** One text for every cause: a caller who could tell them apart could try out what an authority accepts. */
function notVerified(reason: string, error?: unknown): Failure {
  return new Failure('accessDenied', 'Target environment attestation statement cannot be verified.', {
    cause: new Error(reason, { cause: error }),
  });
}

/** Azure's words, the two spaces included. */
function unreachable(): Failure {
  return new Failure('badParameter', 'AKV.SKR.1012: The specified attestation service  cannot be reached.');
}

function notTrusted(): Failure {
  return new Failure('badParameter', 'The specified attestation service is not trusted by this server.');
}
