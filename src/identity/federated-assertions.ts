/**
 * Federated client assertions: a token of an issuer outside (Kubernetes, GitHub, another tenant) in the place of a
 * secret, for an application that has registered the issuer, the subject and the audiences. Only registered issuers are
 * ever asked for keys. Such tokens are meant to be used until they end, so that they may come again.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { Failure } from '../core/errors.ts';
import { disabledApplication, findApplication } from './applications.ts';
import { type AssertionVerifier, assertTimes, parseAssertion, refusalOf } from './client-assertions.ts';
import { textMember } from './compact-token.ts';
import { LruMap } from './lru.ts';
import type { ClientCredential, PrincipalStore } from './principals.ts';
import { createRemoteKeys, type RemoteKeysDeps } from './remote-keys.ts';
import { clockSkew } from './signing-keys.ts';
import { audiencesOf } from './token-claims.ts';
import type { TrustedIssuer, TrustedIssuers } from './trusted-issuers.ts';
import type { VerificationKeys } from './verification-keys.ts';

interface Deps extends RemoteKeysDeps {
  readonly store: PrincipalStore;
  /** Keys of issuers that the configuration knows: this server's own, and those that have their keys elsewhere. */
  readonly trusted: TrustedIssuers;
}

const algorithms: readonly string[] = ['RS256', 'ES256'];
/** Issuers whose keys are kept. */
const mostIssuers = 64;

type Federated = NonNullable<ClientCredential['detail']['federated']>;

/** Makes the verifier. */
export function createFederatedAssertionVerifier(deps: Deps): AssertionVerifier {
  const { store, clock } = deps;
  const asked = new LruMap<VerificationKeys>(mostIssuers);

  function keysOf(issuer: string): Pick<TrustedIssuer, 'keys' | 'isOwn'> {
    const known = deps.trusted(issuer);
    if (known !== undefined) return known;
    try {
      const keys = asked.get(issuer) ?? createRemoteKeys(deps, { issuer, algorithms });
      asked.set(issuer, keys);
      return { keys, isOwn: false };
    } catch (cause) {
      throw notVerified(cause);
    }
  }

  return async (presented) => {
    const { header, claims: unverified } = parseAssertion(presented.assertion);
    const application = await findApplication(store, presented, ['application', 'managedIdentity']);
    const all = application === undefined ? [] : await store.credentialsOf(application.objectId);
    const registered = all.flatMap(({ kind, detail }) =>
      kind === 'federated' && detail.federated !== undefined ? [detail.federated] : [],
    );
    const issuer = textMember(unverified, 'iss');
    const subject = textMember(unverified, 'sub');
    const found = registered.find((row) => row.issuer === issuer && row.subject === subject);
    if (application === undefined || found === undefined) throw notRegistered();
    const kid = textMember(header, 'kid');
    const { keys, isOwn } = keysOf(found.issuer);
    const key = kid === undefined ? undefined : await keys.find(kid);
    if (key === undefined) throw notVerified();
    const claims = await verified(presented.assertion, { ...found, ...key, now: clock.now() });
    assertTimes(claims, clock.now());
    if (!audiencesOf(claims).some((audience) => found.audiences.includes(audience))) throw notRegistered();
    // A token of our own counts for nothing from the moment that its principal is disabled or gone.
    if (isOwn && (await store.byObjectId(found.subject))?.enabled !== true) throw notVerified();
    if (!application.enabled) throw disabledApplication(presented.clientId);
    return application;
  };
}

async function verified(
  assertion: string,
  by: Pick<Federated, 'issuer' | 'subject'> & {
    readonly key: Parameters<typeof jwtVerify>[1];
    readonly algorithm: string;
    readonly now: number;
  },
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(assertion, by.key, {
      algorithms: [by.algorithm],
      issuer: by.issuer,
      subject: by.subject,
      requiredClaims: ['exp', 'aud'],
      clockTolerance: clockSkew,
      currentDate: new Date(by.now),
    });
    return payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw refusalOf(error);
  }
}

/** Which of issuer, subject and audience does not fit is for the application's owner to find out. */
function notRegistered(): Failure {
  return new Failure(
    'invalidClient',
    'AADSTS70021: No matching federated identity record found for presented assertion. Check issuer, subject and audience.',
  );
}

function notVerified(cause?: unknown): Failure {
  return new Failure('invalidClient', 'AADSTS700027: Client assertion failed signature validation.', {
    cause,
  });
}
