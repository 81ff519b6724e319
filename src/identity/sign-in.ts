/**
 * Signing a user in by password: a name that nobody has costs and says what a wrong password does, guessing locks, and
 * the slow checks at any moment are bounded.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { foldCase } from '../core/names.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import type { KeyedDigest } from '../crypto/digests.ts';
import { createBoundedWork } from './bounded-work.ts';
import type { SecretHasher } from './client-secrets.ts';
import { chargeAttempt, type FailureStore } from './lock-out.ts';
import type { ClientCredential, PrincipalRecord, PrincipalStore } from './principals.ts';

/** What somebody types. */
export interface PasswordSignIn {
  readonly userName: string;
  readonly password: SecretBytes;
  /** The tenants in which the name is looked for, in order. */
  readonly tenantIds: readonly string[];
  /** Told whose name it is, before it is known whether the password is right. */
  readonly onFound?: (user: PrincipalRecord) => void;
}

/** A user who has signed in, and the key id of the password by which: what comes of it ends with that password. */
export interface UserSignIn {
  readonly user: PrincipalRecord;
  readonly passwordId: string;
}

/** Resolves to the user; fails with `invalidGrant` in Entra ID's words, or `throttled`. */
export type PasswordVerifier = (given: PasswordSignIn) => Promise<UserSignIn>;

interface Deps {
  readonly store: PrincipalStore;
  readonly failures: FailureStore;
  readonly hasher: SecretHasher;
  readonly clock: Clock;
  /** Under a key that all nodes share. */
  readonly digest: () => Promise<KeyedDigest>;
}

/** Bytes: no password is longer (NIST SP 800-63B §3.1.1.2 asks for 64 characters at least). */
const longestPassword = 1024;
const longestUserName = 256;

/** Makes the verifier: `concurrent` slow checks run at once and `waiting` more queue. */
export function createPasswordVerifier(
  deps: Deps,
  limits: { concurrent: number; waiting: number } = { concurrent: 4, waiting: 16 },
): PasswordVerifier {
  const slowly = createBoundedWork(limits);
  const { hasher, clock, failures } = deps;

  async function check(given: PasswordSignIn, user: PrincipalRecord | undefined): Promise<ClientCredential> {
    // A name that nobody has is counted by its digest: it may be anything that somebody typed, a password too.
    const name = SecretBytes.fromText(JSON.stringify([given.tenantIds, foldCase(given.userName)]));
    const stranger = `name/${(await deps.digest())('name', name)}`;
    const counted = user?.objectId ?? stranger;
    await chargeAttempt({ store: failures, clock }, counted);
    const credential = await passwordOf(deps.store, counted);
    const isRight = await hasher.verify(given.password, credential?.hash ?? hasher.decoy);
    if (credential === undefined || !isRight) throw wrongPassword();
    await failures.clear(counted);
    return credential;
  }

  return async (given) => {
    if (given.password.length > longestPassword || given.userName.length > longestUserName)
      throw wrongPassword();
    const user = await findUser(deps.store, given);
    if (user !== undefined) given.onFound?.(user);
    const credential = await slowly(() => check(given, user));
    if (user === undefined) throw wrongPassword();
    // Only who knows the password learns more.
    if (!user.enabled) throw disabledUser();
    if (clock.now() >= credential.expires) {
      throw new Failure('invalidGrant', 'AADSTS50055: The password is expired.');
    }
    return { user, passwordId: credential.keyId };
  };
}

/** The user's password, as kept; undefined for one who has none. */
export async function passwordOf(
  store: PrincipalStore,
  objectId: string,
): Promise<ClientCredential | undefined> {
  return (await store.credentialsOf(objectId)).findLast(({ kind }) => kind === 'password');
}

async function findUser(
  store: PrincipalStore,
  { userName, tenantIds }: PasswordSignIn,
): Promise<PrincipalRecord | undefined> {
  // PostgreSQL's text holds no U+0000, and nobody's name does.
  if (userName === '' || userName.includes('\0')) return undefined;
  for (const tenantId of tenantIds) {
    const found = await store.byUserName(tenantId, userName);
    if (found?.kind === 'user') return found;
  }
  return undefined;
}

function wrongPassword(): Failure {
  return new Failure(
    'invalidGrant',
    'AADSTS50126: Error validating credentials due to invalid username or password.',
  );
}

/** Entra ID's AADSTS50057. */
export function disabledUser(): Failure {
  return new Failure('invalidGrant', 'AADSTS50057: The user account is disabled.');
}
