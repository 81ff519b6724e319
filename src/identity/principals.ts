/**
 * The directory of one server: applications with their service principals, managed identities, users, groups and
 * subjects of external issuers. One record stands for the object that policies name (`objectId`) and the application
 * that clients name (`appId`).
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { isGuid } from '../core/names.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import type { Random } from '../core/random.ts';
import { subjectObjectId } from './token-claims.ts';

export type PrincipalKind = 'application' | 'managedIdentity' | 'user' | 'group' | 'external';

/** An entry of the directory. Ids are lower-case GUIDs. */
export interface PrincipalRecord {
  readonly objectId: string;
  readonly tenantId: string;
  /** Client id of an application or managed identity; undefined for all others. */
  readonly appId: string | undefined;
  readonly kind: PrincipalKind;
  readonly displayName: string;
  /** Azure resource id of a managed identity (`msi_res_id`, `xms_mirid`). */
  readonly resourceId: string | undefined;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** A user's principal name (`someone@example.com`), which compares without case; undefined for all others. */
  readonly userName: string | undefined;
  /** Graph's object id of the application of which this is the service principal; undefined for all but applications. */
  readonly applicationId: string | undefined;
  /** One that is not enabled gets no tokens, and those that it has count for nothing. */
  readonly enabled: boolean;
  readonly detail: PrincipalDetail;
}

/** What else the directory keeps of a principal, as Graph names it. */
export interface PrincipalDetail {
  readonly description?: string;
  readonly mail?: string;
  readonly mailNickname?: string;
  readonly givenName?: string;
  readonly surname?: string;
  /** An application's `identifierUris`: audiences that it stands for. */
  readonly identifierUris?: readonly string[];
  /** Every address that an application may have sign-ins answered at. */
  readonly redirectUris?: readonly string[];
  /** Those of `redirectUris` at which a public client, or a single-page application, is answered. */
  readonly publicRedirectUris?: readonly string[];
  readonly spaRedirectUris?: readonly string[];
  /** Whether users sign in through the application without it proving itself (device code, PKCE). */
  readonly isPublicClient?: boolean;
  readonly tags?: readonly string[];
  /** Object ids of the principals that Graph shows as owners; they have no rights by it. */
  readonly owners?: readonly string[];
  /**
   * What is declared of an application or user, kept and shown in Graph's form; of it, only the token version that an
   * application asks for counts.
   */
  readonly declared?: Readonly<Record<string, unknown>>;
  /**
   * An application without a service principal: disabled, and seen by nothing but Graph's `applications`. Its object id
   * becomes the service principal's when there is one.
   */
  readonly awaitsServicePrincipal?: true;
  /** May change the directory through Graph; given and taken by the operator's command alone. */
  readonly directoryAdministrator?: true;
  /** `system` or `user`, of a managed identity. */
  readonly managedIdentity?: 'system' | 'user';
  /** The Azure service that the principal stands for; such callers may count as trusted services. */
  readonly firstParty?: FirstParty;
}

export const firstParties = ['deployment', 'diskEncryption', 'templateDeployment', 'other'] as const;
export type FirstParty = (typeof firstParties)[number];

export type CredentialKind = 'secret' | 'password' | 'certificate' | 'federated';

/** What a credential has besides its hash: a certificate's public part, or whose tokens are taken for it. */
export interface CredentialDetail {
  readonly displayName?: string;
  /** Milliseconds since 1970 from which Graph shows the credential as valid; it is taken from the moment it is kept. */
  readonly starts?: number;
  /** DER in base64, and its SHA-1 and SHA-256 in upper-case hexadecimal. */
  readonly certificate?: { readonly der: string; readonly sha1: string; readonly sha256: string };
  /** A federated identity credential: the token's issuer, subject and audiences. */
  readonly federated?: {
    readonly name: string;
    readonly description?: string;
    readonly issuer: string;
    readonly subject: string;
    readonly audiences: readonly string[];
  };
}

/** A credential, as kept: the slow hash of a secret or password, never itself; empty for the other kinds. */
export interface ClientCredential {
  readonly kind: CredentialKind;
  readonly detail: CredentialDetail;
  readonly keyId: string;
  /** Object id of the principal that it belongs to. */
  readonly objectId: string;
  /** PHC string (see `crypto/password-hash.ts`). */
  readonly hash: string;
  /** The secret's first three characters, as Entra ID shows them; empty for other kinds, passwords too. */
  readonly hint: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Milliseconds since 1970; refused from then on. */
  readonly expires: number;
}

/** What the identity service needs from storage. Look-ups resolve to undefined for what is not there. */
export interface PrincipalStore {
  /** Unique among all tenants. */
  byAppId(appId: string): Promise<PrincipalRecord | undefined>;
  byObjectId(objectId: string): Promise<PrincipalRecord | undefined>;
  /** Resource ids compare without regard to case, within the tenant. */
  byResourceId(tenantId: string, resourceId: string): Promise<PrincipalRecord | undefined>;
  /**
   * In the order of object ids, which are also the page keys. `resources: false` leaves out the identities that are
   * resources of the management plane.
   */
  list(
    of: { tenantId: string; kind?: PrincipalKind | readonly PrincipalKind[]; resources?: false },
    page: PageRequest,
  ): Promise<Page<PrincipalRecord>>;
  /** User names compare without regard to case, within the tenant. */
  byUserName(tenantId: string, userName: string): Promise<PrincipalRecord | undefined>;
  byApplicationId(applicationId: string): Promise<PrincipalRecord | undefined>;
  /** The application whose identifier URI this is; URIs compare to the letter, within the tenant. */
  byIdentifierUri(tenantId: string, uri: string): Promise<PrincipalRecord | undefined>;
  /**
   * Fails with `alreadyExists` if the object id, the app id, or the tenant's resource id, user name or one of the
   * identifier URIs is taken.
   */
  add(principal: PrincipalRecord): Promise<void>;
  /**
   * Replaces the record if it is still `was`; answers whether it did. Fails as `add` for names that are taken. A new
   * object id takes the credentials along and leaves all memberships behind.
   */
  replace(principal: PrincipalRecord, was: PrincipalRecord): Promise<boolean>;
  /**
   * Removes the principal with its credentials and memberships; false if there was none. Fails with `conflict` for an
   * identity that is a resource of the management plane: it goes as one.
   */
  remove(objectId: string): Promise<boolean>;
  /** The direct members of a group, in the order of their object ids. */
  membersOf(groupId: string): Promise<readonly PrincipalRecord[]>;
  /** The groups that the principal is directly in, in their order. */
  directGroupsOf(objectId: string): Promise<readonly string[]>;
  /** Every other group that the principal is in, directly or through groups, however they are nested; in order. */
  groupsOf(objectId: string): Promise<readonly string[]>;
  /** Fails with `notFound` for a group or member that is not there, with `alreadyExists` for a member that is. */
  addMember(groupId: string, memberId: string): Promise<void>;
  removeMember(groupId: string, memberId: string): Promise<boolean>;
  /** Oldest first; expired ones too. */
  credentialsOf(objectId: string): Promise<readonly ClientCredential[]>;
  /** Fails with `alreadyExists` if the key id is taken, with `notFound` if the principal is missing. */
  addCredential(credential: ClientCredential): Promise<void>;
  /** Replaces what is kept of the credential under its key id; false if its principal has none. */
  replaceCredential(credential: ClientCredential): Promise<boolean>;
  /** Resolves to false if the principal has no such credential. */
  removeCredential(objectId: string, keyId: string): Promise<boolean>;
}

/** What every change of the directory needs. */
export interface DirectoryDeps {
  readonly store: PrincipalStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** Registers an application and its service principal; a `resourceId` is for finding it again. */
export function createApplication(
  deps: DirectoryDeps,
  input: { tenantId: string; displayName: string; resourceId?: string; detail?: PrincipalDetail },
): Promise<PrincipalRecord> {
  const { random } = deps;
  return register(deps, {
    ...input,
    kind: 'application',
    appId: random.guid(),
    applicationId: random.guid(),
    enabled: input.detail?.awaitsServicePrincipal !== true,
  });
}

/** Registers a managed identity (by default a user-assigned one), which gets its tokens from this machine. */
export function createManagedIdentity(
  deps: DirectoryDeps,
  input: { tenantId: string; displayName: string; resourceId?: string; assigned?: 'system' | 'user' },
): Promise<PrincipalRecord> {
  const { tenantId, displayName, resourceId, assigned = 'user' } = input;
  return register(deps, {
    ...{ tenantId, displayName, resourceId },
    kind: 'managedIdentity',
    appId: deps.random.guid(),
    detail: { managedIdentity: assigned },
  });
}

/**
 * Registers a subject of an external issuer, so that roles can be given to it by name. Its object id is the one that
 * the validator derives from its tokens.
 */
export function createExternalPrincipal(
  deps: DirectoryDeps,
  input: { tenantId: string; displayName: string; issuer: string; subject: string },
): Promise<PrincipalRecord> {
  const { tenantId, displayName, issuer, subject } = input;
  return register(deps, {
    ...{ tenantId, displayName },
    kind: 'external',
    objectId: subjectObjectId(issuer, subject),
  });
}

/** What a new record begins with; the rest of it is undefined, empty, or enabled. */
export type NewPrincipal = Pick<PrincipalRecord, 'tenantId' | 'displayName' | 'kind'> &
  Partial<
    Pick<
      PrincipalRecord,
      'objectId' | 'appId' | 'applicationId' | 'resourceId' | 'userName' | 'detail' | 'enabled'
    >
  >;

/** Adds a record, under a new object id unless one is given. Fails with `badParameter` for names that cannot be, and as the store's `add`. */
export async function register(
  { store, clock, random }: DirectoryDeps,
  input: NewPrincipal,
): Promise<PrincipalRecord> {
  if (!isGuid(input.tenantId)) throw new Failure('badParameter', 'The tenant id is not a GUID.');
  assertDisplayName(input.displayName);
  const principal: PrincipalRecord = {
    objectId: input.objectId ?? random.guid(),
    tenantId: input.tenantId.toLowerCase(),
    appId: input.appId,
    kind: input.kind,
    displayName: input.displayName,
    resourceId: input.resourceId,
    created: clock.now(),
    userName: input.userName,
    applicationId: input.applicationId,
    enabled: input.enabled ?? true,
    detail: input.detail ?? {},
  };
  await store.add(principal);
  return principal;
}

/** Microsoft Graph's limit of `displayName`. */
const longestName = 256;

/** Fails with `badParameter` for a name that is empty, endless, or not printable text. */
export function assertDisplayName(name: string): void {
  if (name.trim() === '' || name.length > longestName || /\p{Cc}/u.test(name) || !name.isWellFormed()) {
    throw new Failure('badParameter', `A display name has 1 to ${longestName} printable characters.`);
  }
}

/** More than two writers that keep overtaking each other are not met in practice. */
const mostAttempts = 8;

/**
 * Changes a principal as `change` says of its committed state. Fails with `notFound`, as the store's `replace`, and
 * with `conflict` if others keep changing it meanwhile.
 */
export async function changePrincipal(
  store: PrincipalStore,
  objectId: string,
  change: (was: PrincipalRecord) => PrincipalRecord,
): Promise<PrincipalRecord> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const was = await store.byObjectId(objectId);
    if (was === undefined) throw new Failure('notFound', 'There is no such principal.');
    const principal = change(was);
    assertDisplayName(principal.displayName);
    if (await store.replace(principal, was)) return principal;
  }
  throw new Failure('conflict', 'The principal is being changed by others. Try again.');
}

/** Enables or disables a principal. Fails as `changePrincipal`; with `badParameter` for what cannot sign in at all. */
export function setEnabled(
  store: PrincipalStore,
  objectId: string,
  enabled: boolean,
): Promise<PrincipalRecord> {
  return changePrincipal(store, objectId, (was) => {
    if (was.kind === 'group') throw new Failure('badParameter', 'A group is neither enabled nor disabled.');
    if (enabled && was.detail.awaitsServicePrincipal === true)
      throw new Failure('badParameter', 'The application has no service principal.');
    return { ...was, enabled };
  });
}

/**
 * Removes a principal for good, with its credentials and memberships; role assignments that name it stay. Fails as the
 * store's `remove`.
 */
export async function deletePrincipal(store: PrincipalStore, objectId: string): Promise<void> {
  if (!(await store.remove(objectId))) throw new Failure('notFound', 'There is no such principal.');
}
