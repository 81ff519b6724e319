/** The entities of Graph as they go out, and the parts of schemas that several of them have. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { isGuid } from '../../core/names.ts';
import type { ClientCredential, PrincipalRecord } from '../../identity/principals.ts';
import type { Wire } from './lists.ts';

/** ISO 8601 in UTC, to the second, as Graph writes times. */
export function timeWire(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** `@odata.type` of a user, group or service principal. */
export function odataType(record: PrincipalRecord): string {
  if (record.kind === 'user' || record.kind === 'group') return `#microsoft.graph.${record.kind}`;
  return '#microsoft.graph.servicePrincipal';
}

export function userWire(record: PrincipalRecord): Wire {
  const { detail } = record;
  return {
    businessPhones: [],
    displayName: record.displayName,
    givenName: detail.givenName ?? null,
    jobTitle: null,
    mail: detail.mail ?? null,
    mobilePhone: null,
    officeLocation: null,
    preferredLanguage: null,
    surname: detail.surname ?? null,
    userPrincipalName: record.userName,
    id: record.objectId,
    accountEnabled: record.enabled,
    createdDateTime: timeWire(record.created),
    mailNickname: detail.mailNickname ?? record.userName?.split('@')[0] ?? null,
    userType: 'Member',
    ...detail.declared,
  };
}

export function groupWire(record: PrincipalRecord): Wire {
  const { detail } = record;
  return {
    id: record.objectId,
    deletedDateTime: null,
    createdDateTime: timeWire(record.created),
    description: detail.description ?? null,
    displayName: record.displayName,
    groupTypes: [],
    isAssignableToRole: null,
    mail: null,
    mailEnabled: false,
    mailNickname: detail.mailNickname ?? null,
    membershipRule: null,
    proxyAddresses: [],
    securityEnabled: true,
    visibility: null,
  };
}

/** The application object behind a service principal. */
export function applicationWire(record: PrincipalRecord, credentials: readonly ClientCredential[]): Wire {
  const { detail } = record;
  const { redirectUris = [], publicRedirectUris = [], spaRedirectUris = [] } = detail;
  const elsewhere = new Set([...publicRedirectUris, ...spaRedirectUris]);
  const web = { homePageUrl: null, logoutUrl: null, ...(detail.declared?.web as object | undefined) };
  return {
    id: record.applicationId,
    deletedDateTime: null,
    appId: record.appId,
    createdDateTime: timeWire(record.created),
    description: detail.description ?? null,
    displayName: record.displayName,
    groupMembershipClaims: null,
    identifierUris: detail.identifierUris ?? [],
    isFallbackPublicClient: detail.isPublicClient ?? null,
    optionalClaims: null,
    signInAudience: 'AzureADMyOrg',
    tags: detail.tags ?? [],
    api: { knownClientApplications: [], oauth2PermissionScopes: [], preAuthorizedApplications: [] },
    appRoles: [],
    info: {},
    requiredResourceAccess: [],
    ...detail.declared,
    publicClient: { redirectUris: publicRedirectUris },
    spa: { redirectUris: spaRedirectUris },
    web: {
      ...web,
      redirectUris: redirectUris.filter((uri) => !elsewhere.has(uri)),
      implicitGrantSettings: { enableAccessTokenIssuance: false, enableIdTokenIssuance: false },
    },
    ...credentialsWire(credentials),
  };
}

export function servicePrincipalWire(
  record: PrincipalRecord,
  credentials: readonly ClientCredential[],
): Wire {
  const { detail, resourceId } = record;
  return {
    id: record.objectId,
    deletedDateTime: null,
    accountEnabled: record.enabled,
    alternativeNames: resourceId === undefined ? [] : alternativeNames(record, resourceId),
    appDisplayName: record.kind === 'application' ? record.displayName : null,
    appId: record.appId ?? null,
    appOwnerOrganizationId: record.kind === 'application' ? record.tenantId : null,
    appRoleAssignmentRequired: false,
    appRoles: detail.declared?.appRoles ?? [],
    createdDateTime: timeWire(record.created),
    description: detail.description ?? null,
    displayName: record.displayName,
    homepage: null,
    oauth2PermissionScopes: [],
    replyUrls: detail.redirectUris ?? [],
    servicePrincipalNames: servicePrincipalNames(record),
    servicePrincipalType: servicePrincipalType(record),
    signInAudience: record.kind === 'application' ? 'AzureADMyOrg' : null,
    tags: detail.tags ?? [],
    ...credentialsWire(credentials),
  };
}

/** Entra ID tells a user-assigned identity from a system-assigned one by the first of these. */
function alternativeNames({ kind, detail }: PrincipalRecord, resourceId: string): readonly string[] {
  if (kind !== 'managedIdentity') return [];
  return [`isExplicit=${detail.managedIdentity === 'system' ? 'False' : 'True'}`, resourceId];
}

export function servicePrincipalNames({ appId, detail }: PrincipalRecord): readonly string[] {
  return [...(appId === undefined ? [] : [appId]), ...(detail.identifierUris ?? [])];
}

/** An external issuer's subject is nothing that Entra ID has; the nearest is its type for foreign identities. */
export function servicePrincipalType({ kind }: PrincipalRecord): string {
  if (kind === 'managedIdentity') return 'ManagedIdentity';
  return kind === 'external' ? 'SocialIdp' : 'Application';
}

function credentialsWire(credentials: readonly ClientCredential[]): Wire {
  return {
    passwordCredentials: credentials.filter(({ kind }) => kind === 'secret').map(secretWire),
    keyCredentials: credentials.filter(({ kind }) => kind === 'certificate').map(certificateWire),
  };
}

/** A client secret as Graph shows it: never itself. */
export function secretWire(credential: ClientCredential): Wire {
  return {
    customKeyIdentifier: null,
    displayName: credential.detail.displayName ?? null,
    endDateTime: timeWire(credential.expires),
    hint: credential.hint,
    keyId: credential.keyId,
    secretText: null,
    startDateTime: timeWire(credential.detail.starts ?? credential.created),
  };
}

function certificateWire(credential: ClientCredential): Wire {
  const { detail } = credential;
  return {
    customKeyIdentifier: detail.certificate?.sha1 ?? null,
    displayName: detail.displayName ?? null,
    endDateTime: timeWire(credential.expires),
    key: null,
    keyId: credential.keyId,
    startDateTime: timeWire(detail.starts ?? credential.created),
    type: 'AsymmetricX509Cert',
    usage: 'Verify',
  };
}

export function federatedWire(credential: ClientCredential): Wire {
  const { name, issuer, subject, description, audiences } = credential.detail.federated ?? {};
  return { id: credential.keyId, name, issuer, subject, description: description ?? null, audiences };
}

/** The object id at the end of a reference such as `https://graph.microsoft.com/v1.0/directoryObjects/{id}`. */
export function referencedId(reference: string): string {
  const id =
    /^(?:https:\/\/[^/?#]+\/(?:v1\.0|beta))?\/?(?:directoryObjects|users|groups|servicePrincipals)\/([0-9a-f-]{36})$/i.exec(
      reference,
    )?.[1];
  if (id === undefined || !isGuid(id))
    throw new Failure('badParameter', 'The value of the reference is not the address of a directory object.');
  return id.toLowerCase();
}

export const guidText = v.pipe(v.string(), v.check(isGuid, 'It must be a GUID.'));
export const shortText = v.pipe(v.string(), v.maxLength(256), v.check(isPrintable, 'It must be printable.'));
const mostItems = 256;
export const texts = v.pipe(v.array(shortText), v.maxLength(mostItems));
/** A time as clients write it, as milliseconds since 1970. */
export const timeText = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/, 'It must be a time.'),
  v.transform((text) => Date.parse(text)),
  v.check((time) => Number.isFinite(time), 'It must be a time.'),
);
/** Refuses a member that only a new object can have. */
export const onlyAtFirst = v.optional(v.never('It can be given for a new object only.'));
/** Graph takes so many references in one request. */
const mostBound = 20;
/** The references of an `@odata.bind`. */
export const bound = v.pipe(v.array(v.string()), v.maxLength(mostBound));
export const reference = v.object({ '@odata.id': v.string() });

function isPrintable(text: string): boolean {
  return !/\p{Cc}/u.test(text) && text.isWellFormed();
}

/** Whether a member says nothing: nothing is lost by not keeping it. */
export function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.values(value).every(isEmpty);
}

/** Levels of what is kept as it is sent; a manifest's deepest member has five. */
const deepest = 32;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

/** What the server says of an object; a client that sends it back is not asking for anything. */
const readOnly = ['id', 'createdDateTime', 'deletedDateTime'];

/**
 * Takes a body apart: members that the operation itself knows are passed over, those in `declared` are answered to be
 * kept as they are, and any other is refused unless it says nothing.
 */
export function declaredMembers(
  body: Readonly<Record<string, unknown>>,
  names: { known: readonly string[]; declared: readonly string[] },
): Readonly<Record<string, unknown>> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (names.known.includes(name) || readOnly.includes(name) || name.startsWith('@odata.')) continue;
    // Whoever looks through it, or writes it down, would run out of stack.
    if (isDeeper(value, deepest))
      throw new Failure('badParameter', `The property '${name.slice(0, 64)}' is nested too deeply.`);
    if (names.declared.includes(name)) kept[name] = value;
    else if (!isEmpty(value)) {
      throw new Failure('badParameter', `The property '${name.slice(0, 64)}' is not supported.`);
    }
  }
  return kept;
}

/** What was declared, with the changes; a member that is set to null is no longer declared. */
export function redeclared(
  was: Readonly<Record<string, unknown>> | undefined,
  changes: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const all = Object.entries({ ...was, ...changes });
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}
