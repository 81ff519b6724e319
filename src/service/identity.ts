/** Builds the identity service: the directory, token keys, and every way to sign in. */
import { createGuardedFetch } from '../api/guarded-fetch.ts';
import type { Hosts } from '../api/hosts.ts';
import type { LoginDeps } from '../api/login/routes.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { createKeyedDigest } from '../crypto/digests.ts';
import { decoyHash, hashPassword, verifyPassword } from '../crypto/password-hash.ts';
import { createAttemptLimit, createFailureLimit } from '../identity/attempts.ts';
import { createAuthorizationCodes } from '../identity/authorization-codes.ts';
import { createCertificateAssertionVerifier } from '../identity/client-assertions.ts';
import {
  addSecret,
  createClientSecretVerifier,
  removeSecret,
  type SecretHasher,
} from '../identity/client-secrets.ts';
import { createDeviceCodes } from '../identity/device-codes.ts';
import type { DirectoryCache } from '../identity/directory-cache.ts';
import { createFederatedAssertionVerifier } from '../identity/federated-assertions.ts';
import { createTokenIssuer } from '../identity/issuer.ts';
import { azureIssuerNames, ownIssuerNames } from '../identity/issuer-names.ts';
import { createKeyRing } from '../identity/key-ring.ts';
import { failuresMemory, mostStrangers } from '../identity/lock-out.ts';
import type { Fetch } from '../identity/remote-keys.ts';
import { createResourceFinder } from '../identity/resource-applications.ts';
import { createSessions } from '../identity/sessions.ts';
import { createPasswordVerifier } from '../identity/sign-in.ts';
import type { ExternalIssuer } from '../identity/token-claims.ts';
import { createTrustedIssuers, type TrustedIssuers } from '../identity/trusted-issuers.ts';
import { createTokenValidator } from '../identity/validator.ts';
import type { Job } from '../jobs/scheduler.ts';
import { fenced } from '../storage/database.ts';
import { createFailureStore, createLoginGrantStore } from '../storage/login-grants.ts';
import { createPrincipalStore } from '../storage/principals.ts';
import { createSigningKeyStore } from '../storage/signing-keys.ts';
import type { Data, Tools } from './data.ts';
import { openedOnce } from './opened-once.ts';

export type IdentityParts = ReturnType<typeof buildIdentity>;

interface Around {
  readonly hosts: Hosts;
  readonly fetch: Fetch;
  readonly directoryCache: DirectoryCache;
  readonly tenants: LoginDeps['tenants'];
}

export function buildIdentity(tools: Tools, data: Data, around: Around) {
  const { clock, random } = tools;
  const store = createPrincipalStore(data.db);
  const hash = (secret: SecretBytes) => hashPassword(secret, random);
  const hasher: SecretHasher = { hash, verify: verifyPassword, decoy: decoyHash };
  const keys = createKeyRing({ store: createSigningKeyStore(data.items), clock, feed: data.db.feed });
  const secretDeps = { store, clock, random, hasher };
  const ownIssuers = () => [azureIssuerNames, ownIssuerNames(around.hosts.ownLoginOrigin())];
  const trusted = madeOnce(() =>
    createTrustedIssuers(
      { ownKeys: keys, ...networkOf(tools, around) },
      {
        ownIssuers: ownIssuers(),
        externalIssuers: tools.config.trustedIssuers as readonly ExternalIssuer[],
      },
    ),
  );
  const issuer = createTokenIssuer({ keys, clock, random });
  return {
    principals: store,
    hasher,
    keys,
    issuer,
    addSecret: (input: Parameters<typeof addSecret>[1]) => addSecret(secretDeps, input),
    removeSecret: (input: { objectId: string; keyId: string }) => removeSecret(store, input),
    /** To be called when the listener has its port: our own issuer's name has it in it. */
    createValidator: () =>
      createTokenValidator(
        { clock, trusted: trusted(), directory: around.directoryCache },
        { ownIssuers: ownIssuers() },
      ),
    /** To be called likewise. */
    createLogin: (): LoginDeps => ({
      ...around,
      clock,
      random,
      issuer,
      principals: store,
      findResource: createResourceFinder(store),
      verifyClientSecret: createClientSecretVerifier(secretDeps),
      ...buildSignIn(tools, data, {
        ...secretDeps,
        trusted: trusted(),
      }),
    }),
  };
}

/** Made when it is first asked for. */
function madeOnce<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function networkOf({ clock, log }: Tools, { fetch }: Pick<Around, 'fetch'>) {
  return { clock, log, fetch };
}

/**
 * Device codes, user codes and wrong passwords that one address may ask for, try and give, in five minutes: the first two
 * of each process, the last of all.
 */
const codesAsked = { most: 300, window: 5 * 60_000 };
const codesTried = { most: 100, window: 5 * 60_000 };
/** Many people may be behind one address, and a few of them mistype. */
const wrongPasswords = { most: 300, window: 5 * 60_000 };

function buildSignIn(
  tools: Tools,
  { db, items }: Data,
  parts: {
    readonly store: LoginDeps['principals'];
    readonly hasher: SecretHasher;
    readonly trusted: TrustedIssuers;
  },
) {
  const { clock, random } = tools;
  const { store, hasher, trusted } = parts;
  const grants = createLoginGrantStore(db);
  const grantDeps = { store: grants, clock, random };
  const failures = createFailureStore(db);
  const digest = openedOnce(async () =>
    createKeyedDigest(await items.getOrMake('sign-in-names', () => new SecretBytes(random.bytes(32)))),
  );
  return {
    loginGrants: grants,
    sessions: createSessions(grantDeps),
    codes: createAuthorizationCodes(grantDeps),
    devices: createDeviceCodes(grantDeps),
    verifyPassword: createPasswordVerifier({ store, failures, hasher, clock, digest }),
    verifyCertificateAssertion: createCertificateAssertionVerifier({ store, grants, clock }),
    verifyFederatedAssertion: createFederatedAssertionVerifier({
      store,
      trusted,
      // Whoever may change the directory names these issuers, and the operator those of the configuration.
      ...networkOf(tools, { fetch: createGuardedFetch(tools.config.issuerNetworks) }),
    }),
    deviceCodeLimit: createAttemptLimit(clock, codesAsked),
    userCodeLimit: createAttemptLimit(clock, codesTried),
    passwordLimit: createFailureLimit({ store: failures, clock }, wrongPasswords),
  };
}

/** Every five minutes: what sign-ins left behind and nobody can use any more is removed. */
export function signInJob({ clock }: Tools, { db }: Data): Job {
  return {
    name: 'sign-ins',
    every: 5 * 60_000,
    async run(fence) {
      const fencedDb = fenced(db, fence);
      await createLoginGrantStore(fencedDb).prune(clock.now());
      await createFailureStore(fencedDb).prune(clock.now() - failuresMemory, mostStrangers);
    },
  };
}
