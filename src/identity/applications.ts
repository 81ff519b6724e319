/** Applications: with and without a service principal, and how they prove themselves other than by a secret. */
import { Failure } from '../core/errors.ts';
import { isGuid } from '../core/names.ts';
import { type PublicCertificate, parsePublicCertificate } from '../crypto/x509/public-certificate.ts';
import {
  type ClientCredential,
  changePrincipal,
  type DirectoryDeps,
  type PrincipalKind,
  type PrincipalRecord,
  type PrincipalStore,
} from './principals.ts';
import { isFetchable } from './remote-keys.ts';
import { neverExpires } from './users.ts';

/** Entra ID's limits of one application. */
const mostCredentials = 100;
const mostFederated = 20;
const longestText = 600;
/** How far the clock of whoever made a credential may be ahead, in milliseconds. */
const startLeeway = 10 * 60 * 1000;

/** The application whose id the client gives, of the tenant if one is named; undefined for one that is none. */
export async function findApplication(
  store: PrincipalStore,
  { clientId, tenantId }: { clientId: string; tenantId: string | undefined },
  kinds: readonly PrincipalKind[] = ['application'],
): Promise<PrincipalRecord | undefined> {
  const found = isGuid(clientId) ? await store.byAppId(clientId.toLowerCase()) : undefined;
  if (found === undefined || !kinds.includes(found.kind)) return undefined;
  return tenantId === undefined || found.tenantId === tenantId.toLowerCase() ? found : undefined;
}

/** Entra ID's AADSTS7000112. */
export function disabledApplication(clientId: string): Failure {
  return new Failure('unauthorizedClient', `AADSTS7000112: Application '${clientId}' is disabled.`);
}

/** Gives a registered application its service principal. Fails with `alreadyExists` if it has one. */
export function addServicePrincipal(
  store: PrincipalStore,
  objectId: string,
  enabled: boolean,
): Promise<PrincipalRecord> {
  return changePrincipal(store, objectId, (was) => {
    if (was.detail.awaitsServicePrincipal !== true)
      throw new Failure('alreadyExists', 'The application has a service principal already.');
    const { awaitsServicePrincipal: _gone, ...detail } = was.detail;
    return { ...was, enabled, detail };
  });
}

/**
 * Takes an application's service principal away and keeps the application. A later one has another object id, so that
 * what was given to this one is not given to that.
 */
export function removeServicePrincipal(
  { store, random }: Pick<DirectoryDeps, 'store' | 'random'>,
  objectId: string,
): Promise<PrincipalRecord> {
  const fresh = random.guid();
  return changePrincipal(store, objectId, (was) => ({
    ...was,
    objectId: fresh,
    enabled: false,
    detail: { ...was.detail, awaitsServicePrincipal: true as const },
  }));
}

/**
 * Adds a certificate that the application signs assertions with: PEM, or DER in base64. It is taken until `expires`
 * (default: as long as it is valid itself). Fails with `badParameter`, `notFound`, or `alreadyExists`.
 */
export async function addCertificate(
  { store, clock, random }: DirectoryDeps,
  input: {
    objectId: string;
    certificate: string;
    expires?: number | undefined;
    displayName?: string | undefined;
    keyId?: string | undefined;
  },
): Promise<ClientCredential> {
  const parsed = readCertificate(input.certificate);
  const credentials = await credentialsOfApplication(store, input.objectId);
  if (credentials.some(({ detail }) => detail.certificate?.sha256 === parsed.sha256))
    throw new Failure('alreadyExists', 'The application has this certificate already.');
  const expires = Math.min(input.expires ?? parsed.notAfter, parsed.notAfter);
  if (expires <= clock.now()) throw new Failure('badParameter', 'The certificate has expired.');
  if (parsed.notBefore > clock.now() + startLeeway)
    throw new Failure('badParameter', 'The certificate is not valid yet.');
  const { der, sha1, sha256 } = parsed;
  const credential: ClientCredential = {
    kind: 'certificate',
    detail: {
      displayName: input.displayName ?? parsed.subject,
      starts: parsed.notBefore,
      certificate: { der, sha1, sha256 },
    },
    keyId: input.keyId ?? random.guid(),
    objectId: input.objectId,
    hash: '',
    hint: '',
    created: clock.now(),
    expires,
  };
  await store.addCredential(credential);
  return credential;
}

function readCertificate(text: string): PublicCertificate {
  try {
    return parsePublicCertificate(text);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Failure('badParameter', `The certificate cannot be taken: ${error.message}.`, { cause: error });
  }
}

/** Whose tokens stand for an application: all four as Entra ID names them, `audiences` being exactly one. */
export interface FederatedInput {
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly description?: string | undefined;
}

/**
 * Adds a federated identity credential to an application or a user-assigned managed identity, by default under a random
 * key id. Fails with `badParameter`, `notFound`, or `alreadyExists` for a name, or an issuer and subject, that are taken.
 */
export async function addFederated(
  { store, clock, random }: DirectoryDeps,
  objectId: string,
  input: FederatedInput,
  keyId = random.guid(),
): Promise<ClientCredential> {
  assertFederated(input);
  const others = federatedOf(await credentialsOfApplication(store, objectId));
  if (others.length >= mostFederated)
    throw new Failure('badParameter', `An application has at most ${mostFederated} federated credentials.`);
  assertNotTaken(others, input);
  const credential = federatedCredential(input, { keyId, objectId, created: clock.now() });
  await store.addCredential(credential);
  return credential;
}

/** Changes a federated credential under its id; its name stays. Fails as `addFederated`. */
export async function changeFederated(
  store: PrincipalStore,
  was: ClientCredential,
  change: Partial<Omit<FederatedInput, 'name'>>,
): Promise<ClientCredential> {
  const { federated } = was.detail;
  if (federated === undefined) throw new Failure('notFound', 'There is no such federated credential.');
  const input = { ...federated, ...change };
  assertFederated(input);
  const others = federatedOf(await store.credentialsOf(was.objectId));
  assertNotTaken(
    others.filter(({ keyId }) => keyId !== was.keyId),
    input,
  );
  const credential = federatedCredential(input, was);
  if (!(await store.replaceCredential(credential)))
    throw new Failure('notFound', 'There is no such federated credential.');
  return credential;
}

export function federatedOf(credentials: readonly ClientCredential[]): readonly ClientCredential[] {
  return credentials.filter(({ kind }) => kind === 'federated');
}

function federatedCredential(
  input: FederatedInput,
  of: Pick<ClientCredential, 'keyId' | 'objectId' | 'created'>,
): ClientCredential {
  const { name, issuer, subject, audiences, description } = input;
  const described = description === undefined ? {} : { description };
  return {
    kind: 'federated',
    detail: { federated: { name, issuer, subject, audiences, ...described } },
    keyId: of.keyId,
    objectId: of.objectId,
    hash: '',
    hint: '',
    created: of.created,
    expires: neverExpires,
  };
}

function assertFederated({ name, issuer, subject, audiences, description = '' }: FederatedInput): void {
  if (!/^[\w-]{1,120}$/.test(name) || /^[-_]/.test(name))
    throw new Failure('badParameter', 'The name has 1 to 120 letters, digits, hyphens and underscores.');
  // Its discovery document is below it: behind a query or a fragment the path would be anything.
  if (
    !isFetchable(issuer) ||
    !/^https?:\/\/[!-~]+$/i.test(issuer) ||
    /[?#]/.test(issuer) ||
    issuer.length > longestText
  )
    throw new Failure('badParameter', 'The issuer is not an https URL.');
  const [audience, ...more] = audiences;
  if (audience === undefined || more.length > 0)
    throw new Failure('badParameter', 'A federated credential has exactly one audience.');
  for (const text of [subject, audience, `${description} `])
    if (text === '' || text.length > longestText || /\p{Cc}/u.test(text) || !text.isWellFormed())
      throw new Failure(
        'badParameter',
        `Subject and audience have 1 to ${longestText} printable characters.`,
      );
}

/** Two writers at once may get past this; that the same subject is trusted twice harms nothing. */
function assertNotTaken(others: readonly ClientCredential[], input: FederatedInput): void {
  for (const { detail } of others) {
    const { name, issuer, subject } = detail.federated ?? {};
    if (name === input.name)
      throw new Failure('alreadyExists', 'FederatedIdentityCredential with this name already exists.');
    if (issuer === input.issuer && subject === input.subject)
      throw new Failure(
        'alreadyExists',
        'The combination of issuer and subject must be unique among the federated credentials.',
      );
  }
}

async function credentialsOfApplication(
  store: PrincipalStore,
  objectId: string,
): Promise<readonly ClientCredential[]> {
  const principal = await store.byObjectId(objectId);
  if (principal === undefined) throw new Failure('notFound', 'There is no such application.');
  if (principal.kind !== 'application' && principal.kind !== 'managedIdentity')
    throw new Failure('badParameter', 'Only applications have such credentials.');
  const credentials = await store.credentialsOf(objectId);
  if (credentials.length >= mostCredentials)
    throw new Failure('badParameter', `An application has at most ${mostCredentials} credentials.`);
  return credentials;
}
