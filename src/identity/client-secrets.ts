/**
 * Client secrets: made by the server, shown once, kept as slow hashes. Checking one costs tens of milliseconds, so
 * that verified ones are remembered by a keyed digest and the slow checks at any moment are bounded.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { createKeyedDigest } from '../crypto/digests.ts';
import { disabledApplication, findApplication } from './applications.ts';
import { createBoundedWork } from './bounded-work.ts';
import { LruMap } from './lru.ts';
import type { ClientCredential, DirectoryDeps, PrincipalRecord, PrincipalStore } from './principals.ts';

/** The slow hash, as an argument; the implementation is `crypto/password-hash.ts`. */
export interface SecretHasher {
  hash(secret: SecretBytes): Promise<string>;
  verify(secret: SecretBytes, encoded: string): Promise<boolean>;
  /** A hash that no secret matches and that costs as much as any other. */
  readonly decoy: string;
}

const hintLength = 3;
/** 44 characters of base64url: 264 bits, of which the first character's form costs a fraction of one. */
const secretBytes = 33;
/** Entra ID's longest lifetime of a client secret. */
const longestLifetime = 2 * 366 * 24 * 60 * 60 * 1000;
/** How long a verified secret is remembered, in milliseconds. */
const memory = 10 * 60 * 1000;
const memorySize = 10_000;

/**
 * Adds a secret to an application. The secret is returned this once. `expires` is in milliseconds since 1970, within
 * two years. Fails with `notFound` for an unknown principal, `badParameter` for one that cannot have secrets.
 */
export async function addSecret(
  { store, clock, random, hasher }: DirectoryDeps & { readonly hasher: SecretHasher },
  input: { objectId: string; expires: number; displayName?: string | undefined },
): Promise<{ credential: ClientCredential; secret: SecretBytes }> {
  const principal = await store.byObjectId(input.objectId);
  if (principal === undefined) throw new Failure('notFound', 'There is no such application.');
  if (principal.kind !== 'application')
    throw new Failure('badParameter', 'Only applications have client secrets.');
  const created = clock.now();
  if (!(input.expires > created && input.expires <= created + longestLifetime)) {
    throw new Failure('badParameter', 'A client secret expires in the future and within two years.');
  }
  // A leading hyphen would read as an option on a command line.
  const text = Buffer.from(random.bytes(secretBytes)).toString('base64url').replace(/^-/, 'A');
  const secret = SecretBytes.fromText(text);
  const credential: ClientCredential = {
    kind: 'secret',
    detail: input.displayName === undefined ? {} : { displayName: input.displayName },
    keyId: random.guid(),
    objectId: principal.objectId,
    hash: await hasher.hash(secret),
    hint: text.slice(0, hintLength),
    created,
    expires: input.expires,
  };
  await store.addCredential(credential);
  return { credential, secret };
}

/** Removes a secret, which is refused from then on. Fails with `notFound`. */
export async function removeSecret(
  store: PrincipalStore,
  { objectId, keyId }: { objectId: string; keyId: string },
): Promise<void> {
  if (!(await store.removeCredential(objectId, keyId))) {
    throw new Failure('notFound', 'The application has no such client secret.');
  }
}

/** What a client presents at the token endpoint. */
export interface PresentedSecret {
  readonly appId: string;
  readonly secret: SecretBytes;
  readonly tenantId: string;
}

/** Resolves to the application whose secret it is; fails with `invalidClient`, or `throttled` under guessing. */
export type ClientSecretVerifier = (presented: PresentedSecret) => Promise<PrincipalRecord>;

/**
 * Makes the verifier. `concurrent` slow checks run at once and `waiting` more queue. An unknown application and a
 * wrong secret get the same answer after the same work, so that neither the text nor the time tells which it was.
 */
export function createClientSecretVerifier(
  deps: { store: PrincipalStore; clock: Clock; random: Random; hasher: SecretHasher },
  limits: { concurrent: number; waiting: number } = { concurrent: 4, waiting: 16 },
): ClientSecretVerifier {
  const { store, clock, hasher } = deps;
  const digest = createKeyedDigest(new SecretBytes(deps.random.bytes(32)));
  const slowly = createBoundedWork(limits);
  const verified = new LruMap<{ keyId: string; until: number }>(memorySize);

  /** Slow checks under way: whoever asks the same of the same credentials meanwhile waits for the same answer. */
  const checking = new Map<string, Promise<ClientCredential | undefined>>();
  function check(name: string, secret: SecretBytes, credentials: readonly ClientCredential[]) {
    const question = [name, ...credentials.map(({ keyId }) => keyId)].join('|');
    const underWay = checking.get(question);
    if (underWay !== undefined) return underWay;
    const checked = slowly(() => match(secret, credentials)).finally(() => checking.delete(question));
    checking.set(question, checked);
    return checked;
  }

  /** The credential whose secret this is; always one slow hash at least. */
  async function match(secret: SecretBytes, credentials: readonly ClientCredential[]) {
    const hint = secret.exposeText().slice(0, hintLength);
    const candidates = credentials.filter((credential) => credential.hint === hint);
    if (candidates.length === 0) await hasher.verify(secret, hasher.decoy);
    for (const credential of candidates) {
      if (await hasher.verify(secret, credential.hash)) return credential;
    }
    return undefined;
  }

  return async (presented) => {
    const { appId: clientId, tenantId, secret } = presented;
    const principal = await findApplication(store, { clientId, tenantId });
    // Read each time: a credential removed on any node is refused here at once, remembered or not.
    const all = principal === undefined ? [] : await store.credentialsOf(principal.objectId);
    const credentials = all.filter(({ kind }) => kind === 'secret');
    const name = digest(clientId.toLowerCase(), secret);
    const known = verified.get(name);
    let found =
      known !== undefined && clock.now() < known.until ? byKeyId(credentials, known.keyId) : undefined;
    if (found === undefined) {
      found = await check(name, secret, credentials);
      if (found !== undefined) verified.set(name, { keyId: found.keyId, until: clock.now() + memory });
    }
    if (principal === undefined || found === undefined) throw wrongSecret();
    // Only who knows the secret learns that it has expired, or that the application is disabled.
    if (clock.now() >= found.expires) throw expiredSecret(clientId);
    if (!principal.enabled) throw disabledApplication(clientId);
    return principal;
  };
}

function byKeyId(credentials: readonly ClientCredential[], keyId: string): ClientCredential | undefined {
  return credentials.find((credential) => credential.keyId === keyId);
}

/** Entra ID's AADSTS7000215; it answers 700016 for an unknown application, which would tell who exists. */
function wrongSecret(): Failure {
  return new Failure(
    'invalidClient',
    'AADSTS7000215: Invalid client secret provided. Check the client id, the tenant and that the secret itself is sent, not its key id.',
  );
}

function expiredSecret(appId: string): Failure {
  return new Failure(
    'invalidClient',
    `AADSTS7000222: The provided client secret keys for app '${appId}' are expired. Add a new client secret.`,
  );
}
