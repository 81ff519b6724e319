/**
 * The directory of one server: applications with their service principals, managed identities and users. One
 * record stands for the object that policies name (`objectId`) and the application that clients name (`appId`).
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { isGuid } from '../core/names.ts';
import type { Page, PageRequest } from '../core/paging.ts';
import type { Random } from '../core/random.ts';
import { subjectObjectId } from './token-claims.ts';

export type PrincipalKind = 'application' | 'managedIdentity' | 'user' | 'external';

/** An entry of the directory. Ids are lower-case GUIDs. */
export interface PrincipalRecord {
  readonly objectId: string;
  readonly tenantId: string;
  /** Client id; undefined for users, who sign in through an application. */
  readonly appId: string | undefined;
  readonly kind: PrincipalKind;
  readonly displayName: string;
  /** Azure resource id of a managed identity (`msi_res_id`, `xms_mirid`). */
  readonly resourceId: string | undefined;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** A client secret, as kept: its slow hash, never the secret. */
export interface ClientCredential {
  readonly keyId: string;
  /** Object id of the principal that it belongs to. */
  readonly objectId: string;
  /** PHC string (see `crypto/password-hash.ts`). */
  readonly hash: string;
  /** The secret's first three characters, as Entra ID shows them. */
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
  /** In the order of object ids, which are also the page keys. */
  list(of: { tenantId: string; kind?: PrincipalKind }, page: PageRequest): Promise<Page<PrincipalRecord>>;
  /** Fails with `alreadyExists` if the object id, the app id or the tenant's resource id is taken. */
  add(principal: PrincipalRecord): Promise<void>;
  /** Oldest first; expired ones too. */
  credentialsOf(objectId: string): Promise<readonly ClientCredential[]>;
  /** Fails with `alreadyExists` if the key id is taken, with `notFound` if the principal is missing. */
  addCredential(credential: ClientCredential): Promise<void>;
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
  input: { tenantId: string; displayName: string; resourceId?: string },
): Promise<PrincipalRecord> {
  return register(deps, { ...input, kind: 'application', resourceId: input.resourceId });
}

/** Registers a managed identity, which gets its tokens from this machine and has no secrets. */
export function createManagedIdentity(
  deps: DirectoryDeps,
  input: { tenantId: string; displayName: string; resourceId?: string },
): Promise<PrincipalRecord> {
  return register(deps, { ...input, kind: 'managedIdentity', resourceId: input.resourceId });
}

/**
 * Registers a subject of an external issuer, so that roles can be given to it by name. Its object id is the one that
 * the validator derives from its tokens.
 */
export async function createExternalPrincipal(
  { store, clock }: DirectoryDeps,
  input: { tenantId: string; displayName: string; issuer: string; subject: string },
): Promise<PrincipalRecord> {
  const principal: PrincipalRecord = {
    objectId: subjectObjectId(input.issuer, input.subject),
    tenantId: input.tenantId,
    appId: undefined,
    kind: 'external',
    displayName: input.displayName,
    resourceId: undefined,
    created: clock.now(),
  };
  await store.add(principal);
  return principal;
}

async function register(
  { store, clock, random }: DirectoryDeps,
  input: Pick<PrincipalRecord, 'tenantId' | 'displayName' | 'kind' | 'resourceId'>,
): Promise<PrincipalRecord> {
  const { tenantId, displayName, kind, resourceId } = input;
  if (!isGuid(tenantId)) throw new Failure('badParameter', 'The tenant id is not a GUID.');
  if (displayName.trim() === '' || displayName.length > longestName) {
    throw new Failure('badParameter', `A display name has 1 to ${longestName} characters.`);
  }
  const principal: PrincipalRecord = {
    objectId: random.guid(),
    tenantId: tenantId.toLowerCase(),
    appId: random.guid(),
    kind,
    displayName,
    resourceId,
    created: clock.now(),
  };
  await store.add(principal);
  return principal;
}

/** Microsoft Graph's limit of `displayName`. */
const longestName = 256;
