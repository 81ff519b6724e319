/**
 * Authorization codes (RFC 6749 §4.1.2) with PKCE (RFC 7636): for ten minutes, one use, one client, one redirect URI. A
 * code that comes with wrong proof is used up by it, and one that comes twice ends the session that it led to.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { sha256Base64 } from '../crypto/digests.ts';
import { grantId, type LoginGrant, type LoginGrantStore, newHolding } from './login-grants.ts';

export type ChallengeMethod = 'S256' | 'plain';

export interface CodeChallenge {
  readonly method: ChallengeMethod;
  readonly value: string;
}

/** What a code stands for. */
export interface CodeSubject {
  readonly objectId: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string;
  /** Key id of the password that the user signed in with. */
  readonly passwordId: string;
  readonly nonce: string | undefined;
  readonly challenge: CodeChallenge | undefined;
}

/** What a client brings to redeem one. */
export interface CodeProof {
  readonly clientId: string;
  readonly redirectUri: string | undefined;
  readonly verifier: string | undefined;
}

export interface AuthorizationCodes {
  issue(subject: CodeSubject): Promise<string>;
  /** What the code stands for, its proof checked; it is used up by the session that it leads to. */
  redeem(code: string, proof: CodeProof): Promise<{ subject: CodeSubject; grant: LoginGrant }>;
  /** What follows from a code's coming twice: the session ends. Throws `invalidGrant`. */
  refuseReuse(grant: LoginGrant): Promise<never>;
}

/** Entra ID's ten minutes. */
const lifetime = 10 * 60_000;
/** RFC 7636 §4.1. */
const verifierForm = /^[A-Za-z0-9._~-]{43,128}$/;

export function createAuthorizationCodes(deps: {
  store: LoginGrantStore;
  clock: Clock;
  random: Random;
}): AuthorizationCodes {
  const { store, clock, random } = deps;

  function useUp(was: LoginGrant): Promise<boolean> {
    return store.exchange({ from: { was, becomes: { ...was, used: clock.now() } }, adds: [] });
  }

  async function refuseReuse(grant: LoginGrant): Promise<never> {
    await store.revokeFamily(grant.family);
    throw new Failure('invalidGrant', 'AADSTS54005: OAuth2 Authorization code was already redeemed.');
  }

  return {
    refuseReuse,

    async issue({ objectId, ...detail }) {
      const code = newHolding(random);
      const created = clock.now();
      await store.addOnce({
        id: grantId('code', code),
        kind: 'code',
        family: random.guid(),
        objectId,
        detail,
        created,
        expires: created + lifetime,
        used: undefined,
      });
      return code;
    },

    async redeem(code, proof) {
      const grant = await store.byId(grantId('code', code));
      const { objectId } = grant ?? {};
      if (grant === undefined || objectId === undefined) throw invalidCode();
      if (grant.used !== undefined) return refuseReuse(grant);
      const subject: CodeSubject = { ...(grant.detail as Omit<CodeSubject, 'objectId'>), objectId };
      const refusal = clock.now() >= grant.expires ? expiredCode() : refusalOf(subject, proof);
      if (refusal === undefined) return { subject, grant };
      await useUp(grant);
      throw refusal;
    },
  };
}

function refusalOf(subject: CodeSubject, proof: CodeProof): Failure | undefined {
  if (subject.clientId !== proof.clientId) return invalidCode();
  if (subject.redirectUri !== proof.redirectUri) {
    return new Failure(
      'invalidGrant',
      'AADSTS500112: The reply address does not match the one provided when requesting the authorization code.',
    );
  }
  if (answersChallenge(subject.challenge, proof.verifier)) return undefined;
  return new Failure(
    'invalidGrant',
    'AADSTS50148: The code_verifier does not match the code_challenge supplied in the authorization request for PKCE.',
  );
}

/** True if the verifier is the challenge's; a verifier without a challenge is a challenge that was stripped off. */
export function answersChallenge(
  challenge: CodeChallenge | undefined,
  verifier: string | undefined,
): boolean {
  if (challenge === undefined || verifier === undefined)
    return challenge === undefined && verifier === undefined;
  if (!verifierForm.test(verifier)) return false;
  const answer = challenge.method === 'plain' ? verifier : base64Url(sha256Base64(verifier));
  return SecretBytes.fromText(answer).equals(SecretBytes.fromText(challenge.value));
}

/** The challenge of an authorization request; fails with `invalidRequest` for one that no verifier can answer. */
export function parseChallenge(value: string | null, method: string | null): CodeChallenge | undefined {
  if (value === null) {
    if (method === null) return undefined;
    throw new Failure('invalidRequest', 'AADSTS501491: The code_challenge is missing.');
  }
  // RFC 7636 §4.3: plain where no method is named.
  const named = method ?? 'plain';
  const isWellFormed = named === 'S256' ? /^[\w-]{43}$/.test(value) : verifierForm.test(value);
  if ((named !== 'S256' && named !== 'plain') || !isWellFormed) {
    throw new Failure('invalidRequest', 'AADSTS501491: The code_challenge or its method is not valid.');
  }
  return { method: named, value };
}

function base64Url(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function invalidCode(): Failure {
  return new Failure(
    'invalidGrant',
    'AADSTS70000: The provided authorization code is not valid for this client.',
  );
}

function expiredCode(): Failure {
  return new Failure('invalidGrant', 'AADSTS70008: The provided authorization code has expired.');
}
