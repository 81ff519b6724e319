/**
 * Client assertions (RFC 7523 §3): JWTs by which an application proves itself in the place of a secret, signed with the
 * key of a certificate that it has registered. The registered certificate decides the key; a certificate in the
 * assertion decides nothing.
 */
import { type CryptoKey, errors, importX509, type JWTPayload, jwtVerify } from 'jose';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { disabledApplication, findApplication } from './applications.ts';
import { type Members, parseCompactToken, textMember, type UnverifiedToken } from './compact-token.ts';
import { grantId, type LoginGrant, type LoginGrantStore } from './login-grants.ts';
import type { ClientCredential, PrincipalRecord, PrincipalStore } from './principals.ts';
import { isShortRsa } from './remote-keys.ts';
import { clockSkew } from './signing-keys.ts';

/** What comes with a token request. */
export interface PresentedAssertion {
  readonly assertion: string;
  /** The application that the request names, lower case. */
  readonly clientId: string;
  /** Undefined where the path names none. */
  readonly tenantId: string | undefined;
  /** True for each text that names this server's token endpoint or issuer for the tenant. */
  readonly isOwnAudience: (audience: string) => boolean;
  /** What the application asks for itself; undefined for a request that redeems something else besides. */
  readonly resource: string | undefined;
  /** The client's IP address. */
  readonly address: string;
}

/** Resolves to the application; fails with `invalidClient` in Entra ID's words. */
export type AssertionVerifier = (presented: PresentedAssertion) => Promise<PrincipalRecord>;

/** RS256 of Python and Go, PS256 of JavaScript and .NET, ES256 for certificates of elliptic curves. */
const algorithms: readonly string[] = ['RS256', 'PS256', 'ES256'];
/** Seconds that an assertion may still be good for. Clients make theirs for ten minutes, go-azure-sdk for an hour. */
const longestAssertion = 24 * 60 * 60;
/**
 * Milliseconds in which the same request may come again: two clients in one program that share a credential ask at the
 * same moment, with one assertion.
 */
const sameRequest = 10_000;
/** Certificates looked at for one assertion. */
const mostCertificates = 32;

interface Deps {
  readonly store: PrincipalStore;
  readonly grants: LoginGrantStore;
  readonly clock: Clock;
}

/** True for an assertion that its own application has signed; others are of an issuer outside. Nothing is verified. */
export function isSelfIssued(assertion: string, clientId: string): boolean {
  const { claims } = parseAssertion(assertion);
  return textMember(claims, 'iss')?.toLowerCase() === clientId;
}

/** Parses an assertion; fails with `invalidClient`. */
export function parseAssertion(assertion: string): UnverifiedToken {
  try {
    return parseCompactToken(assertion, ['x5c']);
  } catch (cause) {
    throw new Failure('invalidClient', 'AADSTS50027: The client assertion is not a signed JWT.', { cause });
  }
}

/** Makes the verifier of assertions that are signed with a certificate's key. */
export function createCertificateAssertionVerifier(deps: Deps): AssertionVerifier {
  const { store, grants, clock } = deps;
  return async (presented) => {
    const { header, claims: unverified } = parseAssertion(presented.assertion);
    const application = await findApplication(store, presented);
    const certificate = await findCertificate(store, application, header);
    if (application === undefined || certificate === undefined) throw noSuchKey();
    const now = clock.now();
    const claims = await verified(presented.assertion, { certificate, algorithm: header.alg, now });
    assertClaims(claims, presented, now);
    if (now >= certificate.expires) {
      throw new Failure(
        'invalidClient',
        'AADSTS7000222: The certificate of the client assertion has expired.',
      );
    }
    if (!application.enabled) throw disabledApplication(presented.clientId);
    // Without the signature: of one of ECDSA there is always a second one that is as good.
    const id = textMember(unverified, 'jti') ?? signedPart(presented.assertion);
    await assertFirstUse({ grants, clock }, presented, { id, expires: Number(claims.exp) * 1000 });
    return application;
  };
}

function signedPart(assertion: string): string {
  return assertion.slice(0, assertion.lastIndexOf('.'));
}

/**
 * The certificate whose thumbprint the header names: SHA-1 in `x5t`, SHA-256 in `x5t#S256`, or SHA-1 in `kid` (Go);
 * base64url with or without padding, or hexadecimal.
 */
async function findCertificate(
  store: PrincipalStore,
  application: PrincipalRecord | undefined,
  header: Members,
): Promise<ClientCredential | undefined> {
  const all = application === undefined ? [] : await store.credentialsOf(application.objectId);
  const named = [textMember(header, 'x5t#S256'), textMember(header, 'x5t'), textMember(header, 'kid')];
  const thumbprint = named.find((text) => text !== undefined);
  if (thumbprint === undefined) return undefined;
  const wanted = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(thumbprint)
    ? thumbprint.toUpperCase()
    : Buffer.from(thumbprint, 'base64url').toString('hex').toUpperCase();
  return all
    .filter(({ kind }) => kind === 'certificate')
    .slice(0, mostCertificates)
    .find(({ detail: { certificate } }) => certificate?.sha1 === wanted || certificate?.sha256 === wanted);
}

async function verified(
  assertion: string,
  by: { certificate: ClientCredential; algorithm: unknown; now: number },
): Promise<JWTPayload> {
  const { algorithm } = by;
  if (typeof algorithm !== 'string' || !algorithms.includes(algorithm)) throw noSuchKey();
  const key = await importCertificate(by.certificate, algorithm);
  try {
    const currentDate = new Date(by.now);
    const options = {
      algorithms: [algorithm],
      clockTolerance: clockSkew,
      currentDate,
      requiredClaims: ['exp'],
    };
    return (await jwtVerify(assertion, key, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw refusalOf(error);
  }
}

async function importCertificate({ detail }: ClientCredential, algorithm: string): Promise<CryptoKey> {
  const der = detail.certificate?.der ?? '';
  const pem = `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----`;
  const key = await importX509(pem, algorithm).catch((cause: unknown) => {
    throw noSuchKey(cause);
  });
  if (isShortRsa(key.algorithm)) throw noSuchKey();
  return key;
}

/** The refusal of what jose refuses. */
export function refusalOf(error: errors.JOSEError): Failure {
  const isTime =
    error instanceof errors.JWTExpired ||
    (error instanceof errors.JWTClaimValidationFailed &&
      error.claim === 'nbf' &&
      error.reason === 'check_failed');
  if (isTime) return notInTime(error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new Failure(
      'invalidClient',
      `AADSTS50027: The claim '${error.claim}' of the client assertion is missing or not what it must be.`,
      { cause: error },
    );
  }
  return noSuchKey(error);
}

function assertClaims(claims: JWTPayload, presented: PresentedAssertion, now: number): void {
  const { iss, sub, aud } = claims;
  if (iss?.toLowerCase() !== presented.clientId || sub?.toLowerCase() !== presented.clientId) {
    throw new Failure(
      'invalidClient',
      "AADSTS700021: Client assertion application identifier doesn't match 'client_id' parameter.",
    );
  }
  // One audience: an assertion that is also for others could be used here by them.
  if (typeof aud !== 'string' || !presented.isOwnAudience(aud)) throw wrongAudience();
  assertTimes(claims, now);
}

/** The end is near, and the beginning past; fails with `invalidClient`. */
export function assertTimes(claims: JWTPayload, now: number): void {
  const latest = now / 1000 + clockSkew;
  if (!(Number(claims.exp) <= latest + longestAssertion)) throw notInTime();
  if (claims.iat !== undefined && !(claims.iat <= latest)) throw notInTime();
}

export function wrongAudience(): Failure {
  return new Failure(
    'invalidClient',
    'AADSTS700023: Client assertion audience claim does not match Realm issuer.',
  );
}

/**
 * An assertion is for whoever used it first: MSAL for JavaScript and Python keep one for ten minutes and ask for tokens
 * for several resources with it, so that it cannot be for one use only. Another address, or the same request again after
 * a moment, is somebody else's replay.
 */
async function assertFirstUse(
  { grants, clock }: Pick<Deps, 'grants' | 'clock'>,
  { clientId, address, resource }: PresentedAssertion,
  { id, expires }: { id: string; expires: number },
): Promise<void> {
  const created = clock.now();
  const remember = (held: string) => {
    const grant: LoginGrant = {
      id: grantId('assertion', held),
      kind: 'assertion',
      family: '',
      objectId: undefined,
      detail: { address },
      created,
      expires: expires + clockSkew * 1000,
      used: created,
    };
    return grants.addOnce(grant);
  };
  const first = await remember(JSON.stringify([clientId, id]));
  const isSameClient = (first.detail as { address?: unknown }).address === address;
  // A code, a refresh token or a password is another proof, with rules of its own about coming again.
  const again =
    resource === undefined ? { created } : await remember(JSON.stringify([clientId, id, resource]));
  if (isSameClient && created <= again.created + sameRequest) return;
  throw new Failure(
    'invalidClient',
    'AADSTS700027: The client assertion was used before. Sign a new one for each request.',
  );
}

function notInTime(cause?: unknown): Failure {
  return new Failure('invalidClient', 'AADSTS700024: Client assertion is not within its valid time range.', {
    cause,
  });
}

/** An unknown application, certificate and key look alike. */
function noSuchKey(cause?: unknown): Failure {
  return new Failure(
    'invalidClient',
    'AADSTS700027: Client assertion failed signature validation. Check that the certificate is registered with the application.',
    { cause },
  );
}
