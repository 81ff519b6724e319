/** Users: their names, and their passwords, of which slow hashes are kept. */
import { Failure } from '../core/errors.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import type { SecretHasher } from './client-secrets.ts';
import {
  type ClientCredential,
  type DirectoryDeps,
  type PrincipalDetail,
  type PrincipalRecord,
  register,
} from './principals.ts';

/** 31 December 9999: the `expires` of what does not expire. */
export const neverExpires = Date.UTC(9999, 11, 31);

/** Entra ID's rule for user principal names: these characters, 64 of them before the `@` and 48 behind it. */
const userNameForm =
  /^(?=[^@]{1,64}@[^@]{1,48}$)[\w!#^~'-]+(?:\.[\w!#^~'-]+)*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i;

/** Entra ID's bounds. */
const shortestPassword = 8;
const longestPassword = 256;
const leastDistinct = 5;

export type UserDeps = DirectoryDeps & { readonly hasher: SecretHasher };

/**
 * Registers a user, with a password or without one, in which case nobody signs in with one. Fails with `badParameter`
 * for a name or password that cannot be, with `alreadyExists` for a user name that is taken.
 */
export async function createUser(
  deps: UserDeps,
  input: {
    tenantId: string;
    userName: string;
    displayName: string;
    password?: SecretBytes | undefined;
    enabled?: boolean;
    detail?: PrincipalDetail;
  },
): Promise<PrincipalRecord> {
  const { password, ...user } = input;
  assertUserName(user.userName);
  // Before anything is written: a user is not to be left without the password that was asked for.
  if (password !== undefined) assertPassword(password, user.userName);
  const hash = password === undefined ? undefined : await deps.hasher.hash(password);
  const made = await register(deps, { ...user, kind: 'user' });
  if (hash !== undefined) await deps.store.addCredential(passwordCredential(deps, made.objectId, hash));
  return made;
}

/** Fails with `badParameter` for what is no user principal name. */
export function assertUserName(userName: string): void {
  if (!userNameForm.test(userName))
    throw new Failure('badParameter', 'A user principal name has the form of an e-mail address.');
}

/** Puts a new password in the place of the user's. Fails with `notFound` for whoever is no user, or `badParameter`. */
export async function setPassword(
  deps: UserDeps,
  { objectId, password }: { objectId: string; password: SecretBytes },
): Promise<void> {
  const user = await deps.store.byObjectId(objectId);
  if (user?.kind !== 'user') throw new Failure('notFound', 'There is no such user.');
  assertPassword(password, user.userName ?? '');
  const hash = await deps.hasher.hash(password);
  const before = await deps.store.credentialsOf(objectId);
  await deps.store.addCredential(passwordCredential(deps, objectId, hash));
  for (const { kind, keyId } of before)
    if (kind === 'password') await deps.store.removeCredential(objectId, keyId);
}

/** A password of 20 characters, 120 bits, that reads as no option on a command line. */
export function generatePassword(random: DirectoryDeps['random']): SecretBytes {
  const text = Buffer.from(random.bytes(15)).toString('base64url').replace(/^-/, 'A');
  return SecretBytes.fromText(text);
}

/**
 * Length and a little sense instead of rules for characters (NIST SP 800-63B §3.1.1.2): 8 to 256 printable characters,
 * five different ones, and not the user's own name. Fails with `badParameter`.
 */
export function assertPassword(password: SecretBytes, userName: string): void {
  const text = password.exposeText();
  const characters = [...text];
  const [own = ''] = userName.toLowerCase().split('@');
  if (characters.length < shortestPassword || text.length > longestPassword)
    throw unfit(`has ${shortestPassword} to ${longestPassword} characters`);
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) throw unfit('consists of printable characters');
  if (new Set(characters).size < leastDistinct) throw unfit(`has ${leastDistinct} different characters`);
  if (own.length > 3 && text.toLowerCase().includes(own)) throw unfit('does not contain the user name');
}

function unfit(rule: string): Failure {
  return new Failure(
    'badParameter',
    `The specified password does not comply with password complexity requirements: a password ${rule}.`,
  );
}

function passwordCredential(
  { clock, random }: DirectoryDeps,
  objectId: string,
  hash: string,
): ClientCredential {
  return {
    kind: 'password',
    detail: {},
    keyId: random.guid(),
    objectId,
    hash,
    // Of a password that a person chose, the first characters are telling.
    hint: '',
    created: clock.now(),
    expires: neverExpires,
  };
}
