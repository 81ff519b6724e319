/**
 * Verifies access tokens of the embedded service and of external issuers: form, key, signature, times, issuer,
 * tenant, audience. The key decides the algorithm, the issuer decides the keys, and the token decides neither.
 * Verified tokens are remembered by their digest until they expire.
 */
import { errors, jwtVerify } from 'jose';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import { sha256Base64 } from '../crypto/digests.ts';
import { isSameAudience } from './audiences.ts';
import {
  longestToken,
  type Members,
  malformed,
  parseCompactToken,
  textMember,
  type UnverifiedToken,
} from './compact-token.ts';
import type { DirectoryCache, DirectoryEntry } from './directory-cache.ts';
import { type IssuerNames, issuerOf } from './issuer-names.ts';
import { LruMap } from './lru.ts';
import { clockSkew, longestTokenLifetime } from './signing-keys.ts';
import { audiencesOf, externalPrincipal, ownPrincipal } from './token-claims.ts';
import type { TrustedIssuer, TrustedIssuers } from './trusted-issuers.ts';
import type { VerificationKey, VerificationKeys } from './verification-keys.ts';

/** What the API that is called demands of a token. */
export interface ExpectedToken {
  /** The first one is quoted in refusals. */
  readonly audiences: readonly string[];
  /** The vault's tenant, lower case. */
  readonly tenantId: string;
}

/** Tells who calls. */
export interface TokenValidator {
  /**
   * The principal of a token that has been verified before and is still good, without any waiting. `last` spares the
   * digest of a token that comes again on the same connection.
   */
  cached(token: string, expected: ExpectedToken, last?: LastToken): Principal | undefined;
  /** The principal of the token; fails with `unauthorized`, in Azure's words where they are known. */
  validate(token: string, expected: ExpectedToken): Promise<Principal>;
}

/** The token that a connection sent last, and its digest; kept by the connection, for as long as it is open. */
export interface LastToken {
  token: string;
  digest: string;
}

export interface TokenValidatorDeps {
  readonly clock: Clock;
  readonly trusted: TrustedIssuers;
  /** Who is disabled or deleted is refused at once, whatever tokens are about. */
  readonly directory: Pick<DirectoryCache, 'known' | 'entryOf'>;
}

export interface TokenValidatorOptions {
  /** The embedded service's names, one pair for each family of host names: refusals list them. */
  readonly ownIssuers: readonly IssuerNames[];
  /** Verified tokens that are remembered; default 10,000. */
  readonly cacheSize?: number;
}

/** An issuer's keys, and its reading of claims. */
interface Source {
  readonly keys: VerificationKeys;
  /** Audiences accepted from this issuer on every API. */
  readonly audiences: readonly string[];
  readonly types: readonly string[];
  /** Whether the directory must know the principal; an external issuer may speak for others too. */
  readonly isOwn: boolean;
  readonly principalOf: (claims: Members) => Principal;
}

interface VerifiedToken {
  readonly principal: Principal;
  readonly audiences: readonly string[];
  readonly source: Source;
  readonly kid: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** `typ` as Entra ID writes it; other issuers leave it out (Kubernetes) or follow RFC 9068. */
const ownTypes = ['jwt'];
const externalTypes = ['jwt', 'at+jwt', 'application/at+jwt', ''];

export function createTokenValidator(
  deps: TokenValidatorDeps,
  options: TokenValidatorOptions,
): TokenValidator {
  const { clock } = deps;
  const verified = new LruMap<VerifiedToken>(options.cacheSize ?? 10_000);

  function recall(token: string, last?: LastToken): { name: string; known: VerifiedToken | undefined } {
    const name = last?.token === token ? last.digest : sha256Base64(token);
    if (last !== undefined) {
      last.token = token;
      last.digest = name;
    }
    const known = verified.get(name);
    if (known === undefined) return { name, known };
    if (clock.now() < known.expires && known.source.keys.has(known.kid)) return { name, known };
    verified.delete(name);
    return { name, known: undefined };
  }

  async function verify(token: string, expected: ExpectedToken): Promise<VerifiedToken> {
    const unverified = parseCompactToken(token);
    const issuer = textMember(unverified.claims, 'iss');
    const trusted = issuer === undefined ? undefined : deps.trusted(issuer);
    const source = trusted === undefined ? undefined : sourceOf(trusted, unverified.claims.tid);
    if (issuer === undefined || source === undefined) throw invalidIssuer(options, expected, issuer);
    const { kid, key } = await keyOf(unverified, source);
    const claims = await verifySignature(token, { key, issuer, now: clock.now() });
    const principal = source.principalOf(claims);
    return { principal, audiences: audiencesOf(claims), source, kid, expires: Number(claims.exp) * 1000 };
  }

  return {
    cached(token, expected, last) {
      if (token.length > longestToken) return undefined;
      const { known } = recall(token, last);
      if (known === undefined || known.principal.tenantId !== expected.tenantId) return undefined;
      const entry = deps.directory.known(known.principal.objectId);
      if (entry === undefined || !mayAct(entry, known)) return undefined;
      return hasAudience(known, expected) ? known.principal : undefined;
    },

    async validate(token, expected) {
      // Before hashing: a caller must not choose how much there is to hash.
      if (token.length > longestToken) throw malformed(`it is longer than ${longestToken} characters`);
      const { name, known } = recall(token);
      const result = known ?? (await verify(token, expected));
      if (known === undefined && clock.now() < result.expires) verified.set(name, result);
      const { principal, audiences } = result;
      if (principal.tenantId !== expected.tenantId) throw invalidIssuer(options, expected, principal.issuer);
      if (!hasAudience(result, expected)) throw invalidAudience(expected, audiences);
      if (!mayAct(await deps.directory.entryOf(principal.objectId), result))
        throw malformed('its principal is disabled or deleted');
      return principal;
    },
  };
}

/** Of a token of our own, the issuer must be that of the tenant in `tid`; undefined if it is not. */
function sourceOf(trusted: TrustedIssuer, tid: unknown): Source | undefined {
  const { keys, isOwn } = trusted;
  if (!isOwn) {
    const { row } = trusted;
    const principalOf = (claims: Members) => externalPrincipal(claims, row);
    return { keys, isOwn, audiences: row.audiences, types: externalTypes, principalOf };
  }
  const { names, version, tenantId } = trusted;
  if (tid !== tenantId) return undefined;
  const form = { version, issuerOf: (tenant: string) => issuerOf(names, version, tenant) };
  const principalOf = (claims: Members) => ownPrincipal(claims, form);
  return { keys, isOwn, audiences: [], types: ownTypes, principalOf };
}

async function keyOf(
  { header, encodedHeader }: UnverifiedToken,
  source: Source,
): Promise<{ kid: string; key: VerificationKey }> {
  const type = (textMember(header, 'typ') ?? '').toLowerCase();
  if (!source.types.includes(type))
    throw malformed("the header parameter 'typ' is not that of an access token");
  const kid = textMember(header, 'kid');
  const key = kid === undefined ? undefined : await source.keys.find(kid);
  if (kid === undefined || key === undefined) {
    // Base64url by now, so that the only danger left is its length.
    const quoted = encodedHeader.slice(0, longestQuote);
    throw new Failure(
      'unauthorized',
      `AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '${quoted}'.`,
    );
  }
  return { kid, key };
}

/** Verifies signature and times, and returns the claims that the signature covers. */
async function verifySignature(
  token: string,
  { key, issuer, now }: { key: VerificationKey; issuer: string; now: number },
): Promise<Members & { readonly exp?: number }> {
  let claims: Members & { readonly exp?: number; readonly iat?: number };
  try {
    const { payload } = await jwtVerify(token, key.key, {
      algorithms: [key.algorithm],
      issuer,
      requiredClaims: ['exp', 'aud'],
      currentDate: new Date(now),
      clockTolerance: clockSkew,
    });
    claims = payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw refusalOf(error);
  }
  const latest = now / 1000 + clockSkew;
  if (!(Number(claims.exp) <= latest + longestTokenLifetime))
    throw malformed('it expires too far in the future');
  if (claims.iat !== undefined && claims.iat > latest) throw malformed('it was issued in the future');
  return claims;
}

function refusalOf(error: errors.JOSEError): Failure {
  if (error instanceof errors.JWTExpired) return malformed('it has expired', error);
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return malformed('its signature is wrong', error);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return malformed('its algorithm is not that of the key', error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed') {
      return new Failure('unauthorized', 'Token not yet valid', { cause: error });
    }
    return malformed(`the claim '${error.claim}' is missing or not what it must be`, error);
  }
  return malformed('it is not a signed JWT', error);
}

function mayAct({ principal }: DirectoryEntry, { source, principal: { tenantId } }: VerifiedToken): boolean {
  if (principal === undefined) return !source.isOwn;
  // An object id of another tenant's is not the one that the token means.
  return principal.enabled && principal.tenantId === tenantId;
}

function hasAudience({ audiences, source }: VerifiedToken, expected: ExpectedToken): boolean {
  for (const audience of audiences) {
    for (const accepted of expected.audiences) if (isSameAudience(audience, accepted)) return true;
    for (const accepted of source.audiences) if (isSameAudience(audience, accepted)) return true;
  }
  return false;
}

function invalidAudience(expected: ExpectedToken, audiences: readonly string[]): Failure {
  const found = audiences.slice(0, 5).map(quotable).join(', ');
  return new Failure(
    'unauthorized',
    `AKV10022: Invalid audience. Expected ${expected.audiences[0] ?? '(none)'}, found: ${found}.`,
  );
}

/** Lists our own issuers only: which external ones are trusted is not for strangers to learn. */
function invalidIssuer(
  { ownIssuers }: TokenValidatorOptions,
  { tenantId }: ExpectedToken,
  issuer: string | undefined,
): Failure {
  const accepted = ownIssuers.map((names) => issuerOf(names, '1.0', tenantId)).join(', ');
  const found = issuer === undefined ? '(none)' : quotable(issuer);
  return new Failure(
    'unauthorized',
    `AKV10032: Invalid issuer. Expected one of ${accepted}, found ${found}.`,
  );
}

const longestQuote = 256;

/** The text if it is short and made of a URI's harmless characters; a caller chose it, and logs and terminals show it. */
function quotable(text: string): string {
  return text.length <= longestQuote && /^[\w:/.~@-]+$/.test(text) ? text : '(not shown)';
}
